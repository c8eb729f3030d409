"""Reads the service's event stream (server-sent events) with httpx."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import ValidationError

from api.client.transport import Transport, UnexpectedAnswer
from api.events.schemas import StreamEvent

if TYPE_CHECKING:
    import httpx

# The service sends a comment at least this often, so a longer silence is a dead connection.
STREAM_SILENCE_SECONDS = 45.0


def read_stream(transport: Transport, path: str, after: int | None = None) -> Iterator[StreamEvent | None]:
    """Yield the messages after the event with id `after`, and None for each comment that keeps it alive."""
    headers = {"Accept": "text/event-stream"}
    if after is not None:
        headers["Last-Event-ID"] = str(after)
    timeout = (5.0, STREAM_SILENCE_SECONDS, STREAM_SILENCE_SECONDS, STREAM_SILENCE_SECONDS)
    with transport.stream(path, headers=headers, timeout=timeout) as response:
        data: list[str] = []
        for line in response.iter_lines():
            if line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))
            elif line.startswith(":"):
                yield None
            elif not line and data:
                yield _read_message(transport, response, "\n".join(data))
                data = []


def _read_message(transport: Transport, response: "httpx.Response", data: str) -> StreamEvent:
    try:
        return StreamEvent.model_validate_json(data)
    except ValidationError as error:
        raise UnexpectedAnswer(transport.url, response.status_code) from error
