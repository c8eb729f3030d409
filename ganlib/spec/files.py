"""Specs as YAML or JSON files, and changes to them by path (`--set path=value`); unchecked mappings."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from ganlib.errors import Problem, SpecInvalid
from ganlib.spec.layers import BARE_NAMES
from ganlib.spec.presets import PRESETS

MAX_SPEC_BYTES = 1_048_576


def read_spec_file(path: Path) -> dict[str, Any]:
    """Read the mapping in a YAML or JSON file, unchecked; raises SpecInvalid when it is no mapping."""
    try:
        if path.stat().st_size > MAX_SPEC_BYTES:
            raise SpecInvalid([Problem(str(path), "", f"a spec file holds at most {MAX_SPEC_BYTES:,} bytes")])
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecInvalid([Problem(str(path), "", f"the file cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise SpecInvalid([Problem(str(path), "", "the file is no text; a spec is YAML or JSON")]) from None
    return read_spec_text(text, str(path))


def read_spec_text(text: str, name: str) -> dict[str, Any]:
    """Read the mapping in YAML or JSON text, unchecked; `name` is what errors call it. Raises SpecInvalid."""
    try:
        data = yaml.load(text, _UniqueKeyLoader)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).replace('in "<unicode string>", ', "").split())
        raise SpecInvalid([Problem(name, "", f"the file is neither YAML nor JSON: {reason}")]) from None
    if not isinstance(data, dict):
        reason = "the file is empty; " if data is None else ""
        raise SpecInvalid([Problem(name, "", f"{reason}a spec is a mapping of fields to values")])
    return data


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML's safe loader, which would otherwise let the last of two equal keys win without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen and key != "<<":
                raise yaml.MarkedYAMLError(problem=f"{key!r} is given twice", problem_mark=key_node.start_mark)
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


def apply_overrides(data: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """Return a copy of the mapping with each `path=value` set; values are read as YAML.

    A path is dotted and may count into lists: `optimisers.generator.learning_rate=1e-3`,
    `generator.layers.0.size=512`, also where the spec uses a shorthand such as a preset. Raises SpecInvalid for
    a path that cannot be set.
    """
    changed: dict[str, Any] = yaml.safe_load(yaml.safe_dump(data))
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path:
            raise SpecInvalid([Problem("--set", override, "write path=value, such as iterations=500")])
        try:
            _set_path(changed, path.split("."), yaml.safe_load(text))
        except (yaml.YAMLError, LookupError, ValueError, TypeError):
            raise SpecInvalid([Problem(path, text, "this path or value cannot be set in the spec")]) from None
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
