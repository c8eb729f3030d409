"""The documentation of the routes, as one plain page that loads nothing from elsewhere."""

import html
import json
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from api.openapi import build_openapi
from api.security import needs

router = APIRouter(dependencies=needs("read"), include_in_schema=False)

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin: 2.5rem 0 0; font-size: 1rem; }
code, pre { font: 0.875rem/1.5 ui-monospace, monospace; }
pre { overflow-x: auto; padding: 0.75rem; border: 1px solid; }
td, th { padding: 0 1rem 0.25rem 0; text-align: left; vertical-align: top; }
"""


@router.get("/openapi.json")
def get_openapi_schema(request: Request) -> JSONResponse:
    """Return the OpenAPI schema of the REST routes."""
    return JSONResponse(build_openapi(request.app))


@router.get("/docs")
def get_docs(request: Request) -> HTMLResponse:
    """Show the REST routes with their parameters, bodies and errors."""
    schema = build_openapi(request.app)
    operations = "".join(
        _render_operation(method, path, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    )
    title = html.escape(f"{schema['info']['title']} {schema['info']['version']}: REST routes")
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/docs.css"></head>'
        f"<body><h1>{title}</h1><p>{html.escape(schema['info'].get('description', ''))} "
        f'The full schema is at <a href="/openapi.json">/openapi.json</a>.</p>{operations}</body></html>'
    )


@router.get("/docs.css")
def get_docs_style() -> Response:
    """Return the page's style sheet."""
    return Response(_STYLE, media_type="text/css")


def _render_operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = [
        (f"{parameter['in']}: {parameter['name']}", parameter.get("description", ""))
        for parameter in operation.get("parameters", [])
    ]
    rows += [
        (f"answer {status}", answer.get("description", "")) for status, answer in operation["responses"].items()
    ]
    cells = "".join(f"<tr><td><code>{html.escape(k)}</code></td><td>{html.escape(v)}</td></tr>" for k, v in rows)
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    example = ""
    if "example" in body:
        example = f"<pre>{html.escape(json.dumps(body['example'], indent=2))}</pre>"
    return (
        f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>"
        f"<p>{html.escape(operation.get('description', ''))}</p>{example}<table>{cells}</table>"
    )
