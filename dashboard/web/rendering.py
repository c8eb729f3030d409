"""Templates to HTML, and the headers that every page goes out with."""

import re
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import BytecodeCache, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from jinja2.bccache import Bucket
from jinja2.ext import Extension
from starlette.requests import Request
from starlette.responses import HTMLResponse

from api.server.access.grants import Scope
from api.server.access.proxies import ROOT
from api.server.http.responses import compress_body
from api.server.http.root_path import move_below
from api.server.services import Services
from dashboard.web.layout import LinkView
from dashboard.web.requests import is_reader
from dashboard.web.static_files import StaticTree
from ganlib import vocabulary

# A table of runs shrinks to a twentieth even at a level that costs under a millisecond.
COMPRESSION = 3
ROOMS = Path(__file__).parents[1]
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


# Attributes of templates that hold an address; all of the service's own begin with a slash.
_ADDRESS = re.compile(
    r'(?P<name>\s(?:href|src|action|formaction|data-src|data-url|data-run-url|data-metrics-url)=")'
    r"(?:(?P<slash>/)|\{\{(?P<expression>[^{}]*)\}\})"
)
# The path prefix of the page that this thread renders.
_root: ContextVar[str] = ContextVar("ganvas_page_root", default="")


class AddressesBelowRoot(Extension):
    """Writes every address of a template below the page's path prefix, so that no link can forget it."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return the template's source with the prefix in each attribute that holds an address."""
        return _ADDRESS.sub(_put_below_root, source)


def _put_below_root(match: re.Match[str]) -> str:
    if match["slash"]:
        return f"{match['name']}{{{{ page_root() }}}}/"
    return f"{match['name']}{{{{ ({match['expression']}) | below_root }}}}"


class CompiledTemplates(BytecodeCache):
    """Compiled templates, kept for all applications of a process: compiling is most of a page's first answer."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give the code of a template whose source is the same."""
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of a template."""
        self._code[bucket.key, bucket.checksum] = bucket.code


_COMPILED = CompiledTemplates()


def build_environment() -> Environment:
    """Return the templates of all rooms, without what an application puts into them."""
    environment = Environment(
        loader=load_rooms(ROOMS),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=[AddressesBelowRoot],
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_COMPILED,
    )
    environment.globals.update(page_root=_root.get, vocabulary=vocabulary)
    environment.filters.update(below_root=lambda address: move_below(_root.get(), str(address)))
    return environment


def load_rooms(root: Path) -> PrefixLoader:
    """Return the templates of every folder below `root` that has some: `run/page.html` lies in `run/templates`."""
    folders = sorted(root.glob("*/templates"))
    return PrefixLoader({folder.parent.name: FileSystemLoader(folder) for folder in folders})


class Renderer:
    """Renders a template for one page object, below links to the rooms (text, address and scope of each)."""

    def __init__(self, static: StaticTree, navigation: Sequence[tuple[str, str, Scope]]) -> None:
        self._navigation = navigation
        self._environment = build_environment()
        self._environment.globals.update(static=static.url, module_urls=static.module_urls)

    def render_page(self, request: Request, template: str, page: Any, status: int = 200) -> HTMLResponse:
        """Return the template filled with `page`, and nothing else; compressed where the browser takes that."""
        navigation = [
            LinkView(text, href, href == request.url.path)
            for text, href, scope in self._navigation
            if not (scope == "user" and is_reader(request))
        ]
        token = _root.set(request.scope.get(ROOT, ""))
        try:
            html = self._render(template, page, navigation)
        finally:
            _root.reset(token)
        body, headers = compress_body(request, html, PAGE_HEADERS, level=COMPRESSION, largest=None)
        return HTMLResponse(body, status, headers)

    def render_file(self, template: str, page: Any) -> bytes:
        """Return the template filled with `page` as a file that stands alone: it leads nowhere."""
        return self._render(template, page, [])

    def _render(self, template: str, page: Any, navigation: Sequence[LinkView]) -> bytes:
        return self._environment.get_template(template).render(page=page, navigation=navigation).encode()


@dataclass(frozen=True)
class Site:
    """Everything that the routes of a room are built with."""

    services: Services
    static: StaticTree
    renderer: Renderer
