"""Who holds a job: the fence that every write of a worker passes, and what such a write has to know of the job.

Posts and heartbeats are most of what a service is asked. Their statements are therefore built once, and read plain
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

# Of every worker's write: this attempt is the live one.
FENCE: tuple[ColumnElement[bool], ...] = (
    Job.id == bindparam("held_job"),
    Job.attempt == bindparam("held_attempt"),
    Job.state == "running",
)


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job whose row this transaction has locked for the live attempt."""

    id: str
    attempt: int
    iterations: int
    iteration: int
    # Not whether it is null: some releases of SQLite answer that wrongly after an UPDATE.
    cancel_requested_at: datetime | None
    folded_event_id: int
    tail_batches: int
    tail_points: int


def build_hold(fence: Iterable[ColumnElement[bool]]) -> ReturningUpdate[int, int, datetime | None, int, int, int]:
    """Return the conditional UPDATE that locks a job's row and renews its lease; without a row nobody holds it."""
    ends_at = database_now(bindparam("lease_seconds", type_=Float))
    return (
        update(Job)
        .where(*fence)
        .values(lease_ends_at=ends_at)
        .returning(
            Job.iterations,
            Job.iteration,
            Job.cancel_requested_at,
            Job.folded_event_id,
            Job.tail_batches,
            Job.tail_points,
        )
    )


HOLD = build_hold(FENCE)
_BEAT = (
    update(Attempt)
    .where(Attempt.job_id == bindparam("held_job"), Attempt.attempt == bindparam("held_attempt"))
    .values(heartbeat_at=database_now())
)


def hold_attempt(session: Session, job_id: str, attempt: int, lease_seconds: float) -> HeldJob:
    """Lock the job's row for a write of this attempt and renew its lease.

    Raises AttemptFenced when the attempt no longer holds the job, JobNotFound when there is no such job.
    """
    wanted = {"held_job": job_id, "held_attempt": attempt, "lease_seconds": lease_seconds}
    row = session.connection().execute(HOLD, wanted).one_or_none()
    if row is None:
        if find_job(session, job_id) is None:
            raise JobNotFound(job_id=job_id)
        raise AttemptFenced(job_id=job_id, attempt=attempt)
    return HeldJob(job_id, attempt, *row)


def renew_lease(session: Session, job_id: str, attempt: int, lease_seconds: float) -> HeldJob:
    """Take a heartbeat; raises AttemptFenced."""
    held = hold_attempt(session, job_id, attempt, lease_seconds)
    session.connection().execute(_BEAT, {"held_job": job_id, "held_attempt": attempt})
    return held
