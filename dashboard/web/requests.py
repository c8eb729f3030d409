"""What pages read from a request. A page never refuses a query: what it does not understand it leaves out."""

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from api.server.access.authenticator import LOGIN_COOKIE
from api.server.access.scopes import GRANT
from api.server.access.tokens import OPEN
from dashboard.run.heat_maps import Window
from dashboard.timeline.view import CellPlace
from dashboard.web.layout import THEMES, Frame, Theme

THEME_COOKIE = "ganvas_theme"
MAX_ITERATION = 1_000_000_000


def read_frame(request: Request) -> Frame:
    """Return what surrounds the page: its theme, the address that its buttons lead back to, and the login."""
    query = f"?{request.url.query}" if request.url.query else ""
    theme = read_theme(request.cookies.get(THEME_COOKIE))
    # Only a page behind the gate says so: a cookie that has run out is no login.
    is_logged_in = LOGIN_COOKIE in request.cookies and request.scope.get(GRANT, OPEN) is not OPEN
    return Frame(theme, request.url.path + query, is_logged_in)


def read_theme(value: str | None) -> Theme:
    """Return the chosen theme."""
    return next((theme for theme in THEMES if theme == value), "system")


def read_iteration(request: Request, name: str = "iteration") -> int | None:
    """Return the iteration at which the timeline is opened, or that of another name, or None."""
    text = request.query_params.get(name, "")
    return min(int(text), MAX_ITERATION) if text.isascii() and text.isdigit() and len(text) < 20 else None


def read_cell(request: Request) -> CellPlace | None:
    """Return the cell that is followed, `?cell=ROW-COLUMN` or `?row=` and `?column=` of the form, or None."""
    asked = request.query_params
    return find_cell(asked.get("cell", f"{asked.get('row', '')}-{asked.get('column', '')}"))


def find_cell(text: str) -> CellPlace | None:
    """Return the place that ROW-COLUMN names, or None."""
    numbers = text.split("-")
    if len(numbers) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 4 for part in numbers):
        return None
    return CellPlace(*map(int, numbers))


def read_window(request: Request) -> Window:
    """Return the iterations, `?from=` and `?to=`, whose logits are shown."""
    return Window(read_iteration(request, "from"), read_iteration(request, "to"))


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a posted form, the last of each name."""
    text = (await request.body()).decode("utf-8", "replace")
    return dict(parse_qsl(text, keep_blank_values=True))


def read_way_back(path: str) -> str:
    """Return the path on this site to go back to; anything else becomes the list of runs."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_local and path.isprintable() else "/"


FormFields = Annotated[dict[str, str], Depends(read_form)]
