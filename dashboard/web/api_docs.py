"""The REST routes as a page: parameters, bodies and answers, from the OpenAPI schema."""

import json
from dataclasses import dataclass
from typing import Any

from dashboard.web.layout import Frame

# What FastAPI writes where a route describes no answer.
PLAIN_ANSWER = "Successful Response"


@dataclass(frozen=True)
class PartView:
    """A parameter or an answer of a route: its name, and what it means."""

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
