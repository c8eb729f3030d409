"""Whether workers could be heard: a service that heard nobody must not take anyone's job for being silent."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The database is away, or its disk is full.
_DEAF_STATUSES = (503, 507)


class Hearing:
    """Says whether there was a moment, since the reaper last asked, in which no worker could be heard.

    Until the first answer that is so: a service that starts is deaf until it listens. Later it is so when a
    worker's heartbeat or events could not be stored.
    """

    def __init__(self) -> None:
        self._has_answered = False
        self._has_failed = False

    def note(self, route: str, status: int) -> None:
        """Take in the answer to a request, from any thread."""
        self._has_answered = True
        if status in _DEAF_STATUSES and "/attempts/" in route:
            self._has_failed = True

    def was_lost(self) -> bool:
        """Say whether there was such a moment."""
        was_lost = self._has_failed or not self._has_answered
        self._has_failed = False
        return was_lost


class Listener:
    """ASGI middleware that tells `Hearing` of every answer."""

    def __init__(self, app: ASGIApp, hearing: Hearing) -> None:
        self._app = app
        self._hearing = hearing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._hearing.note(getattr(scope.get("route"), "path", ""), message["status"])
            await send(message)

        await self._app(scope, receive, send_noted)
