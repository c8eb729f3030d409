"""Sets one value in a document's text and leaves the rest of the text, its comments too, as it was written."""

from collections.abc import Sequence as ListOf
from typing import Any

from ganlib.spec.documents.nodes import Mapping, Node, Sequence
from ganlib.spec.documents.render import render_line

_INDENT = 2


def set_value(text: str, path: ListOf[str], value: Any) -> str | None:
    """Return the YAML text with the value at the path, or None where it cannot be placed there.

    Fields that are missing are added after their section's last one. A list of sections has a line for each. What
    the text says afterwards is the caller's to check: aliases and merged mappings are changed at their origin.
    """
    from ganlib.spec.documents.compose import compose

    node, parent = compose(text), None
    for position, key in enumerate(path):
        below = _find_child(node, key)
        if below is None:
            return _add(text, node, path[position:], value) if isinstance(node, Mapping) else None
        node, parent = below, node
    return None if node is None else _replace(text, parent, path[-1], node, value)


def _find_child(node: Node | None, key: str) -> Node | None:
    if isinstance(node, Mapping):
        return node.fields.get(key)
    if isinstance(node, Sequence) and key.isascii() and key.isdigit() and int(key) < len(node.items):
        return node.items[int(key)]
    return None


def _replace(text: str, parent: Node | None, key: str, node: Node, value: Any) -> str | None:
    """Write the value where the node stands; one of several lines has no place in braces."""
    lines = text.split("\n")
    start, end = _offset(lines, node.line, node.column), _offset(lines, *_find_end(node))
    if not _has_sections(value):
        is_empty = start == end and text[start - 1 : start] == ":"
        return f"{text[:start]}{' ' if is_empty else ''}{render_line(value)}{text[end:]}"
    if not isinstance(parent, Mapping) or parent.is_flow:
        return None
    name = parent.keys[key]
    start = _offset(lines, name.end_line, name.end_column)
    return text[:start] + ":" + _write_long(value, parent.column - 1 + _INDENT) + text[end:]


def _add(text: str, node: Mapping, path: ListOf[str], value: Any) -> str:
    """Write fields that are not there yet after the mapping's last one."""
    for key in reversed(path[1:]):
        value = {key: value}
    lines = text.split("\n")
    name = render_line(path[0])
    if node.is_flow:
        end = _offset(lines, node.end_line, node.end_column) - 1
        before = ", " if node.fields else ""
        return f"{text[:end].rstrip()}{before}{name}: {render_line(value)}{text[end:]}"
    line, column = _find_end(node)
    # Behind a comment that stands on the last line; a text of several lines ends where the next one begins.
    has_line = column > 1
    end = _offset(lines, line, len(lines[line - 1]) + 1 if has_line else 1)
    indent = node.column - 1
    written = _write_long(value, indent + _INDENT) if _has_sections(value) else f" {render_line(value)}"
    field = f"{' ' * indent}{name}:{written}"
    return f"{text[:end]}\n{field}{text[end:]}" if has_line else f"{text[:end]}{field}\n{text[end:]}"


def _find_end(node: Node) -> tuple[int, int]:
    """Return line and column behind the last thing that a node says; blank lines and comments after it are not."""
    if isinstance(node, Sequence | Mapping) and not node.is_flow:
        below = node.items if isinstance(node, Sequence) else list(node.fields.values())
        if below:
            return max(map(_find_end, below))
    return node.end_line, node.end_column


def _offset(lines: ListOf[str], line: int, column: int) -> int:
    return sum(len(before) + 1 for before in lines[: line - 1]) + column - 1


def _has_sections(value: Any) -> bool:
    """Return whether a value is, or has, a list of sections, which is better read on several lines."""
    if isinstance(value, dict):
        return any(map(_has_sections, value.values()))
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _write_long(value: Any, indent: int) -> str:
    """Return a value on lines of its own below a field's name."""
    begin = "\n" + " " * indent
    if isinstance(value, list):
        return "".join(f"{begin}- {render_line(item)}" for item in value)
    fields = (
        (key, _write_long(part, indent + _INDENT) if _has_sections(part) else f" {render_line(part)}")
        for key, part in value.items()
    )
    return "".join(f"{begin}{key}:{part}" for key, part in fields)
