"""Specs as people read them: as YAML, and as rows of the fields in which several specs differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.web.formats import show_count
from ganlib.spec.documents.differences import find_differences, show_item, show_value
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
    fields = find_differences("", list(specs))
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


def _row(path: str, values: list[Any]) -> FieldRow:
    return FieldRow(path, [_show_lines(value) for value in values], [value == values[0] for value in values])


def _show_lines(value: Any) -> str:
    """Return a value in words; of a list of sections, such as layers, one a line."""
    is_list = isinstance(value, list) and any(isinstance(item, Mapping) for item in value)
    return "\n".join(map(show_item, value)) if is_list else show_value(value)
