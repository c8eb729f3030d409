"""Specs as YAML or JSON, from files, requests and forms, and changes to them by path (`--set path=value`).

What comes out is a mapping of plain values, unchecked. All places read specs through here, with the same limits.
"""

import re
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from ganlib.errors import Problem, SpecInvalid
from ganlib.spec.documents.edit import set_value
from ganlib.spec.documents.nodes import MAX_DEPTH, Unreadable
from ganlib.spec.documents.render import render_yaml
from ganlib.spec.documents.text import decode_text
from ganlib.spec.documents.values import read_json, read_yaml
from ganlib.spec.layers import BARE_NAMES, shorten_layer
from ganlib.spec.presets import PRESETS

MAX_SPEC_BYTES = 1_048_576
# The fields that are text and no choice of names, so that 0012345 and 4.10 mean what stands there. A test compares
# them with the schema.
TEXT_FIELDS = frozenset(
    {
        "name", "description", "tags", "recipe.paper", "recipe.section", "recipe.expected", "recipe.cost",
        "queue.worker_labels", "queue.commit", "dataset.path", "histogram_layers",
    }
)  # fmt: skip
_IS_MAPPING = "a spec is a mapping of fields to values"


def read_spec_file(path: Path) -> dict[str, Any]:
    """Read the mapping in a YAML or JSON file, unchecked; raises SpecInvalid when it is no mapping."""
    name = str(path)
    try:
        if path.stat().st_size > MAX_SPEC_BYTES:
            raise SpecInvalid([Problem(name, "", f"a spec file holds at most {MAX_SPEC_BYTES:,} bytes")])
        raw = path.read_bytes()
    except OSError as error:
        raise SpecInvalid([Problem(name, "", f"the file cannot be read: {error.strerror}")]) from None
    return read_spec_bytes(raw, name)


def read_spec_bytes(raw: bytes, name: str) -> dict[str, Any]:
    """Read the mapping in the bytes of a YAML or JSON text, unchecked; raises SpecInvalid."""
    try:
        return read_spec_text(decode_text(raw), name)
    except Unreadable as error:
        raise SpecInvalid([Problem(name, "", str(error))]) from None


def read_spec_text(text: str, name: str) -> dict[str, Any]:
    """Read the mapping in YAML or JSON text, unchecked; `name` is what errors call it. Raises SpecInvalid."""
    try:
        data = _read(text)
    except Unreadable as error:
        raise SpecInvalid([Problem(name, "", str(error))]) from None
    if not isinstance(data, dict):
        raise SpecInvalid(
            [Problem(name, "", f"the file is empty; {_IS_MAPPING}" if data is None else _IS_MAPPING)]
        )
    return data


def _read(text: str) -> Any:
    """Return what a YAML or JSON text says; raises Unreadable."""
    if text.removeprefix("\ufeff").lstrip().startswith("{"):
        try:
            return read_json(text.removeprefix("\ufeff"))
        except ValueError:
            # Braces begin a mapping in YAML too.
            pass
    return read_yaml(text, TEXT_FIELDS)


def apply_overrides(data: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """Return a copy of the mapping with each `path=value` set; values are read as YAML.

    A path is dotted and may count into lists: `optimisers.generator.learning_rate=1e-3`,
    `generator.layers.0.size=512`, also where the spec uses a shorthand such as a preset. Raises SpecInvalid for
    a path that cannot be set.
    """
    changed = deepcopy(data)
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path:
            raise SpecInvalid([Problem("--set", override[:80], "write path=value, such as iterations=500")])
        keys = path.split(".")
        try:
            if len(keys) > MAX_DEPTH:
                raise LookupError(path)
            # A list has one field for all its items.
            _set_path(changed, keys, read_yaml(text, TEXT_FIELDS, re.sub(r"\.\d+", "", path)))
        except Unreadable as error:
            raise SpecInvalid([Problem(path, text[:80], f"this value cannot be read: {error}")]) from None
        except (LookupError, ValueError, TypeError):
            raise SpecInvalid(
                [Problem(path[:80], text[:80], "this path or value cannot be set in the spec")]
            ) from None
    return changed


def _set_path(node: Any, keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        node = _step_into(node, key)
    last = keys[-1]
    if isinstance(node, list):
        node[int(last)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise TypeError(last)


def _step_into(node: Any, key: str) -> Any:
    """Return the value of the key, written out in full where the spec used a shorthand; raises TypeError."""
    if not isinstance(node, list | dict):
        raise TypeError(key)
    index: Any = int(key) if isinstance(node, list) else key
    if isinstance(node, dict) and key == "layers" and "preset" in node:
        node[key] = deepcopy(PRESETS[node.pop("preset")])
    child = node[index] if isinstance(node, list) else node.setdefault(key, {})
    if isinstance(child, str) and key == "dataset":
        child = node[index] = {"name": child}
    elif isinstance(child, str) and isinstance(node, list):
        child = node[index] = dict(BARE_NAMES[child])
    return child


def change_text(text: str, data: dict[str, Any], changes: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a spec's text and its data with values set by path; `data` is what the text says.

    A value that is text is read as YAML unless its field is text, so that "1e-3" is a number. The text keeps its
    comments and its order; what cannot be placed in it is written anew. Raises SpecInvalid for a path or a value
    that cannot be set.
    """
    for path, value in changes.items():
        data = _change(data, path, value)
        text = _follow(text, data, path.split("."))
    return text, data


def _change(data: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return the data with one value set."""
    if isinstance(value, str) and path not in TEXT_FIELDS:
        return apply_overrides(data, [f"{path}={value or 'null'}"])
    changed, keys = deepcopy(data), path.split(".")
    section = changed.get(keys[0])
    if keys[1:] == ["layers"] and isinstance(value, list) and isinstance(section, dict):
        # The layers of a preset are the network's own from its first change on.
        section.pop("preset", None)
        value = [shorten_layer(layer) for layer in value]
    try:
        _set_path(changed, keys, value)
    except (LookupError, ValueError, TypeError):
        raise SpecInvalid([Problem(path[:80], "", "this path cannot be set in the spec")]) from None
    return changed


def _follow(text: str, data: dict[str, Any], keys: list[str]) -> str:
    """Return the text that says this data, which differs from it at this path alone."""
    # What was short for a section, as the name of a data set or of a preset, is written out as one.
    for length in range(len(keys), 0, -1):
        value: Any = data
        for key in keys[:length]:
            value = value[int(key)] if isinstance(value, list) else value[key]
        changed = set_value(text, keys[:length], value)
        if changed is not None and _says(changed, data):
            return changed
    return render_yaml(data, width=96, small_on_one_line=True)


def _says(text: str, data: dict[str, Any]) -> bool:
    try:
        return bool(read_yaml(text, TEXT_FIELDS) == data)
    except Unreadable:
        return False
