"""Specs as people read them: as YAML, a value in words, and the fields in which several specs differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.web.formats import NOTHING, show_count
from ganlib.spec.documents.render import render_yaml

# Fields that name a run for people, and do not change the experiment.
NAME_FIELDS = ("name", "description", "tags", "recipe")
# Differences in the order in which people think of them; what stands in none of these comes between.
FIRST_FIELDS = ("learning_rate", "losses", "optimisers", "batch_size", "iterations", "techniques", "dataset")
LAST_FIELDS = ("layers", "_every", "samples", "evaluation", "diagnosis", "queue", "device", "speed")
MOST_FIELDS = 80


def show_spec(spec: Mapping[str, object]) -> str:
    """Return the spec as YAML in its own order, without fields that are null, small mappings on one line."""
    return render_yaml(_without_nulls(spec), width=96, small_on_one_line=True)


def _without_nulls(value: Any) -> Any:
    """Return the value without the fields of its mappings that are null: a spec means the same without them."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def show_value(value: Any) -> str:
    """Return a spec's value in words: lists by their items, mappings by their kind, booleans as on and off."""
    match value:
        case None:
            return NOTHING
        case bool():
            return "on" if value else "off"
        case int():
            return show_count(value)
        case float():
            return f"{value:g}"
        case list():
            return ", ".join(map(_show_item, value)) or "none"
        case Mapping():
            return _show_item(value)
        case _:
            return str(value)


def _show_item(item: Any) -> str:
    if not isinstance(item, Mapping):
        return show_value(item)
    head = next((key for key in ("layer", "technique", "name", "preset", "kind") if item.get(key)), None)
    rest = [f"{key} {show_value(part)}" for key, part in item.items() if key != head and part is not None]
    if head is None:
        return ", ".join(rest)
    return f"{item[head]} ({', '.join(rest)})" if rest else str(item[head])


@dataclass(frozen=True)
class FieldRow:
    """One field of the spec: its value in each run, and whether that is the first run's."""

    path: str
    values: list[str]
    is_first: list[bool]


@dataclass(frozen=True)
class SpecDifference:
    """The fields that differ, in the spec's order, and how many more there are."""

    rows: list[FieldRow]
    more: str


def compare_specs(specs: Sequence[Mapping[str, Any]]) -> SpecDifference:
    """Return the fields in which these specs are not all alike, those that people ask for first before layers."""
    fields = _differences("", list(specs))
    rows = [_row(path, values) for path, values in fields if path.partition("[")[0] not in NAME_FIELDS]
    rows.sort(key=lambda row: _rank(row.path))
    more = len(rows) - MOST_FIELDS
    return SpecDifference(rows[:MOST_FIELDS], f"and {show_count(more)} more" if more > 0 else "")


def _rank(path: str) -> int:
    """Return the place of a field among the differences; fields of one place keep the spec's order."""
    for place, words in ((1, LAST_FIELDS), (-1, FIRST_FIELDS)):
        found = next((index for index, word in enumerate(words) if word in path), None)
        if found is not None:
            return place * 100 + found
    return 0


def _differences(path: str, values: list[Any]) -> list[tuple[str, list[Any]]]:
    """Return the deepest fields below this one whose values differ."""
    if all(value == values[0] and type(value) is type(values[0]) for value in values):
        return []
    if all(isinstance(value, Mapping) for value in values) and _are_one_kind(values):
        names = dict.fromkeys(name for value in values for name in value)
        below = [(f"{path}.{name}" if path else name, [value.get(name) for value in values]) for name in names]
    elif all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
        below = [(f"{path}[{index}]", list(parts)) for index, parts in enumerate(zip(*values, strict=True))]
    else:
        return [(path, values)]
    return [field for name, parts in below for field in _differences(name, parts)]


def _are_one_kind(values: Sequence[Mapping[str, Any]]) -> bool:
    """Whether mappings describe the same thing: layers of different kinds are better shown whole."""
    return all(len({repr(value.get(key)) for value in values}) == 1 for key in ("layer", "technique", "kind"))


def _row(path: str, values: list[Any]) -> FieldRow:
    return FieldRow(path, [_show_lines(value) for value in values], [value == values[0] for value in values])


def _show_lines(value: Any) -> str:
    """Return a value in words; of a list of sections, such as layers, one a line."""
    is_list = isinstance(value, list) and any(isinstance(item, Mapping) for item in value)
    return "\n".join(map(_show_item, value)) if is_list else show_value(value)
