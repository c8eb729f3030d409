"""Errors as pages for those who asked for one; everyone else gets the service's JSON."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.errors import ServiceError
from dashboard.web.layout import Frame
from dashboard.web.rendering import Renderer
from dashboard.web.requests import read_frame

# For the sentences that are written for those who call the API.
SENTENCES = {
    403: (
        "The token that you are logged in with may look, but not do this. Whoever runs the service makes one "
        "that may: ganvas token create --scope user --name you."
    ),
    404: "There is nothing at this address. It may have been mistyped, or the run was removed.",
    405: "This address does not answer this kind of request.",
    500: "Something went wrong in the service; its log has the details.",
}


@dataclass(frozen=True)
class ErrorPage:
    """One error: what it is, in a sentence, and the status."""

    title: str
    frame: Frame
    status: int
    message: str


def build_error_page(status: int, message: str, frame: Frame, *, is_usual: bool = True) -> ErrorPage:
    """Return the page of one error; the sentence of its status, if there is one, stands for a usual message."""
    phrase = HTTPStatus(status).phrase
    return ErrorPage(
        title=phrase[0] + phrase[1:].lower(),
        frame=frame,
        status=status,
        message=(SENTENCES.get(status) if is_usual else None) or message or phrase,
    )


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
