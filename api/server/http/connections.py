"""The service's connections: how many, how long one may keep silent, and who gives way when there is no room.

A connection that waits for a request, or whose client sends or takes nothing, holds a file and some memory. Those
of strangers give way to new ones, so that a worker always finds room, whoever else connects.
"""

import asyncio
import resource
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.server.access.grants import GRANT, OPEN_GRANT
from api.server.access.proxies import is_trusted, limit_key
from api.server.settings import Settings

# Connections of one address on which nobody has shown a valid token; those of trusted proxies are not counted.
STRANGERS_AN_ADDRESS = 100
# The whole head of a request has to come within this time, and after an answer the next one.
HEAD_SECONDS = 10.0
# A body may pause, but has to bring so many bytes in each such time.
BODY_SECONDS, BODY_BYTES = 15.0, 8192
# So long may a client take nothing of an answer that waits for it.
STALLED_SECONDS = 60.0
SWEEP_SECONDS = 1.0
# Files for the database, the store, logs and child processes; each connection may have a stored file open besides.
RESERVED_FILES, FILES_A_CONNECTION, MOST_FILES = 200, 2, 65_536
_REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def build_config(app: Any, settings: Settings) -> uvicorn.Config:
    """Return uvicorn's settings: our limits on connections, and no header of a proxy read by uvicorn itself."""
    guard = ConnectionGuard(settings, min(settings.max_connections, _connections_for_files(raise_file_limit())))
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=type("Connection", (GuardedConnection,), {"guard": guard}),
        log_level="warning",
        log_config=None,
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=3,
        server_header=False,
        proxy_headers=False,
    )


def raise_file_limit() -> int:
    """Raise the limit of open files as far as the system allows; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            return soft
        return wanted
    return MOST_FILES if soft == resource.RLIM_INFINITY else soft


def _connections_for_files(files: int) -> int:
    return max(16, (files - RESERVED_FILES) // FILES_A_CONNECTION)


class GuardedConnection(H11Protocol):
    """uvicorn's connection, watched by a ConnectionGuard."""

    guard: ClassVar["ConnectionGuard"]
    key = ""
    is_proxy = False
    # When the client has begun to be silent: before a request's head, or while an answer waits for it.
    waiting_since: float | None = None
    stalled_since: float | None = None
    _body_since = 0.0
    _body_bytes = 0
    _has_shown_token = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let the connection in, or close it."""
        super().connection_made(transport)
        self.waiting_since = self.loop.time()
        self.guard.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.guard.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes of a body, and note when a request's head is there."""
        self._body_bytes += len(data)
        super().data_received(data)
        if self.waiting_since is not None and self._is_handling():
            self.waiting_since = None
            self._body_since, self._body_bytes = self.loop.time(), 0

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._has_shown_token = self.is_known()
        self.waiting_since = self.loop.time()
        super().on_response_complete()
        # A request that came before the answer was complete has begun by now.
        if self._is_handling():
            self.waiting_since = None
            self._body_since, self._body_bytes = self.loop.time(), 0

    def pause_writing(self) -> None:
        """Note that the client takes nothing."""
        self.stalled_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client goes on."""
        self.stalled_since = None
        super().resume_writing()

    def is_known(self) -> bool:
        """Return whether a request on this connection had a valid token, or needed none."""
        # None before the first request.
        scope: Any = self.scope
        return self._has_shown_token or (scope is not None and scope.get(GRANT, OPEN_GRANT) is not OPEN_GRANT)

    def is_silent(self) -> bool:
        """Return whether the service waits for the client, and not the other way round."""
        return self.waiting_since is not None or self.stalled_since is not None or self._sends_body()

    def is_late(self, now: float) -> bool:
        """Return whether the client has kept silent for too long."""
        if self.waiting_since is not None and now - self.waiting_since > HEAD_SECONDS:
            return True
        if self.stalled_since is not None and now - self.stalled_since > STALLED_SECONDS:
            return True
        if now - self._body_since < BODY_SECONDS:
            return False
        is_slow = self._sends_body() and self._body_bytes < BODY_BYTES
        self._body_since, self._body_bytes = now, 0
        return is_slow

    def _is_handling(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _sends_body(self) -> bool:
        """Return whether the service would read a body that does not come."""
        waits = self._is_handling() and self.cycle.more_body and not self.cycle.waiting_for_100_continue
        return waits and not self.flow.read_paused


class ConnectionGuard:
    """The connections of one process, oldest first."""

    def __init__(self, settings: Settings, most: int) -> None:
        self._most = most
        self._proxies = settings.trusted_proxies
        self._connections: dict[GuardedConnection, None] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    def admit(self, connection: GuardedConnection) -> None:
        """Let a new connection in; where there is no room for it, a silent one gives way, or itself."""
        address = connection.client[0] if connection.client else ""
        connection.key, connection.is_proxy = limit_key(address), is_trusted(address, self._proxies)
        self._connections[connection] = None
        if self._sweeper is None:
            self._sweeper = connection.loop.call_later(SWEEP_SECONDS, self._sweep, connection.loop)
        if not connection.is_proxy:
            own = [each for each in self._connections if each.key == connection.key and not each.is_known()]
            if len(own) > STRANGERS_AN_ADDRESS:
                self._make_room(own, connection)
                return
        if len(self._connections) > self._most:
            strangers = [each for each in self._connections if not each.is_known() and not each.is_proxy]
            self._make_room([*strangers, *self._connections], connection)

    def forget(self, connection: GuardedConnection) -> None:
        """Forget a connection that is closed."""
        self._connections.pop(connection, None)

    def _make_room(self, candidates: list[GuardedConnection], new: GuardedConnection) -> None:
        """Close the first candidate that is silent; the new connection if there is none."""
        for each in candidates:
            if each is not new and each.is_silent():
                self._close(each)
                return
        new.transport.write(_REFUSAL)
        self.forget(new)
        new.transport.close()

    def _close(self, connection: GuardedConnection) -> None:
        self.forget(connection)
        # What still waits to be sent would keep it open.
        connection.transport.abort()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for each in [each for each in self._connections if each.is_late(now)]:
            self._close(each)
        self._sweeper = loop.call_later(SWEEP_SECONDS, self._sweep, loop) if self._connections else None
