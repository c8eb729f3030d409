"""Errors as pages for those who asked for one; everyone else gets the service's JSON."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.errors import ServiceError
from dashboard.rendering import Renderer
from dashboard.requests import read_frame
from dashboard.views.errors import build_error_page

Handler = Callable[[Request, Exception], Response | Awaitable[Response]]


def wants_page(request: Request) -> bool:
    """Whether a browser shows the answer to a person."""
    return "text/html" in request.headers.get("accept", "")


def show_errors_as_pages(app: FastAPI, renderer: Renderer) -> None:
    """Put a page in front of each of the service's error handlers, for requests that want one."""
    for error in (ServiceError, HTTPException, RequestValidationError, Exception):
        present = cast(Handler | None, app.exception_handlers.get(error))
        if present is not None:
            app.add_exception_handler(error, _page_before(present, renderer))


def _page_before(present: Handler, renderer: Renderer) -> Any:
    async def handle(request: Request, error: Exception) -> Response:
        answer = present(request, error)
        response = await answer if isinstance(answer, Awaitable) else answer
        if not wants_page(request):
            return response
        text = error.text if isinstance(error, ServiceError) else ""
        # What was written for this very case is said; an error's usual words are for those who call the API.
        is_usual = not text or text == getattr(error, "message", "")
        page = build_error_page(response.status_code, text, read_frame(request), is_usual=is_usual)
        return renderer.render_page(request, "error.html", page, response.status_code)

    return handle
