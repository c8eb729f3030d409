"""Pages of a list, and the cursors that mark where the next page begins: opaque text that a caller sends back."""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import Session

from api.errors import RequestInvalid
from api.server.http.schemas import Page

Row = TypeVar("Row")
Item = TypeVar("Item")


def read_page(
    session: Session,
    query: Select[Row],
    limit: int,
    show: Callable[[Row], Item],
    sort_key: Callable[[Row], tuple[Any, ...]],
) -> Page[Item]:
    """Return the first `limit` rows of an ordered query as a page; its `next` holds the last row's sort key."""
    rows = list(session.scalars(query.limit(limit + 1)))
    page = rows[:limit]
    following = write_cursor(*sort_key(page[-1])) if len(rows) > limit else None
    return Page(items=[show(row) for row in page], next=following)


def write_cursor(*parts: Any) -> str:
    """Write the sort key of the last row that was sent."""
    text = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, *types: type) -> list[Any]:
    """Read the output of write_cursor; raises RequestInvalid when its parts are not of these types."""
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        parts = None
    if (
        not isinstance(parts, list)
        or len(parts) != len(types)
        or not all(
            type(part) is expected and _is_storable(part) for part, expected in zip(parts, types, strict=True)
        )
    ):
        raise foreign_cursor(cursor)
    return parts


def foreign_cursor(cursor: str) -> RequestInvalid:
    """Return the error for a cursor that this list did not write."""
    problem = {"field": "cursor", "given": cursor[:80], "message": "this is not a cursor of this list"}
    return RequestInvalid("The cursor does not belong to this list; leave it out to start.", problems=[problem])


def _is_storable(part: Any) -> bool:
    """Return whether both databases can compare with this value: 64-bit integers, text without surrogates."""
    if isinstance(part, int):
        return -(2**63) <= part < 2**63
    return not isinstance(part, str) or not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in part)
