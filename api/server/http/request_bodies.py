"""Reads request bodies after the caller is known, each up to its limit and all within a budget of memory.

A request whose route has no body is answered without reading one. Where an answer comes before the body has been
read, the connection closes after it: nobody makes the service read what it does not want.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from api.artifacts.bundles import MAX_BUNDLE_BYTES
from api.errors import BodyTooLarge, TooManyRequests
from api.server.settings import MIB

MAX_BODY_BYTES = MIB
# Bodies of those who need no token: a token's form, or the choice of a theme.
MAX_OPEN_BODY_BYTES = 65_536
# Files are streamed to disk by their own route, which has its own limit.
STREAMED_PREFIX = "/artifacts/"
# MLflow's clients upload to these addresses, and say in the body what a DELETE is to delete.
MLFLOW_UPLOADS = ("/api/2.0/mlflow-artifacts/artifacts/", "/ajax-api/2.0/mlflow-artifacts/artifacts/")
_MLFLOW_PREFIXES = ("/api/", "/ajax-api/")
_WITH_BODY = frozenset({"PATCH", "POST", "PUT"})
# How much memory a byte of a body takes until its request is answered: JSON becomes objects, bundles are copied.
_JSON_COPIES, _BUNDLE_COPIES = 8, 3
# Shares of the memory that the container allows (1 GiB in k8s/ and docker-compose.yml).
BODY_BUDGET, OPEN_BUDGET = 128 * MIB, 4 * MIB
# An upload holds the part of it that is on its way to the store, two or three times.
UPLOAD_BUDGET, UPLOAD_BYTES, _UPLOAD_COPIES = 192 * MIB, 24 * MIB, 3
WAIT_SECONDS = 10.0
# How long a client may go on sending a body that is refused before its connection is closed.
LINGER_SECONDS, LINGER_BYTES = 1.0, 262_144


class ByteBudget:
    """Bytes that requests may hold at once; those that find no room wait in order."""

    def __init__(self, total: int) -> None:
        self._total = self._free = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Hold bytes inside the block; raises TooManyRequests when there is no room for WAIT_SECONDS."""
        size = min(size, self._total)
        await self._take(size)
        try:
            yield
        finally:
            self._give(size)

    async def _take(self, size: int) -> None:
        if not self._waiting and size <= self._free:
            self._free -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._give(size)
            else:
                with suppress(ValueError):
                    self._waiting.remove((size, turn))
                self._admit()
            if isinstance(error, TimeoutError):
                raise TooManyRequests(
                    "The service is busy with other requests; try again in a moment.", retry_after_seconds=2
                ) from None
            raise

    def _give(self, size: int) -> None:
        self._free += size
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= size
                turn.set_result(None)


@dataclass
class RequestBody:
    """A request's body as it comes: `receive` to hand on, and whether it has been read to its end."""

    receive: Receive
    is_read: bool


class BodyReader:
    """Reads bodies for AccessMiddleware."""

    def __init__(self) -> None:
        self._bodies, self._open = ByteBudget(BODY_BUDGET), ByteBudget(OPEN_BUDGET)
        self._uploads = ByteBudget(UPLOAD_BUDGET)

    @asynccontextmanager
    async def read(self, scope: Scope, body: RequestBody, *, is_open: bool) -> AsyncIterator[Receive]:
        """Give the `receive` for the route, and hold the body's memory inside the block.

        is_open: the address needs no token. Raises BodyTooLarge, TooManyRequests, ClientDisconnect.
        """
        method, path = scope["method"], scope["path"]
        if method not in _WITH_BODY and not (method == "DELETE" and path.startswith(_MLFLOW_PREFIXES)):
            yield _receive_none(body.receive)
        elif method == "PUT" and path.startswith((STREAMED_PREFIX, *MLFLOW_UPLOADS)):
            length = Headers(scope=scope).get("content-length", "")
            size = _UPLOAD_COPIES * int(length) if _is_number(length) else UPLOAD_BYTES
            async with self._uploads.hold(min(size, UPLOAD_BYTES)):
                yield body.receive
        elif is_open:
            async with self._read_small(scope, body, self._open, MAX_OPEN_BODY_BYTES, 1) as receive:
                yield receive
        else:
            is_bundle = (method, path) == ("POST", "/artifacts")
            limit, copies = (MAX_BUNDLE_BYTES, _BUNDLE_COPIES) if is_bundle else (MAX_BODY_BYTES, _JSON_COPIES)
            async with self._read_small(scope, body, self._bodies, limit, copies) as receive:
                yield receive

    @asynccontextmanager
    async def _read_small(
        self, scope: Scope, body: RequestBody, budget: ByteBudget, limit: int, copies: int
    ) -> AsyncIterator[Receive]:
        too_large = BodyTooLarge(f"The body is too large for this route; the limit is {limit:,} bytes.")
        length = Headers(scope=scope).get("content-length")
        if length is not None and (not _is_number(length) or int(length) > limit):
            raise too_large
        size = 0 if body.is_read else limit if length is None else int(length)
        async with budget.hold(copies * size):
            content = await _read_up_to(body, limit)
            if content is None:
                raise too_large
            yield _receive_again(content, body.receive)


def open_body(scope: Scope, receive: Receive) -> RequestBody:
    """Return the body of a request, none of which has been read."""
    headers = Headers(scope=scope)
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    body = RequestBody(receive, not has_body)

    async def receive_watched() -> Message:
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            body.is_read = True
        return message

    body.receive = receive_watched
    return body


async def linger(body: RequestBody) -> None:
    """Let a client that sends a refused body find the answer, which it may lose when the connection is reset."""
    size = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while not body.is_read and size < LINGER_BYTES:
                message = await body.receive()
                if message["type"] == "http.disconnect":
                    return
                size += len(message.get("body", b""))


async def _read_up_to(body: RequestBody, limit: int) -> bytes | None:
    """Return the body, None for one that is larger than the limit."""
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await body.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > limit:
            return None
    return b"".join(parts)


def _receive_again(content: bytes, receive: Receive) -> Receive:
    body: bytes | None = content

    async def receive_again() -> Message:
        nonlocal body
        if body is None:
            return await receive()
        message = {"type": "http.request", "body": body, "more_body": False}
        body = None
        return message

    return receive_again


def _receive_none(receive: Receive) -> Receive:
    """Give an empty body, and then only the news that the client has left; what it sends is dropped."""
    is_given = False

    async def receive_disconnect() -> Message:
        nonlocal is_given
        if not is_given:
            is_given = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while (message := await receive())["type"] != "http.disconnect":
            pass
        return message

    return receive_disconnect


def _is_number(text: str) -> bool:
    # Its length is checked first: Python refuses to parse a number of thousands of digits.
    return text.isascii() and text.isdigit() and len(text) < 20
