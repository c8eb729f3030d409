"""Opens, reopens and ends runs whose loop Ganvas does not start: somebody's own, or those of another tracker.

A run is known by the key that its writer made. Each process that writes it is an attempt, as a worker's is, with
the same numbers, token and fence. Unlike a worker's job, a run that has ended can be opened again by its writer:
what was recorded while the service was away, or after a silence, is delivered when there is a way.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from api.attempts.claims import discard_after, end_attempt
from api.attempts.schemas import RunOpen
from api.errors import AttemptFenced, IdempotencyConflict, JobStateConflict
from api.events.log import insert_service_events, log_line_event
from api.jobs.queries import hash_spec, lock_job, make_job_id, state_changed_event
from api.server.database.clock import database_now
from api.server.database.engine import insert_into
from api.server.database.models import GANLIB, RUN_KEY, Attempt, Job
from api.server.http.schemas import AttemptEnd, Reason


@dataclass(frozen=True)
class OpenedRun:
    """A run that its writer may write now. is_whole: it had ended with all its events, and stays so."""

    job: Job
    next_seq: int
    is_whole: bool = False


def open_run(session: Session, run: RunOpen, lease_seconds: float | None, token_sha256: str | None) -> OpenedRun:
    """Open the run of this key for its writer; the first call makes it.

    lease_seconds: None for a run that the service itself writes, which promises no sign of life. token_sha256:
    hash of the token that authorises the writes.

    Raises IdempotencyConflict for a key of another kind of job, JobStateConflict for a deleted run, and
    AttemptFenced when a later attempt has begun.
    """
    job, is_new = _find_or_insert(session, run)
    next_seq = 0
    if is_new:
        _begin(session, job, run, token_sha256)
    elif run.attempt != job.attempt:
        _begin_next(session, job, run, token_sha256)
    else:
        attempt = session.get_one(Attempt, (job.id, job.attempt), populate_existing=True)
        next_seq = attempt.next_seq
        # Of a run that was lost all may be stored but how it really ended.
        if next_seq == run.events_count and job.state != "running" and attempt.end != "lost":
            return OpenedRun(job, next_seq, is_whole=True)
        attempt.token_sha256, attempt.ended_at, attempt.end, attempt.reason = token_sha256, None, None, None
        session.flush()
    _run_again(session, job, run, lease_seconds)
    return OpenedRun(job, next_seq)


def end_run(session: Session, job_id: str, end: AttemptEnd, reason: Reason | None = None) -> Job:
    """End the live attempt of a run that the service itself writes; one that has ended does not change."""
    job = lock_job(session, job_id)
    if job.state == "running":
        end_attempt(session, job, end, reason)
    return job


def _find_or_insert(session: Session, run: RunOpen) -> tuple[Job, bool]:
    spec: dict[str, Any] = {"name": run.name, "config": run.config}
    if run.source:
        spec["source"] = run.source
    row = {
        "id": make_job_id(),
        "origin": run.origin,
        "name": run.name,
        "tags": list(dict.fromkeys(run.tags)),
        "note": run.note,
        "spec": spec,
        "spec_sha256": hash_spec(spec),
        "seed": 0,
        "iterations": run.iterations or 0,
        "attempts_allowed": 1,
        "state": "running",
        "attempt": run.attempt,
        "idempotency_key": f"{RUN_KEY}{run.key}",
        "commit_hash": run.provenance.commit,
        "created_at": database_now(),
        "started_at": run.started_at or database_now(),
    }
    inserted = insert_into(session, Job).values(row).on_conflict_do_nothing(index_elements=["idempotency_key"])
    job: Job | None = session.scalars(inserted.returning(Job)).one_or_none()
    if job is not None:
        return job, True
    job_id = session.scalars(select(Job.id).where(Job.idempotency_key == row["idempotency_key"])).one()
    job = lock_job(session, job_id)
    if job.origin != run.origin or job.origin == GANLIB:
        raise IdempotencyConflict(
            f"The key of this run belongs to another kind of job ({job.origin}).", job_id=job.id
        )
    if job.deleted_at is not None:
        message = f"This run was deleted; bring it back first (`ganvas undelete {job.id}`), or write a new one."
        raise JobStateConflict(message, state=job.state)
    return job, False


def _begin(session: Session, job: Job, run: RunOpen, token_sha256: str | None, resumed_from: int = 0) -> None:
    row = {
        "job_id": job.id,
        "attempt": run.attempt,
        "worker": run.writer,
        "claimed_at": database_now(),
        "heartbeat_at": database_now(),
        "resumed_from": resumed_from,
        "seed": 0,
        "token_sha256": token_sha256,
        "provenance": run.provenance.model_dump(mode="json"),
    }
    session.execute(insert(Attempt).values(row))


def _begin_next(session: Session, job: Job, run: RunOpen, token_sha256: str | None) -> None:
    """Begin the attempt of another process, which ends an earlier one; an older one raises AttemptFenced."""
    if run.attempt < job.attempt:
        message = f"Attempt {run.attempt} of this run is over: attempt {job.attempt} has begun."
        raise AttemptFenced(message, job_id=job.id, attempt=run.attempt)
    if job.state == "running":
        reason = Reason(code="run_resumed", message="Another process resumed this run.")
        end_attempt(session, job, "lost", reason)
    resumed_from = job.iteration if run.resume_at is None else run.resume_at
    _begin(session, job, run, token_sha256, resumed_from)
    values = {"attempt": run.attempt, "commit_hash": run.provenance.commit or job.commit_hash}
    session.execute(update(Job).where(Job.id == job.id).values(values))
    session.refresh(job)
    if run.resume_at is not None:
        discard_after(session, job, run.resume_at)
    # Streams drop what is later; the log says where it goes on.
    started = {"kind": "attempt_started", "attempt": run.attempt, "resumed_from": resumed_from}
    insert_service_events(session, job, started)


def _run_again(session: Session, job: Job, run: RunOpen, lease_seconds: float | None) -> None:
    was = job.state
    values: dict[str, Any] = {
        "state": "running",
        "reason": None,
        "ended_at": None,
        "lease_ends_at": None if lease_seconds is None else database_now(lease_seconds),
    }
    if was != "running":
        values["cancel_requested_at"] = None
    if run.iterations:
        values["iterations"] = run.iterations
    session.execute(update(Job).where(Job.id == job.id).values(values))
    session.refresh(job)
    if was != "running" or job.last_event_id == 0:
        goes = f"Run again by {run.writer}." if was != "running" else f"Run by {run.writer}."
        began_at = None if job.last_event_id else run.started_at
        insert_service_events(session, job, state_changed_event(job), log_line_event(job, goes), at=began_at)
