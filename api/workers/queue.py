"""The queue: claimable, queued and running jobs, and the demand for workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import ColumnElement, and_, case, func, or_, select, update
from sqlalchemy.orm import Session

from api.attempts import outcomes
from api.server.database.clock import database_now
from api.server.database.models import GANLIB, Attempt, Job, LatestValue
from ganlib.vocabulary import SPEED

# A job needs a graphics card, only the CPU, or either.
Needs = Literal["gpu", "cpu", "any"]
NEEDS: tuple[Needs, ...] = get_args(Needs)


@dataclass(frozen=True)
class QueuedJob:
    """A queued job: its requirements on a worker, and the end of its delay after a lost attempt."""

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
    iterations: int = 0


@dataclass(frozen=True)
class RunningJob:
    """A running job: its worker, its last heartbeat, its progress, and iterations a second where it said them."""

    id: str
    name: str
    worker: str
    attempt: int
    heartbeat_at: datetime
    iteration: int
    iterations: int
    speed: float | None = None


@dataclass(frozen=True)
class Waiting:
    """The number of jobs that can be claimed now, and the time since which the newest of them can."""

    count: int
    newest_at: datetime | None


@dataclass(frozen=True)
class QueuePosition:
    """Numbers of running jobs, and of queued jobs that come before a given one."""

    running: int = 0
    before: int = 0


def is_claimable() -> ColumnElement[bool]:
    """Return the condition that a worker may claim a job now.

    No delay is longer than the longest one: a job that seems to wait for more saw the clock jump back.
    """
    is_due = or_(Job.not_before.is_(None), Job.not_before <= database_now(), _waits_beyond_any_delay())
    return and_(Job.state == "queued", is_due)


def _waits_beyond_any_delay() -> ColumnElement[bool]:
    return Job.not_before > database_now(outcomes.MAX_BACKOFF_SECONDS)


def has_stray_delays(session: Session) -> bool:
    """Return whether the clock jumped back and left a job's delay beyond any that there is."""
    stray = and_(Job.state == "queued", _waits_beyond_any_delay())
    return session.execute(select(Job.id).where(stray).limit(1)).first() is not None


def end_stray_delays(session: Session) -> None:
    """End the delays that a clock left beyond any: as time goes by they would hold their jobs back once more."""
    stray = and_(Job.state == "queued", _waits_beyond_any_delay())
    session.execute(
        update(Job).where(stray).values(not_before=None), execution_options={"synchronize_session": False}
    )


def count_waiting(session: Session) -> Waiting:
    """Count the claimable jobs."""
    since = func.max(func.coalesce(Job.not_before, Job.created_at))
    count, newest_at = session.execute(select(func.count(), since).where(is_claimable())).one()
    return Waiting(count, newest_at)


def count_queue(session: Session, job: Job) -> QueuePosition:
    """Count the running jobs, and the queued ones that a worker for this job would claim before it."""
    earlier = and_(Job.created_at == job.created_at, Job.id < job.id)
    before = or_(
        Job.priority > job.priority,
        and_(Job.priority == job.priority, or_(Job.created_at < job.created_at, earlier)),
    )
    # Jobs that are bound to another device do not compete with this one.
    rivals = Job.device.in_(["auto", job.device]) if job.device != "auto" else Job.device == "auto"
    # Nor do jobs that are pinned to another commit or need more cards.
    same_worker = and_(Job.pinned_commit.in_(["", job.pinned_commit]), Job.gpus <= job.gpus)
    queued = and_(Job.state == "queued", before, rivals, same_worker)
    counts = select(
        func.count().filter(Job.state == "running").label("running"), func.count().filter(queued).label("queued")
    )
    row = session.execute(counts.where(Job.state.in_(["queued", "running"]))).one()
    return QueuePosition(row.running, row.queued)


def list_queue(session: Session, limit: int) -> tuple[list[QueuedJob], int]:
    """Return the first queued jobs in the order of their claims, and the number of all queued jobs."""
    order = (Job.priority.desc(), Job.created_at, Job.id)
    columns = (Job.id, Job.name, Job.priority, Job.created_at, Job.not_before, Job.attempt)
    requirements = (Job.device, Job.gpu_memory, Job.worker_labels, Job.gpus, Job.pinned_commit, Job.iterations)
    query = select(*columns, *requirements).where(Job.state == "queued")
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
            row.iterations,
        )
        for row in rows
    ]
    count = session.scalar(select(func.count()).where(Job.state == "queued")) or 0
    return found, count


def list_running(session: Session) -> list[RunningJob]:
    """Return the running jobs of workers, by worker; a loop of somebody's own has none."""
    columns = (
        Job.id, Job.name, Attempt.worker, Job.attempt, Attempt.heartbeat_at, Job.iteration, Job.iterations,
        LatestValue.value,
    )  # fmt: skip
    mine = (Attempt.job_id == Job.id) & (Attempt.attempt == Job.attempt)
    pace = (LatestValue.job_id == Job.id) & (LatestValue.metric == SPEED.name)
    query = (
        select(*columns)
        .join(Attempt, mine)
        .outerjoin(LatestValue, pace)
        .where(Job.state == "running", Job.origin == GANLIB)
    )
    return [RunningJob(*row) for row in session.execute(query.order_by(Attempt.worker, Job.id))]


@dataclass(frozen=True)
class Demand:
    """Numbers of claimable and running jobs of one kind.

    commit: the digits that they are pinned to, empty for any commit.
    """

    needs: Needs
    commit: str
    waiting: int
    running: int

    @property
    def wanted(self) -> int:
        """Number of workers that would have work."""
        return self.waiting + self.running


def list_demand(session: Session) -> list[Demand]:
    """Count claimable and running jobs by device need and pinned commit."""
    needs_gpu = or_(Job.device == "cuda", Job.gpus > 0, Job.gpu_memory > 0)
    needs = case((needs_gpu, "gpu"), (Job.device == "cpu", "cpu"), else_="any").label("needs")
    waiting = func.count().filter(Job.state == "queued").label("waiting")
    running = func.count().filter(Job.state == "running").label("running")
    counts = select(needs, Job.pinned_commit, waiting, running).where(or_(is_claimable(), Job.state == "running"))
    rows = session.execute(counts.group_by(needs, Job.pinned_commit).order_by(Job.pinned_commit, needs))
    return [Demand(row.needs, row.pinned_commit, row.waiting, row.running) for row in rows]


def select_demand(demand: Sequence[Demand], commit: str | None) -> list[Demand]:
    """Keep the demand pinned to this commit; `none` keeps the demand without a pin, None keeps all."""
    if commit is None:
        return list(demand)
    if commit == "none":
        return [part for part in demand if not part.commit]
    return [part for part in demand if part.commit and _can_be_the_same(part.commit, commit)]


def _can_be_the_same(one: str, other: str) -> bool:
    """Return whether two commits, each possibly shortened, can be the same."""
    return one.startswith(other) or other.startswith(one)
