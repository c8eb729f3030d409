"""Tracks whether workers could reach the service: while they could not, no lease runs out."""

import threading
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.server.operations.reachability import Reachability

# The database cannot be reached, or its disk is full.
_UNAVAILABLE_STATUSES = (503, 507)
# A heartbeat has no body to wait for: it takes milliseconds, and longer only where this process is at fault.
SLOW_HEARTBEAT_SECONDS = 3.0
# Requests that workers make by themselves, whether they hold a job or not.
_WORKER_ROUTES = ("/workers/claim", "/workers/heartbeat")


class Availability:
    """What this process knows of how well workers reach it. Any thread may call it.

    has_answered: false from the start until the first answer; before that nobody could be heard.
    """

    def __init__(self, *, has_answered: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.has_answered = has_answered
        self._clock = clock
        self._failure: str | None = None
        self._worker_heard_at = float("-inf")
        self._reachability = Reachability(clock)
        self._lock = threading.Lock()
        # Heartbeats that are being answered: when each began.
        self._heartbeats: dict[int, float] = {}

    def record(self, route: str, status: int) -> None:
        """Record the status of an answer."""
        self.has_answered = True
        if status in _UNAVAILABLE_STATUSES and "/attempts/" in route:
            self._failure = f"an answer to a worker was {status}"
        if route in _WORKER_ROUTES and status < 300:
            self._worker_heard_at = self._clock()

    def begin_heartbeat(self, key: int) -> None:
        """Record that a heartbeat has come in."""
        with self._lock:
            self._heartbeats[key] = self._clock()

    def end_heartbeat(self, key: int) -> None:
        """Record that this heartbeat was answered, or its connection has ended."""
        with self._lock:
            began_at = self._heartbeats.pop(key, None)
        if began_at is not None and self._clock() - began_at > SLOW_HEARTBEAT_SECONDS:
            self._failure = "a heartbeat waited for its answer"

    def learn_address(self, server: object) -> None:
        """Learn at which address this process is reached, from the `server` of a request's scope."""
        self._reachability.learn_address(server)

    def take_failure(self) -> str | None:
        """Return what went wrong for a worker since the last call, None if nothing is known; forgets it."""
        failure, self._failure = self._failure, None
        with self._lock:
            oldest = min(self._heartbeats.values(), default=None)
        if oldest is not None and self._clock() - oldest > SLOW_HEARTBEAT_SECONDS:
            failure = "a heartbeat waits for its answer"
        return failure

    def is_reachable(self, is_anyone_late: bool) -> bool:
        """Return whether a new connection to this service is answered; asks only when an attempt is overdue."""
        return self._reachability.is_reachable(is_anyone_late)

    def hears_workers(self, within_seconds: float) -> bool:
        """Return whether any worker claimed or described itself within so many seconds."""
        return self._clock() - self._worker_heard_at <= within_seconds


class AvailabilityMiddleware:
    """ASGI middleware that records every answer in `Availability`."""

    def __init__(self, app: ASGIApp, availability: Availability) -> None:
        self._app = app
        self._availability = availability

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._availability.record(getattr(scope.get("route"), "path", ""), message["status"])
            await send(message)

        self._availability.learn_address(scope.get("server"))
        if not (scope["path"].endswith("/heartbeat") and "/attempts/" in scope["path"]):
            await self._app(scope, receive, send_recorded)
            return
        self._availability.begin_heartbeat(id(scope))
        try:
            await self._app(scope, receive, send_recorded)
        finally:
            self._availability.end_heartbeat(id(scope))
