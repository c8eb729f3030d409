"""Fields of a spec named by dotted paths, as `losses.generator` or `techniques.0.weight` (no torch)."""

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any

from ganlib.spec.documents.suggestions import find_near
from ganlib.spec.job import JobSpec

# A key of a mapping, an index of a list, or (None) any element of a list.
Step = str | int | None
# The fields that name a section's kind; a section's own name is short for the one that it has.
_KINDS = ("name", "technique", "layer", "kind")
_Schema = dict[str, Any]


class NoSuchField(Exception):
    """A spec has no such field; the message says what there is instead."""


@lru_cache(maxsize=1000)
def resolve_field(path: str) -> tuple[Step, ...]:
    """Return the steps that lead to a field; raises NoSuchField.

    A list's elements are named by number, or all of them by leaving the number out. A section is short for its
    kind: `dataset` for `dataset.name`, `techniques` for `techniques.technique`.
    """
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
