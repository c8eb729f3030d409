"""Sort orders of the list of jobs, and their cursors.

Every order ends with the id, so that a cursor is unambiguous. Jobs without a value, such as a metric that was not
logged, come last in both directions.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Float,
    Integer,
    LargeBinary,
    Select,
    Text,
    and_,
    case,
    cast,
    collate,
    extract,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
)

from api.errors import RequestInvalid
from api.jobs.search import is_metric, read_metric
from api.server.database.cursors import foreign_cursor, read_cursor, write_cursor
from api.server.database.models import Job, LatestValue
from api.server.database.spec_columns import postgresql_number, spec_column
from ganlib.spec.paths import NoSuchField, Step, resolve_field
from ganlib.spec.storable import replace_unstorable

# Only this many characters of a text are compared.
_TEXT_LENGTH = 200
JobSort = Literal[
    "created_at", "-created_at", "name", "-name", "state", "-state", "iteration", "-iteration",
    "iterations", "-iterations",
]  # fmt: skip
JOB_SORTS: tuple[JobSort, ...] = get_args(JobSort)
DURATION = "duration"
# A column, the duration, a metric's newest value (in quotes unless it is group/name), or a field of the spec.
SORT_PATTERN = r"^-?(\"[^\"\x00-\x1f\x7f]{1,250}\"|[a-zA-Z0-9_][a-zA-Z0-9_./-]{0,249})$"


@dataclass(frozen=True)
class FieldKey:
    """Sort key of a job: a number, a text, or neither."""

    number: float | None
    text: str | None


@dataclass(frozen=True)
class FieldOrder:
    """Order by the spec field at these steps; `after` is the key and id of the last row sent."""

    sort: str
    dialect: str
    steps: tuple[Step, ...]
    after: tuple[FieldKey, str] | None

    def apply(self, query: Select[Any]) -> Select[Any]:
        """Order the query after `after`, and add the number and the text as its last columns."""
        if self.dialect == "postgresql":
            number, text, query = _extract_in_postgresql(query, self.steps)
        else:
            number, text = _extract_in_sqlite(self.steps)
        descending = self.sort.startswith("-")
        if self.after is not None:
            query = query.where(_comes_after(number, text, *self.after, descending=descending))
        keys = [key.desc() if descending else key.asc() for key in (number, text, Job.id)]
        query = query.order_by(number.is_(None), keys[0], text.is_(None), *keys[1:])
        # As bytes: SQLite keeps half a surrogate pair of an older spec, which is no text.
        return query.add_columns(number, text if self.dialect == "postgresql" else cast(text, LargeBinary))

    def write_position(self, key: Sequence[Any], job_id: str) -> str:
        """Write the cursor of the last row of a page."""
        number, text = key
        if isinstance(text, bytes):
            text = _read_text(text)
        # The sign distinguishes an empty text from none.
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
    """Return the SQL of a job's number and text; the path is a bound parameter."""
    parts = [f"[{step or 0}]" if step is None or isinstance(step, int) else f'."{step}"' for step in steps]
    value = func.json_extract(Job.spec, "$" + "".join(parts))
    kind = func.typeof(value)
    number = case((kind.in_(["integer", "real"]), cast(value, Float)))
    return number, case((kind == "text", func.substr(value, 1, _TEXT_LENGTH)))


def _extract_in_postgresql(query: Select[Any], steps: tuple[Step, ...]) -> tuple[Any, Any, Select[Any]]:
    """Return the SQL of a job's number and text, and the query that joins them."""
    path = cast(
        literal([str(step or 0) if not isinstance(step, str) else step for step in steps], ARRAY(Text)),
        ARRAY(Text),
    )
    # The offset makes PostgreSQL compute it once a job, not once for each use.
    value = (
        select(spec_column("postgresql").op("#>")(path).label("value"))
        .correlate(Job)
        .offset(0)
        .lateral("field")
        .c.value
    )
    kind = func.json_typeof(value)
    text = value.op("#>>")(cast(literal([], ARRAY(Text)), ARRAY(Text)))
    number = case(
        (kind == "number", postgresql_number(text)), (kind == "boolean", case((text == "true", 1.0), else_=0.0))
    )
    word = collate(case((kind == "string", func.left(text, _TEXT_LENGTH))), "C")
    return number, word, query.join(value.table, true())


@dataclass(frozen=True)
class ColumnOrder:
    """Order by a column with an index that ends with the id; `after` is the value and id of the last row sent."""

    sort: str
    after: tuple[Any, str] | None

    def apply(self, query: Select[Any]) -> Select[Any]:
        """Order the query after `after`, and add the sort key as its last column."""
        column = getattr(Job, self.sort.removeprefix("-"))
        descending = self.sort.startswith("-")
        if self.after is not None:
            key, seen = tuple_(column, Job.id), tuple_(*self.after)
            query = query.where(key < seen if descending else key > seen)
        order = (column.desc(), Job.id.desc()) if descending else (column, Job.id)
        return query.add_columns(column).order_by(*order)

    def write_position(self, key: Sequence[Any], job_id: str) -> str:
        """Write the cursor of the last row of a page."""
        (value,) = key
        return write_cursor(self.sort, value.isoformat() if isinstance(value, datetime) else value, job_id)


