"""The fields in which two specs differ, as dotted paths (no torch)."""

import json
from collections.abc import Iterator
from typing import Any

_MAX_SHOWN = 3
_MAX_LENGTH = 60
_ABSENT = object()


def describe_differences(there: Any, here: Any) -> str:
    """Return the first fields that differ, as `batch_size (16 there, 17 here)`, and how many more do.

    there, here: specs as JSON has them. Empty where they are equal.
    """
    found = list(_differences(there, here, ""))
    parts = [f"{path} ({_show(old)} there, {_show(new)} here)" for path, old, new in found[:_MAX_SHOWN]]
    if len(found) > _MAX_SHOWN:
        parts.append(f"{len(found) - _MAX_SHOWN} more")
    return ", ".join(parts)


def _differences(there: Any, here: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield path and both values; lists of unequal length, and sections of unequal kinds, differ as a whole."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in dict.fromkeys([*here, *there]):
            below = f"{path}.{key}" if path else str(key)
            yield from _differences(there.get(key, _ABSENT), here.get(key, _ABSENT), below)
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for index, (old, new) in enumerate(zip(there, here, strict=True)):
            yield from _differences(old, new, f"{path}.{index}")
    elif there is _ABSENT or here is _ABSENT or there != here:
        yield path, there, here


def _show(value: Any) -> str:
    if value is _ABSENT:
        return "none"
    if isinstance(value, list):
        return f"{len(value)} item{'' if len(value) == 1 else 's'}"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | bool) or value is None else str(value)
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 1]}…"
