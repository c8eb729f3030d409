"""Runs as a table for other programs: one row a run, every field of its spec and every newest metric a column.

Columns are named as in searches: `losses.generator` and `generator.layers.0.size` are fields of the spec,
`config.lr` is one of an own run, `eval/fid` a metric. A metric that is named like a column, or like a part
of a spec, has `metrics.` in front.
"""

import csv
import io
import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.errors import RequestInvalid
from api.jobs import queries
from api.jobs.queries import JobFilters
from api.jobs.schemas import JobSummary
from api.server.database.models import Job, LatestValue
from ganlib.events import show_float
from ganlib.spec.job import JobSpec

COLUMNS = (
    "id", "name", "state", "origin", "verdict", "verdict_text", "iteration", "iterations",
    "created_at", "started_at", "ended_at", "duration_seconds",
    "tags", "note", "commit", "reason", "made_from", "retry_of", "url",
)  # fmt: skip
ROWS_AT_ONCE = 100
MOST_COLUMNS = 5000
# In the table under the job's own columns.
_SPEC_COLUMNS = ("name", "tags", "iterations")
# A spreadsheet runs text that begins with one of these as a formula.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")

Row = dict[str, Any]


@dataclass(frozen=True)
class TableRequest:
    """Which runs, in which order, and how many at most (None: all)."""

    filters: JobFilters
    sort: str = "-created_at"
    limit: int | None = None


def stream_jsonl(session: Session, asked: TableRequest) -> Generator[bytes]:
    """Yield the table as JSON lines, each an object without the columns that its run does not have.

    NaN and infinities are the texts nan, inf and -inf.
    """
    for rows in _iterate_rows(session, asked):
        lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
        yield "".join(f"{line}\n" for line in lines).encode()


def stream_csv(session: Session, asked: TableRequest) -> Generator[bytes]:
    """Yield the table as CSV with one heading; raises RequestInvalid if it had more than MOST_COLUMNS.

    Numbers stay as they are. A text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    columns = _list_columns(session, asked.filters)
    places = {column: place for place, column in enumerate(columns)}
    yield _write_csv([[_defuse(column) for column in columns]])
    for rows in _iterate_rows(session, asked):
        yield _write_csv(_write_row(row, places) for row in rows)


def _iterate_rows(session: Session, asked: TableRequest) -> Iterator[list[Row]]:
    """Yield the rows in pieces; only one of them is in memory."""
    cursor, left = None, asked.limit
    while left is None or left > 0:
        size = ROWS_AT_ONCE if left is None else min(left, ROWS_AT_ONCE)
        page = queries.list_jobs(session, asked.filters, asked.sort, size, cursor)
        yield _read_rows(session, page.items)
        session.expunge_all()
        cursor, left = page.next, None if left is None else left - len(page.items)
        if cursor is None:
            return


def _read_rows(session: Session, jobs: Sequence[JobSummary]) -> list[Row]:
    columns = (Job.id, Job.spec, Job.note, Job.made_from, Job.retry_of)
    found = session.execute(select(*columns).where(Job.id.in_([job.id for job in jobs])))
    others = {row.id: row for row in found}
    return [_build_row(job, others[job.id]) for job in jobs if job.id in others]


def _build_row(job: JobSummary, other: Any) -> Row:
    data = job.model_dump(mode="json", exclude={"latest", "newest_sample", "sorted_by"})
    row = {column: data[column] for column in COLUMNS if column in data}
    row["verdict"], row["verdict_text"] = job.verdict.tone, job.verdict.text
    row["duration_seconds"] = _measure_duration(job)
    # An own run may have no planned end.
    row["iterations"] = job.iterations or None
    row["reason"] = job.reason and job.reason.code
    row |= {"note": other.note, "made_from": other.made_from, "retry_of": other.retry_of}
    row |= _spec_fields(other.spec)
    row |= {name_metric(name): show_float(metric.value) for name, metric in sorted(job.latest.items())}
    return {column: value for column, value in row.items() if value is not None}


def _measure_duration(job: JobSummary) -> float | None:
    if job.started_at is None or job.ended_at is None:
        return None
    return round((job.ended_at - job.started_at).total_seconds(), 3)


def _spec_fields(spec: dict[str, Any]) -> Row:
    row: Row = {}
    for name, value in spec.items():
        if name not in _SPEC_COLUMNS:
            flatten(value, name, row)
    return row


def flatten(value: Any, path: str = "", row: Row | None = None) -> Row:
    """Return each field of a JSON document by its path: `betas.0`, `losses.generator`.

    Lists and objects are values of their own only where they are empty.
    """
    # Filled on the way down: a spec has hundreds of fields, and a table thousands of specs.
    row = {} if row is None else row
    if isinstance(value, dict) and value:
        for name, part in value.items():
            flatten(part, f"{path}.{name}" if path else name, row)
    elif isinstance(value, list) and value:
        for place, part in enumerate(value):
            flatten(part, f"{path}.{place}", row)
    else:
        row[path] = value
    return row


def name_metric(metric: str) -> str:
    """Return the column of a metric; it depends on the name alone."""
    return f"metrics.{metric}" if metric.partition(".")[0] in _taken_names() else metric


@cache
def _taken_names() -> frozenset[str]:
    return frozenset([*COLUMNS, *JobSpec.model_fields, "config", "source", "metrics"])


def _list_columns(session: Session, filters: JobFilters) -> list[str]:
    """Return the columns of all these runs: own ones, then fields of specs as these have them, then metrics."""
    conditions = queries.build_conditions(filters, session.get_bind().dialect.name)
    fields: dict[str, None] = {}
    specs = select(Job.spec).where(*conditions).order_by(Job.created_at)
    for spec in session.scalars(specs, execution_options={"yield_per": ROWS_AT_ONCE}):
        fields.update(dict.fromkeys(_spec_fields(spec)))
        _check_count(len(fields))
    metrics = select(LatestValue.metric).where(LatestValue.job_id.in_(select(Job.id).where(*conditions)))
    names = session.scalars(metrics.distinct().limit(MOST_COLUMNS + 1)).all()
    _check_count(len(fields) + len(names))
    return [*dict.fromkeys([*COLUMNS, *fields, *map(name_metric, sorted(names))])]


def _check_count(count: int) -> None:
    if count > MOST_COLUMNS:
        raise RequestInvalid(
            f"These runs have more than {MOST_COLUMNS:,} fields and metrics together: too many columns. "
            "Choose fewer runs, or ask for /jobs.jsonl, which has none."
        )


def _write_csv(rows: Iterable[Iterable[str]]) -> bytes:
    part = io.StringIO()
    csv.writer(part, lineterminator="\n").writerows(rows)
    return part.getvalue().encode()


def _write_row(row: Row, places: dict[str, int]) -> list[str]:
    # A run fills few of all runs' columns.
    cells = [""] * len(places)
    for column, value in row.items():
        # Columns that came up since the heading was written are left out.
        if column in places:
            cells[places[column]] = _write_cell(value)
    return cells


def _write_cell(value: Any) -> str:
    if isinstance(value, str):
        return _defuse(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return _defuse(", ".join(value))
    # Numbers, true and false, and what is empty.
    return json.dumps(value)


def _defuse(text: str) -> str:
    # "-inf" is a number that JSON cannot write.
    return f"'{text}" if text.startswith(_FORMULAS) and text != "-inf" else text
