"""Specs' texts as plain values: mappings, lists, texts, numbers, true, false and null.

Where a spec's field asks for text, a scalar without quotes is taken as it is written: `commit: 0012345`.
"""

import json
from collections.abc import Collection
from typing import Any

from ganlib.spec.documents.nodes import (
    MAX_DEPTH,
    MAX_NODES,
    TOO_DEEP,
    TOO_MANY,
    Mapping,
    Node,
    Scalar,
    Sequence,
    Unreadable,
)
from ganlib.spec.documents.scalars import NULLS, read_float, read_scalar

_MAX_SHOWN = 60


def read_yaml(text: str, text_fields: Collection[str] = (), path: str = "") -> Any:
    """Return what the YAML text says, None if it is empty; raises Unreadable.

    text_fields: dotted paths, without places in lists, at which a plain scalar is text. path: the text's own.
    """
    # PyYAML is loaded with the first text: a client or a service that reads none does without.
    from ganlib.spec.documents.compose import compose

    node = compose(text)
    return None if node is None else _build(node, path, text_fields)


def read_json(text: str | bytes) -> Any:
    """Return what the JSON text says; raises Unreadable, and ValueError where it is no JSON.

    NaN and infinities are taken, so that a spec's own check can name their field.
    """
    try:
        value = json.loads(text, object_pairs_hook=_read_object, parse_float=read_float)
    except RecursionError:
        raise Unreadable(TOO_DEEP) from None
    _check_limits(value)
    return value


def _build(node: Node, path: str, text_fields: Collection[str]) -> Any:
    match node:
        case Sequence():
            return [_build(item, path, text_fields) for item in node.items]
        case Mapping():
            below = f"{path}." if path else ""
            return {
                name: _build(child, f"{below}{name}", text_fields) for name, child in _list_fields(node).items()
            }
        case Scalar() if node.is_plain and node.tag is None and path in text_fields:
            # An empty value and null are no texts.
            return None if node.text in NULLS else node.text
        case Scalar():
            return read_scalar(node)
    raise TypeError(node)


def _list_fields(node: Mapping) -> dict[str, Node]:
    """Return a mapping's own fields after those that it merges, of which the first one named counts."""
    fields: dict[str, Node] = {}
    for merged in reversed(node.merged):
        fields |= _list_fields(merged)
    return fields | node.fields


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Read an object without repeated fields: readers disagree on which of two values counts."""
    read = dict(pairs)
    if len(read) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        shown = twice[:_MAX_SHOWN].encode("utf-8", "replace").decode()
        raise Unreadable(f"{shown!r} is given twice; keep one of the two")
    return read


def _check_limits(value: Any) -> None:
    """Raise Unreadable for a value that is too deep or too large."""
    count, level = 1, [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for part in level:
            if isinstance(part, dict):
                count += len(part)
                below += part.values()
            elif isinstance(part, list):
                below += part
        count += len(below)
        if count > MAX_NODES:
            raise Unreadable(TOO_MANY)
        if not below:
            return
        level = below
    raise Unreadable(TOO_DEEP)
