"""Reads and writes of jobs: insert, find, list, cancel."""

import hashlib
import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from unicodedata import normalize

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session, defer

from api.errors import IdempotencyConflict, JobAmbiguous, JobNotFound, JobStateConflict
from api.events.findings.queries import check_rule, has_finding, has_verdict
from api.events.findings.schemas import VerdictTone
from api.events.log import insert_service_events, log_line_event
from api.jobs.filters import build_condition, check_metrics, explain_no_match, has_tag, is_of_recipe
from api.jobs.schemas import JobPage
from api.jobs.search import Term, Word
from api.jobs.serializers import job_summaries
from api.jobs.sorting import ColumnOrder, build_order, show_key
from api.server.database.clock import database_now
from api.server.database.engine import insert_into
from api.server.database.models import GANLIB, RUN_KEY, Attempt, Job, LatestValue
from api.server.http.schemas import JobState
from ganlib.spec.documents.suggestions import find_near
from ganlib.spec.job import JobSpec
from ganlib.spec.paths import Step, resolve_field
from ganlib.spec.storable import is_storable

# No characters that look alike; twelve of them have 58 bits.
_ID_LETTERS = "23456789abcdefghjkmnpqrstvwxyz"
ID_LENGTH = 12
_LAST_ID = ID_LENGTH * _ID_LETTERS[-1]
_MAX_AMBIGUOUS = 10
# Names among which a nearly written one is searched.
_NEAR_JOBS = 200
_LONGEST_NAME = 250
GIB = 1_073_741_824


def insert_job(
    session: Session,
    spec: JobSpec,
    attempts_allowed: int = 5,
    idempotency_key: str | None = None,
    retry_of: str | None = None,
    made_from: str | None = None,
) -> tuple[Job, bool]:
    """Store a queued job; returns it and True, or the job of an earlier call with this key and False.

    retry_of: the job that this one repeats. made_from: the job whose spec was changed.

    Raises IdempotencyConflict when the key was used with another spec or for the retry of another job,
    JobNotFound or JobAmbiguous for made_from.
    """
    if made_from is not None:
        made_from = get_job_id(session, made_from)
    data = spec.model_dump(mode="json")
    row: dict[str, Any] = {
        "id": make_job_id(),
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
        # A retry of one job is not the retry of another with the same spec, and no first submission.
        if (earlier.spec_sha256, earlier.retry_of) != (row["spec_sha256"], retry_of):
            raise IdempotencyConflict(job_id=earlier.id)
        return earlier, False
    insert_service_events(session, job, state_changed_event(job))
    return job, True


def make_job_id() -> str:
    """Return a new random id."""
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(ID_LENGTH))


def join_labels(labels: Iterable[str]) -> str:
    """Return a set of labels as its canonical text."""
    return " ".join(sorted(set(labels)))


def hash_spec(data: dict[str, Any]) -> str:
    """Return the sha256 of a spec's canonical JSON."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def state_changed_event(job: Job) -> dict[str, Any]:
    """Return the event that reports the job's current state."""
    return {
        "kind": "state_changed",
        "state": job.state,
        "cancel_requested": job.cancel_requested_at is not None,
        "reason": job.reason,
    }


def find_job(session: Session, job_id: str) -> Job | None:
    """Return the job, or None."""
    # The database may refuse some characters that cannot be part of an id.
    return session.get(Job, job_id) if job_id.isascii() and job_id.isalnum() else None


def get_job(session: Session, job_id: str) -> Job:
    """Return the job; raises JobNotFound."""
    job = find_job(session, job_id)
    if job is None:
        raise JobNotFound(job_id=job_id)
    return job


def lock_job(session: Session, job_id: str, *, read: bool = False) -> Job:
    """Return the job as it is now, locked to the end of the transaction; raises JobNotFound.

    What depends on its state must be decided under the lock: on PostgreSQL an UPDATE for one of two states misses
    a row that another transaction is moving from one to the other. read: others may lock it for reading, too.
    """
    # As in `find_job`.
    if not (job_id.isascii() and job_id.isalnum()):
        raise JobNotFound(job_id=job_id)
    locked = select(Job).where(Job.id == job_id).with_for_update(read=read)
    job = session.scalars(locked, execution_options={"populate_existing": True}).one_or_none()
    if job is None:
        raise JobNotFound(job_id=job_id)
    return job


def get_job_id(session: Session, text: str) -> str:
    """Return the id of the one job that this text names; raises JobNotFound and JobAmbiguous.

    A whole id names its job, whatever else has this name. Else the text is the beginning of an id, also of a
    deleted job, which may be restored, or the whole name of a job that is not deleted; or the key that a run's
    writer made for it, such as MLflow's id. JobNotFound names the nearest name or id of the newest jobs.
    """
    found = _find_job_id(session, text)
    if found is None:
        raise JobNotFound(job_id=text[:64], near=_find_near_job(session, text))
    return found


