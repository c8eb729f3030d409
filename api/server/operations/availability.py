"""Tracks whether workers could reach the service: while they could not, no lease counts as expired."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The database cannot be reached, or its disk is full.
_UNAVAILABLE_STATUSES = (503, 507)


class Availability:
    """Reports whether the service was unavailable to workers at any time since the reaper last checked.

    It is unavailable until its first answer, and when a worker's heartbeat or events could not be stored.
    """

    def __init__(self) -> None:
        self._has_answered = False
        self._has_failed = False

    def record(self, route: str, status: int) -> None:
        """Record the status of an answer, from any thread."""
        self._has_answered = True
        if status in _UNAVAILABLE_STATUSES and "/attempts/" in route:
            self._has_failed = True

    def was_interrupted(self) -> bool:
        """Return whether there was an interruption, and reset it."""
        was_interrupted = self._has_failed or not self._has_answered
        self._has_failed = False
        return was_interrupted


class AvailabilityMiddleware:
    """ASGI middleware that records every answer in `Availability`."""

    def __init__(self, app: ASGIApp, availability: Availability) -> None:
        self._app = app
        self._availability = availability

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def send_recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._availability.record(getattr(scope.get("route"), "path", ""), message["status"])
            await send(message)

        await self._app(scope, receive, send_recorded)
