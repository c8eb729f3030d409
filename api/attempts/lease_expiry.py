"""The reaper: brings back jobs whose worker fell silent, and wakes workers while any job can be claimed."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from api.attempts.claims import end_attempt
from api.server.database.clock import database_now
from api.server.database.engine import Database
from api.server.database.models import Job
from api.server.http.schemas import Reason

logger = logging.getLogger(__name__)
ORPHAN_SECONDS = 86_400.0
_SWEEP_EVERY_SECONDS = 3600.0


@dataclass(frozen=True)
class Cadence:
    """How often to look, how long a lease holds, and how often to wake workers for the same waiting jobs."""

    reap_every_seconds: float
    lease_seconds: float
    wake_every_seconds: float


class Reaper:
    """A thread that looks after jobs; each look is `run_once`, so that tests need no thread."""

    def __init__(
        self,
        database: Database,
        cadence: Cadence,
        wake_workers: Callable[[], None],
        on_change: Callable[[], None] = lambda: None,
        sweep: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
        was_deaf: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database = database
        self._cadence = cadence
        self._wake_workers = wake_workers
        self._on_change = on_change
        self._sweep = sweep
        self._clock = clock
        self._was_deaf = was_deaf
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reaper", daemon=True)
        self._watching_since: float | None = None
        self._looked_at = self._woke_at = float("-inf")
        self._swept_at = clock()
        self._known_waiting: datetime | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the current look."""
        self._stopping.set()
        self._thread.join(10)

    def run_once(self) -> None:
        """Look once: reap, wake, and now and then delete files that nothing refers to."""
        now = self._clock()
        if self.may_reap(now):
            self._reap()
        self._wake(now)
        if now - self._swept_at >= _SWEEP_EVERY_SECONDS:
            self._swept_at = now
            self._sweep()

    def may_reap(self, now: float) -> bool:
        """Say whether workers had one full lease to be heard since this process began to listen without a break.

        A break is a start until the first answer, a suspended machine, or a database that takes no heartbeat:
        while nobody listened, none could arrive.
        """
        slept = now - self._looked_at > self._cadence.reap_every_seconds + self._cadence.lease_seconds / 2
        if self._was_deaf() or self._watching_since is None or slept:
            self._watching_since = now
        self._looked_at = now
        return now - self._watching_since >= self._cadence.lease_seconds

    def _reap(self) -> None:
        with self._database.read() as session:
            lost = list_lost_jobs(session)
        for job_id in lost:
            with self._database.write() as session:
                job = reap_job(session, job_id)
            if job is not None:
                logger.warning("Attempt %d of job %s was lost; the job is %s.", job.attempt, job.id, job.state)
                self._on_change()

    def _wake(self, now: float) -> None:
        with self._database.read() as session:
            waiting = count_waiting(session)
        is_news = waiting.newest_at is not None and waiting.newest_at != self._known_waiting
        self._known_waiting = waiting.newest_at
        if waiting.count and (is_news or now - self._woke_at >= self._cadence.wake_every_seconds):
            self._woke_at = now
            self._wake_workers()

    def look(self) -> None:
        """Look once, and survive what goes wrong."""
        try:
            self.run_once()
        except Exception:
            # One failed look, such as a database that restarts, must not end all looking. Nor could that database
            # take heartbeats.
            self._watching_since = None
            logger.exception("The reaper's look failed; it looks again.")

    def _run(self) -> None:
        while not self._stopping.wait(self._cadence.reap_every_seconds):
            self.look()


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
