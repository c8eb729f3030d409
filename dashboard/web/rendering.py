"""Templates to HTML, and the headers that every page goes out with."""

import gzip
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.server.http.responses import accepts_gzip
from dashboard.web.static_files import StaticTree

# A table of runs shrinks to a twentieth even at a level that costs under a millisecond.
COMPRESSION = 3
TEMPLATES = Path(__file__).parent / "templates"
# Nothing but our own files: no inline script or style, no frame, no other origin.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
PAGE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    # With no-referrer a browser would send our own forms with `Origin: null`, which the service refuses.
    "Referrer-Policy": "same-origin",
    # The theme is in a cookie and a run changes by the second: a page is never taken from a cache.
    "Cache-Control": "no-store",
    "Vary": "Accept-Encoding",
}


class Renderer:
    """Renders a template for one page object."""

    def __init__(self, static: StaticTree) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(static=static.url, modules=static.modules)

    def render_page(self, request: Request, template: str, page: Any, status: int = 200) -> HTMLResponse:
        """Return the template filled with `page`, and nothing else; compressed where the browser takes that."""
        html = self._environment.get_template(template).render(page=page).encode()
        if not accepts_gzip(request):
            return HTMLResponse(html, status, PAGE_HEADERS)
        return HTMLResponse(gzip.compress(html, COMPRESSION), status, {**PAGE_HEADERS, "Content-Encoding": "gzip"})


def compress_response(request: Request, content: bytes, media_type: str, headers: dict[str, str]) -> Response:
    """Return text that is no page, compressed where the browser takes that."""
    headers = {**headers, "Vary": "Accept-Encoding"}
    if not accepts_gzip(request):
        return Response(content, headers=headers, media_type=media_type)
    compressed = gzip.compress(content, COMPRESSION)
    return Response(compressed, headers={**headers, "Content-Encoding": "gzip"}, media_type=media_type)