def _find_near_job(session: Session, text: str) -> str | None:
    # Whoever asks for a whole id that is gone, such as by a shared link, learns nothing of other jobs.
    if len(text) == ID_LENGTH and set(text) <= set(_ID_LETTERS):
        return None
    newest = select(Job.name, Job.id).where(Job.deleted_at.is_(None)).order_by(Job.created_at.desc(), Job.id)
    rows = session.execute(newest.limit(_NEAR_JOBS)).all()
    return find_near(text, [*(row.name for row in rows), *(row.id for row in rows)])


def _find_job_id(session: Session, text: str) -> str | None:
    # Most often it is a whole id, which needs no search.
    is_id = text.isascii() and text.isalnum() and len(text) <= ID_LENGTH
    if is_id and len(text) == ID_LENGTH and session.scalar(select(Job.id).where(Job.id == text)):
        return text
    # Databases refuse some characters, and no name holds them.
    if not text or len(text) > _LONGEST_NAME or not is_storable(text):
        return None
    # Specs' names have an accent and its letter as one sign; those of own runs may be written in any way, and a
    # path writes a slash in them so.
    spellings = {text, normalize("NFC", text), text.replace("%2F", "/")}
    named = and_(Job.name.in_(sorted(spellings)), Job.deleted_at.is_(None))
    # The range is read from the index of ids; where a database does not tell cases apart, the second part does.
    begins = and_(Job.id.between(text, f"{text}{_LAST_ID}"), func.substr(Job.id, 1, len(text)) == text)
    match = or_(begins, named) if is_id else named
    columns = (Job.id, Job.name, Job.created_at, func.count().over().label("matches"))
    order = (Job.id != text, Job.created_at.desc(), Job.id)
    rows = session.execute(select(*columns).where(match).order_by(*order).limit(_MAX_AMBIGUOUS)).all()
    if not rows:
        return session.scalar(select(Job.id).where(Job.idempotency_key == f"{RUN_KEY}{text}"))
    if len(rows) == 1 or rows[0].id == text:
        found: str = rows[0].id
        return found
    raise JobAmbiguous.of(text, [(row.id, row.name, row.created_at) for row in rows], rows[0].matches)


def find_named_job(session: Session, text: str) -> Job | None:
    """Return the one job that this text names as in `get_job_id`, or None."""
    try:
        job_id = _find_job_id(session, text)
    except JobAmbiguous:
        return None
    return None if job_id is None else session.get(Job, job_id)


def list_jobs_by_id(session: Session, job_ids: Sequence[str]) -> list[Job]:
    """Return the existing jobs among these ids, in no particular order."""
    return list(session.scalars(select(Job).where(Job.id.in_(job_ids))))


def update_job(session: Session, conditions: Iterable[ColumnElement[bool]], **values: Any) -> Job | None:
    """Change the job that meets the conditions and return its new row; None if no job does."""
    changed = update(Job).where(*conditions).values(values).returning(Job)
    options = {"synchronize_session": False, "populate_existing": True}
    return session.scalars(changed, execution_options=options).one_or_none()


def cancel_job(session: Session, job_id: str) -> Job:
    """Cancel a queued job at once, or request a cancel of a running one; raises JobStateConflict for an ended one.

    The answer to the next heartbeat or batch informs the worker of a running job, which then finishes the attempt.
    """
    job = lock_job(session, job_id)
    if job.origin != GANLIB and job.state == "running" and job.lease_ends_at is None:
        # Nobody would hear of a request.
        own = (Attempt.job_id == job_id, Attempt.attempt == job.attempt)
        session.execute(update(Attempt).where(*own).values(end="cancelled", ended_at=database_now()))
        _update_state(session, job_id, "running", state="cancelled", ended_at=database_now())
        return _record_change(session, job_id, "Cancelled; its program, if it still runs, was not told.")
    requested_at = func.coalesce(Job.cancel_requested_at, database_now())
    if _update_state(
        session, job_id, "queued", state="cancelled", cancel_requested_at=requested_at, ended_at=database_now()
    ):
        return _record_change(session, job_id, "Cancelled while waiting for a worker.")
    if _update_state(session, job_id, "running", cancel_requested_at=requested_at):
        return _record_change(session, job_id, "Cancel requested; the worker stops after this iteration.")
    job = get_job(session, job_id)
    if job.state != "cancelled":
        raise JobStateConflict(f"The job has already {job.state}; there is nothing to cancel.", state=job.state)
    return job


def count_states(session: Session) -> dict[str, int]:
    """Return the number of jobs by state."""
    rows = session.execute(select(Job.state, func.count().label("jobs")).group_by(Job.state))
    return {row.state: row.jobs for row in rows}


def count_listed(session: Session) -> dict[str, int]:
    """Return the number of jobs that are not deleted by state."""
    count = func.count().label("jobs")
    rows = session.execute(select(Job.state, count).where(Job.deleted_at.is_(None)).group_by(Job.state))
    return {row.state: row.jobs for row in rows}


def _update_state(session: Session, job_id: str, from_state: str, **values: Any) -> bool:
    changed = update(Job).where(Job.id == job_id, Job.state == from_state).values(values)
    return session.execute(changed.returning(Job.id)).one_or_none() is not None


