"""Answers: every error as JSON of one shape, and bodies compressed where that saves time."""

import gzip
import math
import secrets
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from itertools import chain
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.errors import JobAmbiguous, JobNotFound, ServiceError
from api.server.access.origins import SECURITY_HEADERS

# Digits shrink by half. A small answer fits into a packet; a large one takes longer to compress than to send.
COMPRESSION = 5
MIN_COMPRESSED = 1_000
MAX_COMPRESSED = 500_000


class ErrorBody(BaseModel):
    """One error. `id` identifies this occurrence in the service's log."""

    code: str
    message: str
    details: dict[str, Any]
    id: str


class ErrorRead(BaseModel):
    """Body of every error answer."""

    error: ErrorBody


def make_error_id() -> str:
    """Return a new id for one occurrence of an error."""
    return secrets.token_hex(6)


def error_response(error: ServiceError, error_id: str | None = None) -> JSONResponse:
    """Return an error as an answer."""
    body = {
        "code": error.code,
        "message": error.text,
        "details": error.details,
        "id": error_id or make_error_id(),
    }
    # Also here, not only in AccessMiddleware: the answer to an unexpected exception is built outside of it.
    headers = {name.decode(): value.decode() for name, value in SECURITY_HEADERS}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="Ganvas"'
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["retry-after"] = str(math.ceil(error.details.get("retry_after_seconds", 1)))
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = "1"
    return JSONResponse({"error": body}, error.status, headers)


def compressed_response(
    request: Request,
    body: bytes,
    media_type: str,
    headers: Mapping[str, str] | None = None,
    *,
    level: int = COMPRESSION,
    largest: int | None = MAX_COMPRESSED,
) -> Response:
    """Return an answer with this body, compressed as `compress_body` does."""
    sent, sent_headers = compress_body(request, body, headers, level=level, largest=largest)
    return Response(sent, headers=sent_headers, media_type=media_type)


class PartStream(StreamingResponse):
    """Sends pieces as they are made; `parts` is closed with the answer, also when the client has left."""

    def __init__(self, parts: Generator[bytes], first: Iterable[bytes], media_type: str) -> None:
        self._parts = parts
        super().__init__(chain(first, parts), media_type=media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            # A thread may still be making the last piece; what `parts` holds then ends with it.
            with suppress(ValueError):
                self._parts.close()


def streamed_response(
    request: Request, parts: Generator[bytes], media_type: str, *, level: int | None = COMPRESSION
) -> Response:
    """Return an answer made of these pieces; only a small one is whole in memory, and compressed at this level."""
    first: list[bytes] = []
    for part in parts:
        first.append(part)
        if sum(map(len, first)) > MAX_COMPRESSED:
            return PartStream(parts, first, media_type)
    body = b"".join(first)
    if level is None:
        return Response(body, media_type=media_type)
    return compressed_response(request, body, media_type, level=level)


def compress_body(
    request: Request,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    *,
    level: int = COMPRESSION,
    largest: int | None = MAX_COMPRESSED,
) -> tuple[bytes, dict[str, str]]:
    """Return body and headers to send: compressed where the client accepts gzip and compression saves time.

    largest: a body of more bytes is sent as it is; None compresses bodies of any size.
    """
    sent = {**(headers or {}), "Vary": "Accept-Encoding"}
    if len(body) <= MIN_COMPRESSED or (largest is not None and len(body) > largest) or not accepts_gzip(request):
        return body, sent
    return gzip.compress(body, level), {**sent, "Content-Encoding": "gzip"}


def accepts_gzip(request: Request) -> bool:
    """Return whether the client accepts gzip."""
    return "gzip" in request.headers.get("accept-encoding", "")


def documented(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of these errors of a route."""
    # Where a job is named, the beginning of its id suffices.
    if JobNotFound in errors:
        errors = (*errors, JobAmbiguous)
    by_status: dict[int | str, list[str]] = {}
    for error in errors:
        by_status.setdefault(error.status, []).append(f"`{error.code}`: {error.message}")
    return {status: {"model": ErrorRead, "description": "\n\n".join(texts)} for status, texts in by_status.items()}
