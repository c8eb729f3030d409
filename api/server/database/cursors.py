"""Cursors: where a list goes on, as text that a caller sends back and does not read."""

import base64
import binascii
import json
from typing import Any

from api.errors import RequestInvalid


def write_cursor(*parts: Any) -> str:
    """Write the sort keys of the last row that was sent."""
    text = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, *types: type) -> list[Any]:
    """Read what write_cursor wrote; raises RequestInvalid when it is not of these types."""
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        parts = None
    if (
        not isinstance(parts, list)
        or len(parts) != len(types)
        or not all(type(part) is wanted and _is_storable(part) for part, wanted in zip(parts, types, strict=True))
    ):
        problem = {"field": "cursor", "given": cursor[:80], "message": "this is not a cursor of this list"}
        raise RequestInvalid("The cursor is not one of this list; start without it.", problems=[problem])
    return parts


def _is_storable(part: Any) -> bool:
    """Whether both databases can compare with this: integers of 64 bits, texts without half characters."""
    if isinstance(part, int):
        return -(2**63) <= part < 2**63
    return not isinstance(part, str) or not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in part)
