"""Jobs as people make and end them."""

import hashlib
import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.orm import Session, defer

from api.errors import DiffNotFound, IdempotencyConflict, JobNotFound, JobStateConflict
from api.events.log import insert_service_events, say
from api.jobs.filters import build_condition, has_tag, is_of_recipe
from api.jobs.schemas import JobSummary
from api.jobs.search import Term, Word
from api.jobs.serializers import job_summaries
from api.jobs.sorting import ColumnOrder, build_order
from api.server.database.clock import database_now
from api.server.database.engine import insert_into
from api.server.database.models import Attempt, Job, LatestValue
from api.server.http.schemas import JobState, Page
from ganlib.spec.job import JobSpec
from ganlib.spec.paths import Step, resolve_field

# Without letters that are read as others; twelve of them are 58 bits.
_ID_LETTERS = "23456789abcdefghjkmnpqrstvwxyz"
_ID_LENGTH = 12
GIB = 1_073_741_824


def insert_job(
    session: Session,
    spec: JobSpec,
    attempts_allowed: int = 5,
    idempotency_key: str | None = None,
    retry_of: str | None = None,
    made_from: str | None = None,
) -> tuple[Job, bool]:
    """Store a queued job; returns it and True, or False with the one that this key made before.

    retry_of: the job that this one repeats. made_from: the job from whose spec it was made.

    Raises IdempotencyConflict when the key came with another spec, JobNotFound when made_from is no job.
    """
    if made_from is not None:
        get_job(session, made_from)
    data = spec.model_dump(mode="json")
    row: dict[str, Any] = {
        "id": "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH)),
        "name": spec.name,
        "tags": list(spec.tags),
        "spec": data,
        "spec_sha256": hash_spec(data),
        "seed": spec.seed,
        "iterations": spec.iterations,
        "device": spec.device,
        "priority": spec.queue.priority,
        "gpu_memory": int((spec.queue.gpu_memory_gib or 0) * GIB),
        "worker_labels": join_labels(spec.queue.worker_labels),
        "gpus": spec.queue.gpus or 0,
        "pinned_commit": spec.queue.commit or "",
        "attempts_allowed": attempts_allowed,
        "retry_of": retry_of,
        "made_from": made_from or retry_of,
        "idempotency_key": idempotency_key,
        "created_at": database_now(),
    }
    insert = insert_into(session, Job).values(row).on_conflict_do_nothing(index_elements=["idempotency_key"])
    job: Job | None = session.scalars(insert.returning(Job)).one_or_none()
    if job is None:
        earlier = session.scalars(select(Job).where(Job.idempotency_key == idempotency_key)).one()
        if earlier.spec_sha256 != row["spec_sha256"]:
            raise IdempotencyConflict(job_id=earlier.id)
        return earlier, False
    insert_service_events(session, job, state_changed(job))
    return job, True


def join_labels(labels: Iterable[str]) -> str:
    """Return a set of labels as the one text that stands for it."""
    return " ".join(sorted(set(labels)))


def hash_spec(data: dict[str, Any]) -> str:
    """Return the sha256 of a spec's canonical JSON."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def state_changed(job: Job) -> dict[str, Any]:
    """Return the event that tells streams where the job stands now."""
    return {
        "kind": "state_changed",
        "state": job.state,
        "cancel_requested": job.cancel_requested_at is not None,
        "reason": job.reason,
    }


def find_job(session: Session, job_id: str) -> Job | None:
    """Return the job, or None."""
    # No text that cannot be an id reaches the database, which may refuse some characters.
    return session.get(Job, job_id) if job_id.isascii() and job_id.isalnum() else None


def get_job(session: Session, job_id: str) -> Job:
    """Return the job; raises JobNotFound."""
    job = find_job(session, job_id)
    if job is None:
        raise JobNotFound(job_id=job_id)
    return job


def list_jobs_by_id(session: Session, job_ids: Sequence[str]) -> list[Job]:
    """Return those of these jobs that exist, in no order."""
    return list(session.scalars(select(Job).where(Job.id.in_(job_ids))))


def cancel_job(session: Session, job_id: str) -> Job:
    """End a queued job at once, ask a running one to stop; raises JobStateConflict when it ended otherwise.

    The worker of a running job learns of it with its next heartbeat or batch, and acknowledges.
    """
    asked = func.coalesce(Job.cancel_requested_at, database_now())
    if _change(session, job_id, "queued", state="cancelled", cancel_requested_at=asked, ended_at=database_now()):
        return _tell(session, job_id, "Cancelled while it waited for a worker.")
    if _change(session, job_id, "running", cancel_requested_at=asked):
        return _tell(session, job_id, "Somebody asked for an end; the worker stops after this iteration.")
    job = get_job(session, job_id)
    if job.state != "cancelled":
        raise JobStateConflict(f"The job has already {job.state}; there is nothing to cancel.", state=job.state)
    return job


def count_states(session: Session) -> dict[str, int]:
    """Return how many jobs stand in each state that has any."""
    rows = session.execute(select(Job.state, func.count().label("jobs")).group_by(Job.state))
    return {row.state: row.jobs for row in rows}


def count_attempt_ends(session: Session) -> dict[str, int]:
    """Return how many attempts ended in each way that there was."""
    rows = session.execute(
        select(Attempt.end, func.count().label("attempts")).where(Attempt.end.is_not(None)).group_by(Attempt.end)
    )
    return {row.end: row.attempts for row in rows}


def _change(session: Session, job_id: str, from_state: str, **values: Any) -> bool:
    changed = update(Job).where(Job.id == job_id, Job.state == from_state).values(values)
    return session.execute(changed.returning(Job.id)).one_or_none() is not None


def _tell(session: Session, job_id: str, text: str) -> Job:
    job = session.get_one(Job, job_id, populate_existing=True)
    insert_service_events(session, job, state_changed(job), say(job, text))
    return job


@dataclass(frozen=True)
class JobFilters:
    """Which jobs to list; all that is asked for must hold.

    `name`: a part of it; `tag`: one of its tags; `commit`: its first digits; `recipe`: a part of the paper that it
    repeats; `terms`: what `api.jobs.search` read; `has`: only jobs with a grid, or with a point of a curve.
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


def get_diff(session: Session, job_id: str, attempt: int) -> str:
    """Return an attempt's uncommitted changes; raises JobNotFound and DiffNotFound."""
    job = get_job(session, job_id)
    own = (Attempt.job_id == job.id, Attempt.attempt == attempt)
    provenance = session.scalars(select(Attempt.provenance).where(*own)).one_or_none()
    diff: str = (provenance or {}).get("uncommitted_diff", "")
    if not diff:
        raise DiffNotFound(job_id=job_id, attempt=attempt)
    return diff
