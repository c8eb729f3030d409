"""Errors as JSON: one shape for every one of them."""

import gzip
import math
import secrets
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api.errors import ServiceError
from api.server.access.scopes import SECURITY_HEADERS

# Digits shrink by half. A small answer fits a packet anyhow; a large one would take longer to shrink than to send.
_COMPRESSION = 5
_MIN_COMPRESSED = 1_000
_MAX_COMPRESSED = 500_000


class ErrorBody(BaseModel):
    """What went wrong. `id` names this one occurrence in the service's log."""

    code: str
    message: str
    details: dict[str, Any]
    id: str


class ErrorRead(BaseModel):
    """The body of every answer that is an error."""

    error: ErrorBody


def make_error_id() -> str:
    """Return a new name for one occurrence."""
    return secrets.token_hex(6)


def error_response(error: ServiceError, error_id: str | None = None) -> JSONResponse:
    """Render an error."""
    body = {
        "code": error.code,
        "message": error.text,
        "details": error.details,
        "id": error_id or make_error_id(),
    }
    # Also here, not by the gate alone: the answer to an unforeseen failure is made outside of it.
    headers = {name.decode(): value.decode() for name, value in SECURITY_HEADERS}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="Ganvas"'
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["retry-after"] = str(math.ceil(error.details.get("retry_after_seconds", 1)))
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = "1"
    return JSONResponse({"error": body}, error.status, headers)


def json_response(request: Request, body: bytes) -> Response:
    """Send JSON that is written already, compressed where the reader takes that and it is worth the time."""
    headers = {"vary": "Accept-Encoding"}
    if _MIN_COMPRESSED < len(body) <= _MAX_COMPRESSED and accepts_gzip(request):
        body = gzip.compress(body, _COMPRESSION)
        headers["content-encoding"] = "gzip"
    return Response(body, headers=headers, media_type="application/json")


def columns_response(request: Request, body: bytes, media_type: str) -> Response:
    """Send columns of numbers for drawing; whole numbers and zeros among them shrink."""
    headers = {"vary": "Accept-Encoding"}
    if _MIN_COMPRESSED < len(body) <= _MAX_COMPRESSED and accepts_gzip(request):
        body = gzip.compress(body, 1)
        headers["content-encoding"] = "gzip"
    return Response(body, headers=headers, media_type=media_type)


def accepts_gzip(request: Request) -> bool:
    """Whether the answer may be compressed."""
    return "gzip" in request.headers.get("accept-encoding", "")


def documented(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says about these errors of a route."""
    by_status: dict[int | str, list[str]] = {}
    for error in errors:
        by_status.setdefault(error.status, []).append(f"`{error.code}`: {error.message}")
    return {status: {"model": ErrorRead, "description": "\n\n".join(texts)} for status, texts in by_status.items()}
