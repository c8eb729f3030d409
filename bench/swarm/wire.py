"""A lean HTTP/1.1 client for many connections in one process: its own cost must not disturb the measurement."""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Self


class WireError(Exception):
    """The connection broke, or the answer is not HTTP."""


@dataclass
class Tally:
    """The answers of one stage on all connections: seconds and failures, by kind of request."""

    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))


class Wire:
    """One kept connection; `tally` is replaced between stages."""

    tally = Tally()

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(
        self,
        kind: str,
        method: str,
        path: str,
        token: str,
        body: bytes = b"",
        media_type: str = "application/json",
    ) -> tuple[int, bytes]:
        """Send a request and return status and body; time and failure are noted under its kind."""
        begin = time.perf_counter()
        try:
            # Not wait_for: in Python 3.11 it may swallow the cancellation that ends the swarm.
            async with asyncio.timeout(60):
                status, content = await self._ask_again(method, path, token, body, media_type)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, WireError) as error:
            self.close()
            self.tally.errors[f"{kind}: {type(error).__name__}"] += 1
            raise WireError(kind) from error
        self.tally.seconds[kind].append(time.perf_counter() - begin)
        if status >= 400:
            self.tally.errors[f"{kind}: {status}"] += 1
        return status, content

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _ask_again(self, *request: Any) -> tuple[int, bytes]:
        """Ask; a server may have closed a connection that was kept for long, then on another one."""
        is_kept = self._writer is not None
        try:
            return await self._ask(*request)
        except (ConnectionError, asyncio.IncompleteReadError):
            if not is_kept:
                raise
            self.close()
            return await self._ask(*request)

    async def _ask(self, method: str, path: str, token: str, body: bytes, media_type: str) -> tuple[int, bytes]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        await self._writer.drain()
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(answer.split(" ", 2)[1])
        _, named, rest = answer.partition("content-length:")
        if not named and status != 204:
            raise WireError("an answer without a length")
        content = await self._reader.readexactly(int(rest.split("\r\n", 1)[0])) if named else b""
        if "connection: close" in answer:
            self.close()
        return status, content

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.close()
