"""The list of jobs: filtered, sorted, and paged by the last row's keys, so that a page costs what it shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, String, cast, select, tuple_
from sqlalchemy.orm import Session, defer

from api.errors import RequestInvalid
from api.models import Job
from api.queries.cursors import read_cursor, write_cursor
from api.queries.views import job_summaries
from api.schemas import JobState, JobSummary, Page

JobSort = Literal[
    "created_at", "-created_at", "name", "-name", "state", "-state", "iteration", "-iteration",
    "iterations", "-iterations",
]  # fmt: skip
JOB_SORTS: tuple[JobSort, ...] = get_args(JobSort)


@dataclass(frozen=True)
class JobFilters:
    """Which jobs to list. `name`: a part of it; `tag`: one of its tags; `commit`: its first digits."""

    states: Sequence[JobState] = ()
    name: str | None = None
    tag: str | None = None
    commit: str | None = None


def list_jobs(
    session: Session,
    filters: JobFilters | None = None,
    sort: JobSort = "-created_at",
    limit: int = 50,
    cursor: str | None = None,
) -> Page[JobSummary]:
    """Return one page of jobs; raises RequestInvalid for a cursor of another list."""
    column = getattr(Job, sort.removeprefix("-"))
    descending = sort.startswith("-")
    # A summary shows no spec, and reading fifty of them would take as long as all the rest.
    query = select(Job).where(*_conditions(filters or JobFilters())).options(defer(Job.spec, raiseload=True))
    if cursor is not None:
        key = tuple_(column, Job.id)
        after = tuple_(*_read_position(cursor, sort))
        query = query.where(key < after if descending else key > after)
    order = (column.desc(), Job.id.desc()) if descending else (column, Job.id)
    jobs = list(session.scalars(query.order_by(*order).limit(limit + 1)))
    page = jobs[:limit]
    more = len(jobs) > limit
    return Page(items=job_summaries(session, page), next=_write_position(page[-1], sort) if more else None)


def _conditions(filters: JobFilters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.states:
        conditions.append(Job.state.in_(filters.states))
    if filters.name:
        conditions.append(Job.name.icontains(filters.name, autoescape=True))
    if filters.tag:
        # Tags are a JSON list of names that hold no quotes, so a quoted name matches a whole tag only.
        conditions.append(cast(Job.tags, String).contains(f'"{filters.tag}"', autoescape=True))
    if filters.commit:
        conditions.append(Job.commit_hash.startswith(filters.commit.lower(), autoescape=True))
    return conditions


def _write_position(job: Job, sort: JobSort) -> str:
    value: Any = getattr(job, sort.removeprefix("-"))
    return write_cursor(sort, value.isoformat() if isinstance(value, datetime) else value, job.id)


def _read_position(cursor: str, sort: JobSort) -> tuple[Any, str]:
    is_number = sort.removeprefix("-") in ("iteration", "iterations")
    written_for, value, job_id = read_cursor(cursor, str, int if is_number else str, str)
    if written_for != sort:
        raise RequestInvalid("This cursor belongs to another sort order; start without it.")
    if sort.endswith("created_at"):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise RequestInvalid("The cursor is not one of this list; start without it.") from None
    return value, job_id
