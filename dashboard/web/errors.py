"""Errors as pages for requests of a browser; everyone else gets the service's JSON."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.errors import ServiceError, ShareNotFound
from dashboard.web.rendering import Renderer
from dashboard.web.requests import read_frame
from dashboard.web.view import build_error_page

Handler = Callable[[Request, Exception], Response | Awaitable[Response]]


def show_errors_as_pages(app: FastAPI, renderer: Renderer) -> None:
    """Put a page in front of each of the service's error handlers, for requests that want one."""
    for error in (ServiceError, HTTPException, RequestValidationError, Exception):
        json_handler = cast(Handler | None, app.exception_handlers.get(error))
        if json_handler is not None:
            app.add_exception_handler(error, _page_before(json_handler, renderer))


def wants_page(request: Request) -> bool:
    """Whether a browser shows the answer to a person."""
    return "text/html" in request.headers.get("accept", "")


def _page_before(json_handler: Handler, renderer: Renderer) -> Any:
    async def handle(request: Request, error: Exception) -> Response:
        answer = json_handler(request, error)
        response = await answer if isinstance(answer, Awaitable) else answer
        if not wants_page(request):
            return response
        text = error.text if isinstance(error, ServiceError) else ""
        # A message for this very case is shown; an error's usual message is for those who call the API.
        is_usual = not isinstance(error, ShareNotFound) and text in ("", getattr(error, "message", ""))
        page = build_error_page(response.status_code, text, read_frame(request), is_usual=is_usual)
        return renderer.render_page(request, "web/error.html", page, response.status_code)

    return handle
