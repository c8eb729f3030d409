"""What every database can store and read again: texts without U+0000 and lone surrogates, integers of 64 bits.

SQLite takes more than PostgreSQL, and JSON more than both, so a value is checked before either sees it.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ganlib.errors import Problem

LEAST_INTEGER, LARGEST_INTEGER = -(2**63), 2**63 - 1
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
UNSTORABLE_TEXT = "contains U+0000 or half of a surrogate pair, which databases cannot store; remove it"
UNSTORABLE_NUMBER = "must fit into 64 bits"

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_MAX_GIVEN = 80


def is_storable(text: str) -> bool:
    """Return whether both databases can store this text."""
    return _UNSTORABLE.search(text) is None


def replace_unstorable(text: str) -> str:
    """Return the text with U+FFFD for each character that cannot be stored."""
    return _UNSTORABLE.sub(REPLACEMENT, text)


def replace_all(value: Any) -> Any:
    """Return the JSON value with `replace_unstorable` applied to each text, names of fields included."""
    if isinstance(value, str):
        return replace_unstorable(value)
    if isinstance(value, Mapping):
        return {replace_unstorable(name): replace_all(part) for name, part in value.items()}
    return [replace_all(part) for part in value] if isinstance(value, (list, tuple)) else value


def find_unstorable(value: Any, field: str = "", *, numbers: bool = True) -> Problem | None:
    """Return the first text or number of a JSON value that cannot be stored, by the path of its field.

    numbers: whether numbers are looked at, too.
    """
    if isinstance(value, str):
        return None if is_storable(value) else _problem(field, value, UNSTORABLE_TEXT)
    if numbers and isinstance(value, (int, float)):
        return _check_number(value, field)
    parts: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, (list, tuple)):
        parts = enumerate(value)
    for name, part in parts:
        inner = replace_unstorable(f"{field}.{name}").lstrip(".")
        problem = find_unstorable(name, inner, numbers=False) or find_unstorable(part, inner, numbers=numbers)
        if problem is not None:
            return problem
    return None


def _check_number(value: float, field: str) -> Problem | None:
    if isinstance(value, int):
        return None if LEAST_INTEGER <= value <= LARGEST_INTEGER else _problem(field, value, UNSTORABLE_NUMBER)
    return None if math.isfinite(value) else _problem(field, value, "must be a finite number")


def _problem(field: str, given: str | float, message: str) -> Problem:
    # repr of an integer of thousands of digits raises.
    shown = f"an integer of {given.bit_length():,} bits" if isinstance(given, int) else repr(given)
    return Problem(field, shown if len(shown) <= _MAX_GIVEN else shown[: _MAX_GIVEN - 1] + "…", message)
