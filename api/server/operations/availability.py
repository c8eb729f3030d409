"""Tracks whether workers could reach the service: while they could not, no lease runs out.

In doubt the service asks itself on its own port, as a stranger would, whether it takes connections and answers.
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

TIMEOUT_SECONDS = 2.0
# Between tries until the first one has worked.
FIRST_TRY_EVERY_SECONDS = 10.0
_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_FINE = (b"HTTP/1.1 200", b"HTTP/1.0 200")


class Reachability:
    """Finds out whether a new connection would be answered.

    Only a question that once worked can tell: behind TLS, or in a server of another kind, none does, and then the
    service counts as reachable.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._address: tuple[str, int] | None = None
        self._has_worked = False
        self._tried_at = float("-inf")

    def learn_address(self, server: object) -> None:
        """Take the address from the `server` of an ASGI scope, unless it is known or no address of a socket."""
        if self._address is not None or not isinstance(server, (tuple, list)) or len(server) != 2 or not server[1]:
            return
        try:
            ipaddress.ip_address(server[0])
        except ValueError:
            return
        self._address = (str(server[0]), int(server[1]))

    def is_reachable(self, is_wanted: bool) -> bool:
        """Ask if it is wanted, or if no question has worked yet; False if one is not answered any more."""
        if self._address is None:
            return True
        now = self._clock()
        if not self._has_worked and now - self._tried_at < FIRST_TRY_EVERY_SECONDS:
            return True
        if self._has_worked and not is_wanted:
            return True
        self._tried_at = now
        is_answered = self._ask(self._address)
        was_ever = self._has_worked
        self._has_worked = was_ever or is_answered
        return is_answered or not was_ever

    def _ask(self, address: tuple[str, int]) -> bool:
        try:
            with socket.create_connection(address, TIMEOUT_SECONDS) as connection:
                connection.sendall(_REQUEST)
                return connection.recv(64).startswith(_FINE)
        except OSError:
            return False


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
