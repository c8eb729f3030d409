"""Leases that ended, and jobs that wait for a worker."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from api.clock import database_now
from api.models import Job
from api.queries.attempts import end_attempt
from api.schemas import Reason


@dataclass(frozen=True)
class Waiting:
    """How many jobs can be claimed now, and since when the newest of them can."""

    count: int
    newest_at: datetime | None


@dataclass(frozen=True)
class Queue:
    """What stands between a queued job and a worker: jobs that run, and queued ones that come first."""

    running: int = 0
    before: int = 0


def lease_has_ended() -> ColumnElement[bool]:
    """Return the condition under which an attempt counts as lost, by the database's clock."""
    return and_(Job.state == "running", Job.lease_ends_at < database_now())


def is_claimable() -> ColumnElement[bool]:
    """Return the condition under which some worker may claim a job now."""
    return and_(Job.state == "queued", or_(Job.not_before.is_(None), Job.not_before <= database_now()))


def list_lost_jobs(session: Session) -> list[str]:
    """Return the ids of jobs whose lease has ended."""
    return list(session.scalars(select(Job.id).where(lease_has_ended()).order_by(Job.lease_ends_at)))


def reap_job(session: Session, job_id: str) -> Job | None:
    """End the job's attempt as lost, unless its lease was renewed meanwhile; one job a transaction.

    The worker may still be alive: its writes are fenced from now on.
    """
    # Clearing the lease takes the row's lock; the condition is read again under it.
    ended = update(Job).where(Job.id == job_id, lease_has_ended()).values(lease_ends_at=None).returning(Job)
    options = {"synchronize_session": False, "populate_existing": True}
    job = session.scalars(ended, execution_options=options).one_or_none()
    if job is not None:
        end_attempt(
            session, job, "lost", Reason(code="attempt_lost", message="The worker stopped sending heartbeats.")
        )
    return job


def count_waiting(session: Session) -> Waiting:
    """Count the jobs that a worker could claim now."""
    since = func.max(func.coalesce(Job.not_before, Job.created_at))
    count, newest_at = session.execute(select(func.count(), since).where(is_claimable())).one()
    return Waiting(count, newest_at)


def count_queue(session: Session, job: Job) -> Queue:
    """Count the jobs that run, and those that a worker who could take this one would take before it."""
    earlier = and_(Job.created_at == job.created_at, Job.id < job.id)
    before = or_(
        Job.priority > job.priority,
        and_(Job.priority == job.priority, or_(Job.created_at < job.created_at, earlier)),
    )
    # A worker with another device passes over what is bound to this one, and the other way round.
    rivals = Job.device.in_(["auto", job.device]) if job.device != "auto" else Job.device == "auto"
    # So does one that runs another commit than theirs, or has fewer cards.
    modest = and_(Job.pinned_commit.in_(["", job.pinned_commit]), Job.gpus <= job.gpus)
    queued = and_(Job.state == "queued", before, rivals, modest)
    counts = select(
        func.count().filter(Job.state == "running").label("running"), func.count().filter(queued).label("queued")
    )
    row = session.execute(counts.where(Job.state.in_(["queued", "running"]))).one()
    return Queue(row.running, row.queued)
