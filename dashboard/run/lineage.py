"""From which run one was made and what differs, and which runs were made from it."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from api.jobs.lineage import Lineage, Relative
from api.jobs.schemas import JobRead
from dashboard.compare.specs import FieldRow, compare_specs
from dashboard.runs.columns import Listing
from dashboard.web.formats import show_count

FIELDS_SHOWN = 3
LONGEST_VALUE = 32
SAME_SPEC = "the same spec"


@dataclass(frozen=True)
class RelativeView:
    """A run that another was made from, or the other way round: what differs in the spec, and the two compared."""

    name: str
    href: str
    difference: str
    compare_href: str
    is_deleted: bool


@dataclass(frozen=True)
class LineageView:
    """Where a run comes from (`word` begins the sentence), and what was made from it.

    lost: the id of a run that it was made from and that is gone for good. count: says how many were made from it.
    more: names the link to all of them.
    """

    word: str
    parent: RelativeView | None
    lost: str
    made: list[RelativeView]
    count: str
    more: str
    more_href: str


def build_lineage(job: JobRead, lineage: Lineage) -> LineageView | None:
    """Return where the run comes from and what came of it; None where there is neither."""
    if job.made_from is None and not lineage.made:
        return None
    parent = lineage.parent
    has_more = lineage.made_count > len(lineage.made)
    return LineageView(
        word="Retry of" if job.retry_of else "Made from",
        parent=_relative(parent, job.spec, parent.spec, job.id) if parent else None,
        lost=job.made_from if job.made_from and parent is None else "",
        made=[_relative(each, each.spec, job.spec, job.id) for each in lineage.made],
        count=_count(lineage.made_count),
        more=f"All {show_count(lineage.made_count)}" if has_more else "",
        more_href=Listing(q=f"from:{job.id}").href() if has_more else "",
    )


def describe_difference(young: dict[str, Any], old: dict[str, Any]) -> str:
    """Say what one spec changed of another: the first fields, and how many more there are."""
    rows = compare_specs([old, young]).rows
    if not rows:
        return SAME_SPEC
    more = len(rows) - FIELDS_SHOWN
    parts = [_describe(row) for row in rows[:FIELDS_SHOWN]]
    return "; ".join([*parts, *([f"{show_count(more)} more"] if more > 0 else [])])


def _count(count: int) -> str:
    return "1 run was made from this one" if count == 1 else f"{show_count(count)} runs were made from this one"


def _relative(other: Relative, young: dict[str, Any], old: dict[str, Any], job_id: str) -> RelativeView:
    return RelativeView(
        name=other.name,
        href=f"/runs/{other.id}",
        difference=describe_difference(young, old),
        compare_href=f"/compare?{urlencode([('run', other.id), ('run', job_id)])}",
        is_deleted=other.is_deleted,
    )


def _describe(row: FieldRow) -> str:
    before, after = (_shorten(value) for value in row.values)
    return f"{row.path} {before} → {after}"


def _shorten(value: str) -> str:
    return value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 1]}…"