def _record_change(session: Session, job_id: str, text: str) -> Job:
    job = session.get_one(Job, job_id, populate_existing=True)
    insert_service_events(session, job, state_changed_event(job), log_line_event(job, text))
    return job


@dataclass(frozen=True)
class JobFilters:
    """Filters of the list of jobs, which must all match.

    `name`: a part of the name; `tag`: one of the tags; `commit`: the first digits; `recipe`: a part of the paper
    that the job repeats; `verdicts`: one of these; `finding`: a rule that found something; `terms`: parsed by
    `api.jobs.search`; `has`: only jobs with a grid, or with a curve.
    """

    states: Sequence[JobState] = ()
    name: str | None = None
    tag: str | None = None
    commit: str | None = None
    recipe: str | None = None
    terms: Sequence[Term] = ()
    verdicts: Sequence[VerdictTone] = ()
    finding: str | None = None
    has: Literal["grids", "curves"] | None = None


def list_jobs(
    session: Session,
    filters: JobFilters | None = None,
    sort: str = "-created_at",
    limit: int = 50,
    cursor: str | None = None,
) -> JobPage:
    """Return one page of jobs; raises RequestInvalid for an unknown sort and for a cursor of another list.

    An empty one says whether the search names a metric or a setting that no job has.
    """
    dialect = session.get_bind().dialect.name
    order = build_order(sort, cursor, dialect)
    check_names(session, sort, filters or JobFilters())
    conditions = build_conditions(filters or JobFilters(), dialect)
    # A summary contains no spec, and reading fifty of them would double the time.
    whole = select(Job).options(defer(Job.spec, raiseload=True))
    # An order without an index sorts all jobs, so only their ids are read first.
    query = whole if isinstance(order, ColumnOrder) else select(Job.id)
    rows = session.execute(order.apply(query.where(*conditions)).limit(limit + 1)).all()
    jobs = [row[0] for row in rows[:limit]]
    if not isinstance(order, ColumnOrder):
        by_id = {job.id: job for job in session.scalars(whole.where(Job.id.in_(jobs)))}
        jobs = [by_id[job_id] for job_id in jobs]
    summaries = job_summaries(session, jobs)
    if not isinstance(order, ColumnOrder):
        for summary, row in zip(summaries, rows, strict=False):
            summary.sorted_by = show_key(row[1:])
    following = order.write_position(rows[limit - 1][1:], jobs[-1].id) if len(rows) > limit else None
    note = explain_no_match(session, filters.terms) if filters and not summaries and cursor is None else None
    return JobPage(items=summaries, next=following, note=note)


def check_names(session: Session, sort: str, filters: JobFilters) -> None:
    """Raise RequestInvalid for a metric or a rule that no job has and that is nearly written like a usual one."""
    check_metrics(session, sort, filters.terms)
    if filters.finding:
        check_rule(session, "finding", filters.finding)
    for term in filters.terms:
        if isinstance(term, Word) and term.key == "finding":
            check_rule(session, "q", term.value)


def build_conditions(filters: JobFilters, dialect: str) -> list[ColumnElement[bool]]:
    """Return the conditions on Job of these filters; deleted jobs meet none."""
    conditions: list[ColumnElement[bool]] = [Job.deleted_at.is_(None)]
    # One of several states suffices; all other filters must match.
    named = [
        term for term in filters.terms if isinstance(term, Word) and term.key == "state" and not term.excluded
    ]
    states = [*filters.states, *(term.value for term in named)]
    if states:
        conditions.append(Job.state.in_(states))
    if filters.name:
        conditions.append(Job.name.icontains(filters.name, autoescape=True))
    if filters.tag:
        conditions.append(has_tag(filters.tag))
    if filters.commit:
        conditions.append(Job.commit_hash.startswith(filters.commit.lower(), autoescape=True))
    if filters.recipe:
        conditions.append(is_of_recipe(filters.recipe, dialect))
    if filters.verdicts:
        conditions.append(or_(*map(has_verdict, filters.verdicts)))
    if filters.finding:
        conditions.append(has_finding(filters.finding))
    if filters.has == "grids":
        conditions.append(Job.newest_sample_id.is_not(None))
    if filters.has == "curves":
        conditions.append(exists().where(LatestValue.job_id == Job.id).correlate(Job))
    return conditions + [build_condition(term, dialect) for term in filters.terms if term not in named]


def read_spec_fields(session: Session, job_ids: Sequence[str], paths: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return these fields of these jobs' specs by job and path; raises NoSuchField for an unknown path.

    A path through a list gives the values of all elements that have the field.
    """
    if not paths:
        return {}
    steps = {path: resolve_field(path) for path in paths}
    rows = session.execute(select(Job.id, Job.spec).where(Job.id.in_(job_ids)))
    return {job_id: {path: read_field(spec, way) for path, way in steps.items()} for job_id, spec in rows}


def read_field(value: Any, steps: Sequence[Step]) -> Any:
    """Return the value at these steps of a spec, None where it has none; of a list, those of all its elements."""
    for place, step in enumerate(steps):
        if step is None:
            inner = [read_field(part, steps[place + 1 :]) for part in value] if isinstance(value, list) else []
            return [part for part in inner if part is not None]
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value
