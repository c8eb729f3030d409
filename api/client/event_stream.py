"""Reads the service's event stream (server-sent events) with httpx."""

from collections.abc import AsyncGenerator, Iterator
from typing import Any

from pydantic import ValidationError

from api.client.transport import AsyncTransport, Transport, UnexpectedAnswer
from api.events.schemas import StreamEvent

# The service sends a comment at least this often, so a longer silence is a dead connection.
STREAM_SILENCE_SECONDS = 45.0


class _LineReader:
    """Puts the lines of a stream together; `read` returns what a line completes."""

    def __init__(self, url: str, status: int) -> None:
        self._url, self._status = url, status
        self._data: list[str] = []

    def read(self, line: str) -> list[StreamEvent | None]:
        """Return a message, None for a comment that keeps the connection alive, or nothing, in a list."""
        if line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))
        elif line.startswith(":"):
            return [None]
        elif not line and self._data:
            data, self._data = "\n".join(self._data), []
            try:
                return [StreamEvent.model_validate_json(data)]
            except ValidationError as error:
                raise UnexpectedAnswer(self._url, self._status) from error
        return []


def _options(after: int | None) -> dict[str, Any]:
    headers = {"Accept": "text/event-stream"}
    if after is not None:
        headers["Last-Event-ID"] = str(after)
    timeout = (5.0, STREAM_SILENCE_SECONDS, STREAM_SILENCE_SECONDS, STREAM_SILENCE_SECONDS)
    return {"headers": headers, "timeout": timeout}


def read_stream(transport: Transport, path: str, after: int | None = None) -> Iterator[StreamEvent | None]:
    """Yield the messages after the event with id `after`, and None for each comment that keeps it alive."""
    with transport.stream(path, **_options(after)) as response:
        reader = _LineReader(transport.url, response.status_code)
        for line in response.iter_lines():
            yield from reader.read(line)


async def read_stream_async(
    transport: AsyncTransport, path: str, after: int | None = None
) -> AsyncGenerator[StreamEvent | None, None]:
    """Yield the same as `read_stream`."""
    async with transport.stream(path, **_options(after)) as response:
        reader = _LineReader(transport.url, response.status_code)
        async for line in response.aiter_lines():
            for message in reader.read(line):
                yield message
