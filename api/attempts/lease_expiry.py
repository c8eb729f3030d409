"""The reaper: ends attempts whose lease expired, wakes workers while any job can be claimed, and sweeps."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from api.attempts.claims import end_attempt
from api.jobs.queries import update_job
from api.server.database.clock import database_now
from api.server.database.engine import Database
from api.server.database.models import Job
from api.server.http.schemas import Reason
from api.workers.queue import count_waiting

logger = logging.getLogger(__name__)
_SWEEP_EVERY_SECONDS = 3600.0


@dataclass(frozen=True)
class Cadence:
    """Intervals of the reaper's rounds, of a lease, and between wakes for the same waiting jobs."""

    reap_every_seconds: float
    lease_seconds: float
    wake_every_seconds: float


class Reaper:
    """Two threads that do regularly what `run_once` does at once; tests call that."""

    def __init__(
        self,
        database: Database,
        cadence: Cadence,
        wake_workers: Callable[[], None],
        on_change: Callable[[], None] = lambda: None,
        sweep: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.time,
        was_interrupted: Callable[[], bool] = lambda: False,
        stop_sweep: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._cadence = cadence
        self._wake_workers = wake_workers
        self._on_change = on_change
        self._sweep = sweep
        self._clock = clock
        self._was_interrupted = was_interrupted
        self._stopping = threading.Event()
        self._stop_sweep = stop_sweep
        # Two threads: purging thousands of jobs must not hold up leases.
        self._threads = [
            threading.Thread(target=self._run, args=(act,), name=name, daemon=True)
            for name, act in (("reaper", self.run_safely), ("housekeeping", self._sweep_safely))
        ]
        self._available_since: float | None = None
        self._last_round_at = self._woke_at = float("-inf")
        # Long ago: a service that is never up for an hour sweeps, too.
        self._swept_at = float("-inf")
        self._known_waiting: datetime | None = None

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop after the current round."""
        self._stopping.set()
        self._stop_sweep()
        for thread in self._threads:
            thread.join(10)

    def run_once(self) -> None:
        """Run one round: reap, wake, and sweep if that is due."""
        self._run_round()
        self.sweep_if_due()

    def sweep_if_due(self) -> None:
        """Sweep, in the first round and then once an hour."""
        now = self._clock()
        if now - self._swept_at >= _SWEEP_EVERY_SECONDS:
            self._swept_at = now
            self._sweep()

    def _run_round(self) -> None:
        now = self._clock()
        if self.may_reap(now):
            self._reap()
        self._wake(now)

    def may_reap(self, now: float) -> bool:
        """Return whether this process was available to workers without interruption for one full lease.

        An interruption is a start until the first answer, a suspended machine, or a database that stores no
        heartbeats: no heartbeat could arrive during it.
        """
        was_suspended = (
            now - self._last_round_at > self._cadence.reap_every_seconds + self._cadence.lease_seconds / 2
        )
        if self._was_interrupted() or self._available_since is None or was_suspended:
            self._available_since = now
        self._last_round_at = now
        return now - self._available_since >= self._cadence.lease_seconds

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
        is_new = waiting.newest_at is not None and waiting.newest_at != self._known_waiting
        self._known_waiting = waiting.newest_at
        if waiting.count and (is_new or now - self._woke_at >= self._cadence.wake_every_seconds):
            self._woke_at = now
            self._wake_workers()

    def run_safely(self) -> None:
        """Reap and wake once, and log an exception instead of raising it."""
        try:
            self._run_round()
        except Exception:
            # One failed round, such as while the database restarts, must not end the thread. That database could
            # not store heartbeats either.
            self._available_since = None
            logger.exception("A round of the reaper failed; it will run again.")

    def _sweep_safely(self) -> None:
        try:
            self.sweep_if_due()
        except Exception:
            logger.exception("The housekeeping failed; it will run again.")

    def _run(self, act: Callable[[], None]) -> None:
        while not self._stopping.wait(self._cadence.reap_every_seconds):
            act()


def lease_has_ended() -> ColumnElement[bool]:
    """Return the condition that an attempt is lost, by the database's clock."""
    return and_(Job.state == "running", Job.lease_ends_at < database_now())


def list_lost_jobs(session: Session) -> list[str]:
    """Return the ids of jobs whose lease has expired."""
    return list(session.scalars(select(Job.id).where(lease_has_ended()).order_by(Job.lease_ends_at)))


def reap_job(session: Session, job_id: str) -> Job | None:
    """End the job's attempt as lost, unless its lease was renewed meanwhile; one job a transaction.

    If the worker is still alive, its writes are fenced from now on.
    """
    # Clearing the lease locks the row; the condition is checked again under the lock.
    job = update_job(session, [Job.id == job_id, lease_has_ended()], lease_ends_at=None)
    if job is not None:
        end_attempt(
            session, job, "lost", Reason(code="attempt_lost", message="The worker stopped sending heartbeats.")
        )
    return job