@dataclass(frozen=True)
class NumberOrder:
    """Order by a number that a job may lack: a metric's newest value, or the duration at one moment."""

    sort: str
    dialect: str
    as_of: datetime
    after: tuple[float | None, str] | None

    def apply(self, query: Select[Any]) -> Select[Any]:
        """Order the query after `after`, and add the sort key as its last column."""
        number, query = self._number(query)
        descending = self.sort.startswith("-")
        if self.after is not None:
            value, job_id = self.after
            is_later = Job.id < job_id if descending else Job.id > job_id
            if value is None:
                query = query.where(number.is_(None), is_later)
            else:
                beyond = number < value if descending else number > value
                query = query.where(or_(beyond, number.is_(None), and_(number == value, is_later)))
        keys = (number.desc(), Job.id.desc()) if descending else (number, Job.id)
        return query.add_columns(number).order_by(number.is_(None), *keys)

    def write_position(self, key: Sequence[Any], job_id: str) -> str:
        """Write the number, the id, and the moment, so that the next page has the same durations."""
        (number,) = key
        return write_cursor(
            self.sort, "" if number is None else repr(float(number)), job_id, self.as_of.isoformat()
        )

    def _number(self, query: Select[Any]) -> tuple[ColumnElement[Any], Select[Any]]:
        metric = self.sort.removeprefix("-")
        if metric == DURATION:
            return duration_seconds(self.dialect, self.as_of), query
        mine = and_(LatestValue.job_id == Job.id, LatestValue.metric == read_metric(metric))
        value: Any = LatestValue.value
        return value, query.outerjoin(LatestValue, mine)


JobOrder = ColumnOrder | NumberOrder | FieldOrder


def build_order(sort: str, cursor: str | None, dialect: str) -> JobOrder:
    """Return the order of this name, after the cursor; raises RequestInvalid for an unknown name."""
    name = sort.removeprefix("-")
    if sort in JOB_SORTS:
        return ColumnOrder(sort, None if cursor is None else _read_column_position(sort, cursor))
    if name != DURATION and not is_metric(name):
        return _build_field_order(sort, cursor, dialect)
    if cursor is None:
        return NumberOrder(sort, dialect, datetime.now(UTC), None)
    written_for, value, job_id, moment = read_cursor(cursor, str, str, str, str)
    _check_sort(written_for, sort)
    return NumberOrder(sort, dialect, _read_time(moment), (_read_number(value) if value else None, job_id))


def check_sort(sort: str) -> None:
    """Raise RequestInvalid for an unknown order."""
    if not re.fullmatch(SORT_PATTERN, sort):
        raise _unknown_order(sort, "must be a column of the list, a metric, or a field of the spec")
    build_order(sort, None, "sqlite")


def show_key(key: Sequence[Any]) -> float | str | None:
    """Return the value that a job was sorted by: a number or a text, None where it has neither."""
    value = next((part for part in key if part is not None), None)
    if isinstance(value, bytes):
        return _read_text(value)
    return value if value is None or isinstance(value, str) else float(value)


def _read_text(text: bytes) -> str:
    return replace_unstorable(text.decode(errors="replace"))


def _build_field_order(sort: str, cursor: str | None, dialect: str) -> FieldOrder:
    try:
        steps = resolve_field(sort.removeprefix("-"))
    except NoSuchField as error:
        raise _unknown_order(sort, str(error)) from None
    if cursor is None:
        return FieldOrder(sort, dialect, steps, None)
    written_for, number, text, job_id = read_cursor(cursor, str, str, str, str)
    _check_sort(written_for, sort)
    key = FieldKey(_read_number(number) if number else None, text.removeprefix("=") if text else None)
    return FieldOrder(sort, dialect, steps, (key, job_id))


def _unknown_order(sort: str, why: str) -> RequestInvalid:
    problem = {"field": "sort", "given": sort[:80], "message": why}
    return RequestInvalid(
        f"Unknown sort order: {why}. Sort by a column of the list, a metric, or a field of the spec.",
        problems=[problem],
    )


def duration_seconds(dialect: str, as_of: datetime) -> ColumnElement[Any]:
    """Return the SQL of the duration at this moment in whole seconds, NULL for jobs that had not begun."""
    end = case((Job.ended_at < as_of, Job.ended_at), else_=as_of)
    if dialect == "postgresql":
        seconds: ColumnElement[Any] = func.floor(extract("epoch", end - Job.started_at))
    else:
        seconds = cast(func.strftime("%s", end), Integer) - cast(func.strftime("%s", Job.started_at), Integer)
    return case((Job.started_at <= as_of, seconds))


def _read_column_position(sort: str, cursor: str) -> tuple[Any, str]:
    is_number = sort.removeprefix("-") in ("iteration", "iterations")
    written_for, value, job_id = read_cursor(cursor, str, int if is_number else str, str)
    _check_sort(written_for, sort)
    return (_read_time(value) if sort.endswith("created_at") else value), job_id


def _check_sort(written_for: str, sort: str) -> None:
    if written_for != sort:
        raise RequestInvalid("This cursor belongs to another sort order; leave it out to start.")


def _read_time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise foreign_cursor(text) from None


def _read_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise foreign_cursor(text) from None
