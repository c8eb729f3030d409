"""Filters and sorts records that were read as a whole: experiments, models, versions; there are few."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from operator import eq, ge, gt, le, lt, ne
from typing import Any, TypeVar

from api.mlflow.protocol.filters import Clause, Order, like_pattern

Item = TypeVar("Item")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {">": gt, ">=": ge, "=": eq, "!=": ne, "<": lt, "<=": le}


@dataclass(frozen=True)
class Record:
    """What a filter sees of an item; a metric may have several values, one of which suffices."""

    attributes: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Sequence[float]] = field(default_factory=dict)


def matches(record: Record, clauses: Sequence[Clause]) -> bool:
    """Return whether a record meets all comparisons; what it does not have meets none."""
    return all(_meets(record, clause) for clause in clauses)


def sort_records(items: list[Item], record: Callable[[Item], Record], orders: Sequence[Order]) -> list[Item]:
    """Sort by these keys, the first one first; items without a key come last."""
    for order in reversed(orders):
        found = [(_find(record(item), order.entity, order.key), item) for item in items]
        having = [pair for pair in found if pair[0] and pair[0][0] is not None and not _is_nan(pair[0][0])]
        having.sort(key=lambda pair: pair[0][0], reverse=not order.ascending)
        kept = {id(item) for _, item in having}
        items = [item for _, item in having] + [item for _, item in found if id(item) not in kept]
    return items


def _meets(record: Record, clause: Clause) -> bool:
    values = _find(record, clause.entity, clause.key)
    if clause.comparator == "IS NULL":
        return not values
    return any(value is not None and _compare(value, clause) for value in values)


def _find(record: Record, entity: str, key: str) -> Sequence[Any]:
    if entity == "metric":
        return record.metrics.get(key, ())
    source = {"tag": record.tags, "parameter": record.params}.get(entity, record.attributes)
    return [source[key]] if key in source else []


def _compare(value: Any, clause: Clause) -> bool:
    given = clause.value
    match clause.comparator:
        case "IS NOT NULL":
            return True
        case "IN":
            return value in given  # type: ignore[operator]  # the parser gives it a list
        case "NOT IN":
            return value not in given  # type: ignore[operator]
        case "LIKE" | "ILIKE":
            ignores_case = clause.comparator == "ILIKE"
            return like_pattern(str(given), ignores_case=ignores_case).fullmatch(str(value)) is not None
        case comparator:
            return _COMPARE[comparator](value, given)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and isnan(value)
