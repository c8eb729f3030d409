"""Fields of a spec named by dotted paths, as `losses.generator`, and where two specs differ (no torch)."""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any

from ganlib.spec.documents.suggestions import find_near
from ganlib.spec.job import JobSpec

# A key of a mapping, an index of a list, or (None) any element of a list.
Step = str | int | None
# The fields that name a section's kind; a section's own name is short for the one that it has.
_KINDS = ("name", "technique", "layer", "kind", "action")
_Schema = dict[str, Any]
# The section of a run whose loop is somebody's own.
CONFIG = "config"
_CONFIG_NAME = re.compile(r"[^\s\"\\\x00-\x1f\x7f][^\"\\\x00-\x1f\x7f]{0,99}")
_MAX_CONFIG_STEPS = 10


class NoSuchField(Exception):
    """A spec has no such field; the message says what there is instead."""


@lru_cache(maxsize=1000)
def resolve_field(path: str) -> tuple[Step, ...]:
    """Return the steps that lead to a field; raises NoSuchField.

    A list's elements are named by number, or all of them by leaving the number out. A section is short for its
    kind: `dataset` for `dataset.name`, `techniques` for `techniques.technique`. What is below `config`, which runs
    of somebody's own loop have, may have any name.
    """
    if path.startswith(CONFIG + "."):
        return _resolve_config(path)
    steps: list[Step] = []
    schemas = list(_flatten(_schema()))
    for position, part in enumerate(path.split(".")):
        is_list = any("items" in schema or "prefixItems" in schema for schema in schemas)
        if is_list:
            schemas = list(_elements(schemas))
        if is_list and part.isascii() and part.isdigit():
            steps.append(int(part[:6]))
        else:
            steps += [None] if is_list else []
            steps.append(part)
            schemas = _enter(schemas, part, path.split(".")[:position])
    return (*steps, *_end(path, schemas))


def _resolve_config(path: str) -> tuple[Step, ...]:
    """Return the steps to a field of a config, whose names nobody has declared."""
    parts = path.split(".")
    if len(parts) > _MAX_CONFIG_STEPS or not all(_CONFIG_NAME.fullmatch(part) for part in parts):
        raise NoSuchField(f"{path[:100]} is not a field of a config: write {CONFIG}.learning_rate")
    return tuple(parts)


@cache
def list_fields() -> tuple[str, ...]:
    """Return the paths of all fields, lists without numbers, in the order of the spec."""
    return _list_below("", _schema())


def list_fields_of(parts: Sequence[str | int]) -> list[str]:
    """Return the names of the fields of the section at these parts of a path, of every kind that it may have."""
    schemas = list(_flatten(_schema()))
    for part in parts:
        if isinstance(part, int):
            schemas = list(_elements(schemas))
        else:
            fields = [schema["properties"][part] for schema in schemas if part in schema.get("properties", {})]
            schemas = [flat for schema in fields for flat in _flatten(schema)]
    return sorted({name for schema in schemas for name in schema.get("properties", {})})


@cache
def _schema() -> _Schema:
    return JobSpec.model_json_schema(mode="serialization")


@cache
def _definitions() -> _Schema:
    definitions: _Schema = _schema()["$defs"]
    return definitions


def _flatten(schema: _Schema) -> Iterator[_Schema]:
    """Yield the schemas that a value may have: references are followed, unions taken apart."""
    if "$ref" in schema:
        yield from _flatten(_definitions()[schema["$ref"].rpartition("/")[2]])
        return
    parts = [part for union in ("anyOf", "oneOf", "allOf") for part in schema.get(union, ())]
    if not parts:
        yield schema
    for part in parts:
        yield from _flatten(part)


def _elements(schemas: list[_Schema]) -> Iterator[_Schema]:
    for schema in schemas:
        for part in (schema.get("items"), *schema.get("prefixItems", ())):
            if isinstance(part, dict):
                yield from _flatten(part)


def _enter(schemas: list[_Schema], part: str, before: list[str]) -> list[_Schema]:
    fields = [schema["properties"][part] for schema in schemas if part in schema.get("properties", {})]
    # A mapping from names, such as faults, to what is done about each.
    fields += [
        each["additionalProperties"] for each in schemas if isinstance(each.get("additionalProperties"), dict)
    ]
    if not fields:
        raise NoSuchField(_describe_missing(schemas, part, ".".join(before)))
    return [flat for schema in fields for flat in _flatten(schema)]


def _describe_missing(schemas: list[_Schema], part: str, before: str) -> str:
    known = sorted({name for schema in schemas for name in schema.get("properties", {})})
    whose = f"{before} has" if before else "A spec has"
    if not known:
        return f"{before} is a value and has no fields"
    near = find_near(part, known, cutoff=0.6)
    if near:
        return f"{whose} no field {part}; did you mean {before + '.' if before else ''}{near}?"
    return f"{whose} no field {part}; there are: {', '.join(known)}"


def _end(path: str, schemas: list[_Schema]) -> tuple[Step, ...]:
    steps: tuple[Step, ...] = ()
    if any("items" in schema or "prefixItems" in schema for schema in schemas):
        steps, schemas = (None,), list(_elements(schemas))
    fields = {name for schema in schemas for name in schema.get("properties", {})}
    if not fields:
        return steps
    kind = next((name for name in _KINDS if name in fields), None)
    if kind is None:
        raise NoSuchField(f"{path} is a section; name one of its fields: {', '.join(sorted(fields))}")
    return (*steps, kind)


def _list_below(before: str, schema: _Schema) -> tuple[str, ...]:
    paths: dict[str, None] = {}
    for flat in _flatten(schema):
        for part in [flat, *_elements([flat])]:
            for name, below in part.get("properties", {}).items():
                path = f"{before}.{name}" if before else name
                deeper = _list_below(path, below)
                paths.update(dict.fromkeys(deeper or (path,)))
    return tuple(paths)


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
