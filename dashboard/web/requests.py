"""Reads the parts of a request that several pages share. Pages ignore unknown values of known fields."""

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from api.server.access.authenticator import LOGIN_COOKIE
from api.server.access.grants import LIMIT, OPEN_GRANT, Grant
from api.server.access.scopes import GRANT
from api.server.sharing.gate import PREFIX as SHARE_PREFIX
from api.server.sharing.gate import SHARED
from api.server.sharing.queries import SharedPage
from dashboard.web.formats import show_moment
from dashboard.web.layout import THEMES, Frame, Theme

THEME_COOKIE = "ganvas_theme"
MAX_ITERATION = 1_000_000_000
YEAR_SECONDS = 31_536_000
# Fields of an address that scripts write, of charts and of sliders, and that the service only lets pass.
SCRIPT_FIELDS = ("slider", "smoothing", "scale", "values", "zoom")


def read_frame(request: Request) -> Frame:
    """Return the surroundings of the page: its theme, the address to return to, and the login."""
    query = f"?{request.url.query}" if request.url.query else ""
    theme = read_theme(request.cookies.get(THEME_COOKIE))
    shared: SharedPage | None = request.scope.get(SHARED)
    if shared is not None or request.url.path.startswith(SHARE_PREFIX):
        until = show_moment(shared.expires_at) if shared is not None else ""
        return Frame(theme, request.url.path + query, is_reader=True, is_alone=True, shared_until=until)
    # Only on a page that needs a token: a cookie that has expired is no login.
    is_logged_in = LOGIN_COOKIE in request.cookies and request.scope.get(GRANT, OPEN_GRANT) is not OPEN_GRANT
    is_limited = LIMIT in request.scope
    return Frame(theme, request.url.path + query, is_logged_in, is_reader(request), is_limited=is_limited)


def is_reader(request: Request) -> bool:
    """Return whether the request may read and do nothing else."""
    grant: Grant = request.scope.get(GRANT, OPEN_GRANT)
    return "read" in grant.scopes and "user" not in grant.scopes


def read_theme(value: str | None) -> Theme:
    """Return the chosen theme."""
    return next((theme for theme in THEMES if theme == value), "system")


def read_iteration(request: Request, name: str = "iteration") -> int | None:
    """Return the iteration that the query gives under this name, or None."""
    text = request.query_params.get(name, "")
    return min(int(text), MAX_ITERATION) if text.isascii() and text.isdigit() and len(text) < 20 else None


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a posted form, the last of each name."""
    text = (await request.body()).decode("utf-8", "replace")
    return dict(parse_qsl(text, keep_blank_values=True))


def read_way_back(path: str) -> str:
    """Return the path on this site to go back to; anything else becomes the list of runs."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_local and path.isprintable() else "/"


FormFields = Annotated[dict[str, str], Depends(read_form)]
