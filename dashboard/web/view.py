"""The pages that belong to no run: the REST routes, the login, and an error."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from dashboard.web.layout import Frame

# FastAPI's text for a route that describes no answer.
PLAIN_ANSWER = "Successful Response"
# Said instead of messages that are written for those who call the API.
SENTENCES = {
    403: (
        "Your token may read, but not do this. An administrator of the service creates one that may: "
        "ganvas token create --scope user --name you."
    ),
    404: "There is no page at this address. It may be mistyped, or the run was deleted.",
    405: "This address does not answer this kind of request.",
    500: "Something went wrong in the service; its log has the details.",
}


@dataclass(frozen=True)
class PartView:
    """A parameter or an answer of a route: its name and its description."""

    name: str
    text: str


@dataclass(frozen=True)
class RouteView:
    """One route; `example` is a body as JSON text, or empty."""

    method: str
    path: str
    anchor: str
    paragraphs: list[str]
    example: str
    parameters: list[PartView]
    answers: list[PartView]


@dataclass(frozen=True)
class DocsPage:
    """All routes of the service."""

    title: str
    frame: Frame
    version: str
    description: str
    routes: list[RouteView]


def build_docs_page(schema: dict[str, Any], frame: Frame) -> DocsPage:
    """Return the page of an OpenAPI schema."""
    return DocsPage(
        title="API",
        frame=frame,
        version=schema["info"]["version"],
        description=schema["info"].get("description", ""),
        routes=[
            _route(method, path, operation)
            for path, methods in schema["paths"].items()
            for method, operation in methods.items()
        ],
    )


def _route(method: str, path: str, operation: dict[str, Any]) -> RouteView:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return RouteView(
        method=method.upper(),
        path=path,
        anchor=operation["operationId"],
        paragraphs=[text for text in operation.get("description", "").split("\n\n") if text],
        example=json.dumps(body["example"], indent=2, ensure_ascii=False) if "example" in body else "",
        parameters=[
            PartView(f"{parameter['name']} ({parameter['in']})", parameter.get("description", ""))
            for parameter in operation.get("parameters", [])
        ],
        answers=[
            PartView(status, answer.get("description", "").replace(PLAIN_ANSWER, "Done."))
            for status, answer in operation["responses"].items()
        ],
    )


@dataclass(frozen=True)
class LoginPage:
    """A field for the token, why the last one was refused, and the address to return to afterwards.

    is_closed: whether this service requires tokens.
    """

    title: str
    frame: Frame
    problem: str
    back: str
    is_closed: bool


def build_login_page(back: str, frame: Frame, problem: str = "", *, is_closed: bool = True) -> LoginPage:
    """Return the page."""
    return LoginPage(title="Log in", frame=frame, problem=problem, back=back, is_closed=is_closed)


@dataclass(frozen=True)
class ErrorPage:
    """One error: its name, its status, and a sentence."""

    title: str
    frame: Frame
    status: int
    message: str


def build_error_page(status: int, message: str, frame: Frame, *, is_usual: bool = True) -> ErrorPage:
    """Return the page of one error; the sentence of its status, if there is one, replaces a usual message."""
    phrase = HTTPStatus(status).phrase
    return ErrorPage(
        title=phrase[0] + phrase[1:].lower(),
        frame=frame,
        status=status,
        message=(SENTENCES.get(status) if is_usual else None) or message or phrase,
    )
