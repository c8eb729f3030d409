"""Leases: the fence that every write of a worker passes, and the columns of the job that such a write needs.

Posts and heartbeats are the most frequent requests. Their statements are therefore built once, and read plain
columns instead of objects: building and loading took several times as long as the database's own work.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Float, bindparam, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from api.errors import AttemptFenced, JobNotFound
from api.jobs.queries import find_job
from api.server.database.clock import database_now
from api.server.database.models import Attempt, Job

# Condition of every worker's write: its attempt is the live one.
FENCE: tuple[ColumnElement[bool], ...] = (
    Job.id == bindparam("leased_job"),
    Job.attempt == bindparam("leased_attempt"),
    Job.state == "running",
)


@dataclass(frozen=True, slots=True)
class LeasedJob:
    """A job whose row this transaction has locked for the live attempt."""

    id: str
    attempt: int
    iterations: int
    iteration: int
    origin: str
    # The time, not IS NULL: some releases of SQLite evaluate that wrongly after an UPDATE.
    cancel_requested_at: datetime | None
    folded_event_id: int
    tail_batches: int
    tail_points: int


# The columns of LeasedJob, after id and attempt.
_LEASED_COLUMNS = (
    Job.iterations,
    Job.iteration,
    Job.origin,
    Job.cancel_requested_at,
    Job.folded_event_id,
    Job.tail_batches,
    Job.tail_points,
)


def build_lease_update(
    fence: Iterable[ColumnElement[bool]],
) -> ReturningUpdate[int, int, str, datetime | None, int, int, int]:
    """Return the conditional UPDATE that locks a job's row and extends its lease; it returns no row if fenced."""
    ends_at = database_now(bindparam("lease_seconds", type_=Float))
    return update(Job).where(*fence).values(lease_ends_at=ends_at).returning(*_LEASED_COLUMNS)


LEASE_UPDATE = build_lease_update(FENCE)
_LOCK_UPDATE = (
    update(Job)
    .where(Job.id == bindparam("locked_job"))
    .values(attempt=Job.attempt)
    .returning(Job.attempt, *_LEASED_COLUMNS)
)
_HEARTBEAT_UPDATE = (
    update(Attempt)
    .where(Attempt.job_id == bindparam("leased_job"), Attempt.attempt == bindparam("leased_attempt"))
    .values(heartbeat_at=database_now())
)


def extend_lease(session: Session, job_id: str, attempt: int, lease_seconds: float) -> LeasedJob:
    """Lock the job's row for a write of this attempt and extend its lease.

    Raises AttemptFenced when the attempt no longer holds the job, JobNotFound when there is no such job.
    """
    parameters = {"leased_job": job_id, "leased_attempt": attempt, "lease_seconds": lease_seconds}
    row = session.connection().execute(LEASE_UPDATE, parameters).one_or_none()
    if row is None:
        if find_job(session, job_id) is None:
            raise JobNotFound(job_id=job_id)
        raise AttemptFenced(job_id=job_id, attempt=attempt)
    return LeasedJob(job_id, attempt, *row)


def lock_without_lease(session: Session, job_id: str) -> LeasedJob:
    """Lock the job's row for a write of the service itself, in any state; raises JobNotFound."""
    row = session.connection().execute(_LOCK_UPDATE, {"locked_job": job_id}).one_or_none()
    if row is None:
        raise JobNotFound(job_id=job_id)
    attempt, *columns = row
    return LeasedJob(job_id, attempt, *columns)


def renew_lease(session: Session, job_id: str, attempt: int, lease_seconds: float) -> LeasedJob:
    """Record a heartbeat and extend the lease; raises AttemptFenced."""
    job = extend_lease(session, job_id, attempt, lease_seconds)
    session.connection().execute(_HEARTBEAT_UPDATE, {"leased_job": job_id, "leased_attempt": attempt})
    return job
