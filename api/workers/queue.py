"""The queue as workers will empty it: what waits in the order of its claims, and who could take each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from api.attempts.lease_expiry import is_claimable
from api.server.database.clock import database_now
from api.server.database.models import Attempt, Job


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


# Whether a job needs a graphics card, bars it, or takes what comes.
Needs = Literal["gpu", "cpu", "any"]
NEEDS: tuple[Needs, ...] = get_args(Needs)


@dataclass(frozen=True)
class Demand:
    """Jobs of one kind: those that can be claimed now, and those that run.

    commit: the digits that they are pinned to, empty where any commit will do.
    """

    needs: Needs
    commit: str
    waiting: int
    running: int

    @property
    def wanted(self) -> int:
        """How many workers would have something to do."""
        return self.waiting + self.running


def list_demand(session: Session) -> list[Demand]:
    """Count waiting and running jobs by what they need and by the commit that they are pinned to."""
    needs_gpu = or_(Job.device == "cuda", Job.gpus > 0, Job.gpu_memory > 0)
    needs = case((needs_gpu, "gpu"), (Job.device == "cpu", "cpu"), else_="any").label("needs")
    waiting = func.count().filter(Job.state == "queued").label("waiting")
    running = func.count().filter(Job.state == "running").label("running")
    counts = select(needs, Job.pinned_commit, waiting, running).where(or_(is_claimable(), Job.state == "running"))
    rows = session.execute(counts.group_by(needs, Job.pinned_commit).order_by(Job.pinned_commit, needs))
    return [Demand(row.needs, row.pinned_commit, row.waiting, row.running) for row in rows]


def choose_demand(demand: Sequence[Demand], commit: str | None) -> list[Demand]:
    """Keep the jobs that are pinned to this commit, `none`: those that are not pinned, None: all of them."""
    if commit is None:
        return list(demand)
    if commit == "none":
        return [part for part in demand if not part.commit]
    return [part for part in demand if part.commit and _name_the_same(part.commit, commit)]


def _name_the_same(one: str, other: str) -> bool:
    """Whether two commits, each perhaps shortened, can be the same."""
    return one.startswith(other) or other.startswith(one)
