"""Files that are sent are closed, whatever the reader does."""

import asyncio
import io
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from api.artifacts.routes import FileStream


def test_file_is_closed_when_the_reader_leaves_before_the_first_byte() -> None:
    file = io.BytesIO(b"content")

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        raise OSError("the reader is gone")

    response = FileStream(file, {}, "image/png")
    with pytest.raises(ClientDisconnect):
        asyncio.run(response({"type": "http", "asgi": {"spec_version": "2.4"}}, receive, send))
    assert file.closed
