"""The list of jobs: filtered, sorted, and paged by the last row's keys, so that a page costs what it shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session, defer

from api.models import Job, LatestValue
from api.queries.conditions import build_condition, has_tag, is_of_recipe
from api.queries.sorting import ColumnOrder, build_order
from api.queries.views import job_summaries
from api.schemas import JobState, JobSummary, Page
from api.search import Term, Word
from ganlib.spec_paths import Step, resolve_field


@dataclass(frozen=True)
class JobFilters:
    """Which jobs to list; all that is asked for must hold.

    `name`: a part of it; `tag`: one of its tags; `commit`: its first digits; `recipe`: a part of the paper that it
    repeats; `terms`: what `api.search` read; `has`: only jobs with a grid, or with a point of a curve.
    """

    states: Sequence[JobState] = ()
    name: str | None = None
    tag: str | None = None
    commit: str | None = None
    recipe: str | None = None
    terms: Sequence[Term] = ()
    has: Literal["grids", "curves"] | None = None


def list_jobs(
    session: Session,
    filters: JobFilters | None = None,
    sort: str = "-created_at",
    limit: int = 50,
    cursor: str | None = None,
) -> Page[JobSummary]:
    """Return one page of jobs; raises RequestInvalid for an unknown sort and for a cursor of another list."""
    dialect = session.get_bind().dialect.name
    order = build_order(sort, cursor, dialect)
    wanted = [Job.deleted_at.is_(None), *_conditions(filters or JobFilters(), dialect)]
    # A summary shows no spec, and reading fifty of them would take as long as all the rest.
    whole = select(Job).options(defer(Job.spec, raiseload=True))
    # An order without an index sorts all jobs: by their ids alone, which is all that it needs to read.
    query = whole if isinstance(order, ColumnOrder) else select(Job.id)
    rows = session.execute(order.apply(query.where(*wanted)).limit(limit + 1)).all()
    found = [row[0] for row in rows[:limit]]
    if not isinstance(order, ColumnOrder):
        by_id = {job.id: job for job in session.scalars(whole.where(Job.id.in_(found)))}
        found = [by_id[job_id] for job_id in found]
    following = order.write_position(rows[limit - 1][1:], found[-1].id) if len(rows) > limit else None
    return Page(items=job_summaries(session, found), next=following)


def _conditions(filters: JobFilters, dialect: str) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    # Of several states any one will do; of everything else all must hold.
    named = [
        term for term in filters.terms if isinstance(term, Word) and term.key == "state" and not term.excluded
    ]
    states = [*filters.states, *(term.wanted for term in named)]
    if states:
        conditions.append(Job.state.in_(states))
    if filters.name:
        conditions.append(Job.name.icontains(filters.name, autoescape=True))
    if filters.tag:
        conditions.append(has_tag(filters.tag))
    if filters.commit:
        conditions.append(Job.commit_hash.startswith(filters.commit.lower(), autoescape=True))
    if filters.recipe:
        conditions.append(is_of_recipe(filters.recipe))
    if filters.has == "grids":
        conditions.append(Job.newest_sample_id.is_not(None))
    if filters.has == "curves":
        conditions.append(exists().where(LatestValue.job_id == Job.id))
    return conditions + [build_condition(term, dialect) for term in filters.terms if term not in named]


def read_spec_fields(session: Session, job_ids: Sequence[str], paths: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return these fields of these jobs' specs by job and path; raises NoSuchField for a path that there is not.

    Of a list that is searched, the values of all elements that have the field.
    """
    if not paths:
        return {}
    steps = {path: resolve_field(path) for path in paths}
    rows = session.execute(select(Job.id, Job.spec).where(Job.id.in_(job_ids)))
    return {job_id: {path: _follow(spec, way) for path, way in steps.items()} for job_id, spec in rows}


def _follow(value: Any, steps: Sequence[Step]) -> Any:
    for place, step in enumerate(steps):
        if step is None:
            inner = [_follow(part, steps[place + 1 :]) for part in value] if isinstance(value, list) else []
            return [part for part in inner if part is not None]
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value
