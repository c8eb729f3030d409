"""Templates to HTML, and the headers that every page goes out with."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from dashboard.static_files import StaticTree

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

    def render_page(self, template: str, page: Any, status: int = 200) -> HTMLResponse:
        """Return the template filled with `page`, and nothing else."""
        html = self._environment.get_template(template).render(page=page)
        return HTMLResponse(html, status_code=status, headers=PAGE_HEADERS)
