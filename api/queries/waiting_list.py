"""The queue as workers will empty it: what waits in the order of its claims, and who could take each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.clock import database_now
from api.models import Attempt, Job


@dataclass(frozen=True)
class QueuedJob:
    """A job that waits: what it asks of a worker, and until when it rests after an attempt that was lost."""

    id: str
    name: str
    priority: int
    created_at: datetime
    not_before: datetime | None
    attempt: int
    device: str
    gpu_memory: int
    labels: Sequence[str]
    gpus: int
    commit: str


@dataclass(frozen=True)
class RunningJob:
    """A job that runs, on which worker, when that was last heard of, and how far it is."""

    id: str
    name: str
    worker: str
    attempt: int
    heartbeat_at: datetime
    iteration: int
    iterations: int


def list_queue(session: Session, limit: int) -> tuple[list[QueuedJob], int]:
    """Return the first jobs that wait, in the order in which they will be claimed, and how many wait in all."""
    order = (Job.priority.desc(), Job.created_at, Job.id)
    columns = (Job.id, Job.name, Job.priority, Job.created_at, Job.not_before, Job.attempt)
    wishes = (Job.device, Job.gpu_memory, Job.worker_labels, Job.gpus, Job.pinned_commit)
    query = select(*columns, *wishes).where(Job.state == "queued")
    now = session.execute(select(database_now())).scalar_one()
    rows = session.execute(query.order_by(*order).limit(limit)).all()
    found = [
        QueuedJob(
            row.id,
            row.name,
            row.priority,
            row.created_at,
            row.not_before if row.not_before and row.not_before > now else None,
            row.attempt,
            row.device,
            row.gpu_memory,
            row.worker_labels.split(),
            row.gpus,
            row.pinned_commit,
        )
        for row in rows
    ]
    count = session.scalar(select(func.count()).where(Job.state == "queued")) or 0
    return found, count


def list_running(session: Session) -> list[RunningJob]:
    """Return the jobs that run, by worker."""
    columns = (
        Job.id, Job.name, Attempt.worker, Job.attempt, Attempt.heartbeat_at, Job.iteration, Job.iterations
    )  # fmt: skip
    mine = (Attempt.job_id == Job.id) & (Attempt.attempt == Job.attempt)
    query = select(*columns).join(Attempt, mine).where(Job.state == "running")
    return [RunningJob(*row) for row in session.execute(query.order_by(Attempt.worker, Job.id))]
