"""Jobs as people make and end them."""

import hashlib
import json
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from api.clock import database_now
from api.db import insert_into
from api.errors import IdempotencyConflict, JobNotFound, JobStateConflict
from api.models import Attempt, Job
from api.queries.batches import insert_service_events, say
from ganlib.spec import JobSpec

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
