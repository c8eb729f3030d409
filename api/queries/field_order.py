"""The order of the list of jobs by a field of their specs.

No index can hold every field, so a page reads that field of every spec that is listed and keeps the first few
(docs/benchmarks.md says how long that takes). Of a list, its first element counts. Numbers come first (false and
true as 0 and 1), then texts by their code points; what has neither comes last, in either direction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    Float,
    Select,
    Text,
    and_,
    case,
    cast,
    collate,
    func,
    literal,
    or_,
    select,
    true,
)

from api.models import Job
from api.queries.cursors import write_cursor
from ganlib.spec_paths import Step

# As much of a long text as is compared.
_TEXT_LENGTH = 200


@dataclass(frozen=True)
class FieldKey:
    """What a job is ordered by: a number, a text, or neither."""

    number: float | None
    text: str | None


@dataclass(frozen=True)
class FieldOrder:
    """By the field to which these steps lead; `after` is the key and id of the last row seen."""

    sort: str
    dialect: str
    steps: tuple[Step, ...]
    after: tuple[FieldKey, str] | None

    def apply(self, query: Select[Any]) -> Select[Any]:
        """Order the query, from `after` on, and add the number and the text as its last columns."""
        if self.dialect == "postgresql":
            number, text, query = _extract_in_postgresql(query, self.steps)
        else:
            number, text = _extract_in_sqlite(self.steps)
        descending = self.sort.startswith("-")
        if self.after is not None:
            query = query.where(_comes_after(number, text, *self.after, descending=descending))
        keys = [each.desc() if descending else each.asc() for each in (number, text, Job.id)]
        query = query.order_by(number.is_(None), keys[0], text.is_(None), *keys[1:])
        return query.add_columns(number, text)

    def write_position(self, key: Sequence[Any], job_id: str) -> str:
        """Write the cursor of the last row of a page."""
        number, text = key
        # The sign tells an empty text from none.
        number, text = "" if number is None else repr(float(number)), "" if text is None else f"={text}"
        return write_cursor(self.sort, number, text, job_id)


def _comes_after(number: Any, text: Any, key: FieldKey, job_id: str, *, descending: bool) -> Any:
    def beyond(column: Any, value: Any) -> Any:
        return column < value if descending else column > value

    later = beyond(Job.id, job_id)
    if key.number is not None:
        return or_(beyond(number, key.number), number.is_(None), and_(number == key.number, later))
    if key.text is not None:
        same = and_(text == key.text, later)
        return and_(number.is_(None), or_(beyond(text, key.text), text.is_(None), same))
    return and_(number.is_(None), text.is_(None), later)


def _extract_in_sqlite(steps: tuple[Step, ...]) -> tuple[Any, Any]:
    """Return a job's number and text; the path is bound like any value."""
    parts = [f"[{step or 0}]" if step is None or isinstance(step, int) else f'."{step}"' for step in steps]
    value = func.json_extract(Job.spec, "$" + "".join(parts))
    kind = func.typeof(value)
    number = case((kind.in_(["integer", "real"]), cast(value, Float)))
    return number, case((kind == "text", func.substr(value, 1, _TEXT_LENGTH)))


def _extract_in_postgresql(query: Select[Any], steps: tuple[Step, ...]) -> tuple[Any, Any, Select[Any]]:
    """Return a job's number and text, and the query that has them."""
    path = cast(
        literal([str(step or 0) if not isinstance(step, str) else step for step in steps], ARRAY(Text)),
        ARRAY(Text),
    )
    # With an offset it is worked out once a job, not once for each place where it is named.
    value = select(Job.spec.op("#>")(path).label("value")).correlate(Job).offset(0).lateral("found").c.value
    kind = func.json_typeof(value)
    text = value.op("#>>")(cast(literal([], ARRAY(Text)), ARRAY(Text)))
    number = case(
        (kind == "number", cast(text, Float(53))), (kind == "boolean", case((text == "true", 1.0), else_=0.0))
    )
    word = collate(case((kind == "string", func.left(text, _TEXT_LENGTH))), "C")
    return number, word, query.join(value.table, true())
