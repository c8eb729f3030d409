"""The reaper: ends attempts that this process heard nothing of, wakes workers while any job waits, and sweeps."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Float, bindparam, select, update
from sqlalchemy.orm import Session

from api.attempts.lease_watch import HeldLease, LeaseWatch
from api.attempts.outcomes import make_reason
from api.server.database.clock import database_now
from api.server.database.engine import Database
from api.server.database.models import GANLIB, Job
from api.server.operations.availability import Availability
from api.workers.queue import count_waiting, end_stray_delays, has_stray_delays

if TYPE_CHECKING:
    from api.server.http.schemas import Reason

logger = logging.getLogger(__name__)
_SWEEP_EVERY_SECONDS = 3600.0


# Built once: it is asked every second.
_HELD_LEASES = select(Job.id, Job.attempt, Job.lease_ends_at, Job.cancel_requested_at).where(
    # Runs that another tracker's client writes promise no sign of life.
    Job.state == "running",
    Job.lease_ends_at.is_not(None),
)


@dataclass(frozen=True)
class Cadence:
    """Intervals of the reaper's rounds, of a lease, and between wakes for the same waiting jobs."""

    reap_every_seconds: float
    lease_seconds: float
    wake_every_seconds: float


def read_boot_clock() -> float:
    """Return seconds of a clock that nobody can set; where the system has one, it also runs while it sleeps."""
    boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_clock is None else time.clock_gettime(boot_clock)


class Reaper:
    """Two threads that do regularly what `run_once` does at once; tests call that.

    clock: seconds of a clock that never jumps; only differences are used.
    """

    def __init__(
        self,
        database: Database,
        cadence: Cadence,
        wake_workers: Callable[[], None],
        on_change: Callable[[], None] = lambda: None,
        sweep: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = read_boot_clock,
        availability: Availability | None = None,
        stop_sweep: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._cadence = cadence
        self._wake_workers = wake_workers
        self._on_change = on_change
        self._sweep = sweep
        self._clock = clock
        self._availability = availability or Availability(has_answered=True)
        self._watch = LeaseWatch(cadence.lease_seconds)
        self._stopping = threading.Event()
        self._stop_sweep = stop_sweep
        # Two threads: purging thousands of jobs must not hold up leases.
        self._threads = [
            threading.Thread(target=self._run, args=(act,), name=name, daemon=True)
            for name, act in (("reaper", self.run_safely), ("housekeeping", self._sweep_safely))
        ]
        self._last_round_at: float | None = None
        self._extended_at = self._woke_at = float("-inf")
        self._was_deaf = False
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
        listened = self._listen(now)
        with self._database.read() as session:
            self._watch.observe(list_leases(session), listened)
            is_astray = has_stray_delays(session)
        if is_astray:
            with self._database.write() as session:
                end_stray_delays(session)
        self._reap()
        self._wake(now)

    def _listen(self, now: float) -> float:
        """Return for how many seconds workers could reach this process since the last round.

        If they could not, whatever the cause, nobody was silent: the watch begins anew, here and in other
        replicas, whose workers may have been sent to this one.
        """
        gap = 0.0 if self._last_round_at is None else now - self._last_round_at
        self._last_round_at = now
        if not self._availability.has_answered:
            self._watch.forget()
            return 0.0
        cause = self._find_deafness(gap)
        if cause is not None:
            if not self._was_deaf:
                logger.warning("Workers could not reach this service (%s); every lease begins anew.", cause)
            self._watch.forget()
            self._extend_leases(now)
        self._was_deaf = cause is not None
        # A process that hardly ran has hardly listened.
        return min(gap, max(2 * self._cadence.reap_every_seconds, self._cadence.lease_seconds / 10))

    def _find_deafness(self, gap: float) -> str | None:
        """Return why no worker could be heard since the last round; None if they could."""
        lease_seconds = self._cadence.lease_seconds
        if gap > self._cadence.reap_every_seconds + lease_seconds / 2:
            return f"it did not run for {gap:.0f} seconds"
        if (failure := self._availability.take_failure()) is not None:
            return failure
        is_anyone_late = self._watch.longest_silence > lease_seconds / 3
        return None if self._availability.is_reachable(is_anyone_late) else "it does not answer on its own port"

    def _extend_leases(self, now: float) -> None:
        """Write new leases for all running attempts, which every reaper takes for a sign of life."""
        if now - self._extended_at >= self._cadence.lease_seconds / 10:
            self._extended_at = now
            with self._database.write() as session:
                extend_all_leases(session, self._cadence.lease_seconds)

    def _reap(self) -> None:
        ended = self._watch.list_ended()
        if ended and not self._availability.hears_workers(self._cadence.lease_seconds / 2):
            if spared := self._watch.spare_if_all():
                logger.warning("All %d attempts fell silent at once; each gets one more lease.", spared)
            ended = self._watch.list_ended()
        for lease in ended:
            with self._database.write() as session:
                job = reap_job(session, lease)
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
            self._watch.forget()
            logger.exception("A round of the reaper failed; it will run again.")

    def _sweep_safely(self) -> None:
        try:
            self.sweep_if_due()
        except Exception:
            logger.exception("The housekeeping failed; it will run again.")

    def _run(self, act: Callable[[], None]) -> None:
        while not self._stopping.wait(self._cadence.reap_every_seconds):
            act()


def list_leases(session: Session) -> list[HeldLease]:
    """Return the lease of every running job."""
    rows = session.execute(_HELD_LEASES)
    return [HeldLease(row.id, row.attempt, row.lease_ends_at, row.cancel_requested_at is not None) for row in rows]


def extend_all_leases(session: Session, lease_seconds: float) -> None:
    """Extend every running attempt's lease; jobs that are being written are left out: their workers were heard."""
    held = (Job.state == "running", Job.lease_ends_at.is_not(None))
    running = select(Job.id).where(*held).order_by(Job.id).with_for_update(skip_locked=True)
    ends_at = database_now(bindparam("lease_seconds", lease_seconds, Float))
    session.execute(update(Job).where(Job.id.in_(running)).values(lease_ends_at=ends_at))


def reap_job(session: Session, lease: HeldLease) -> Job | None:
    """End the attempt as lost, unless its lease has been renewed since it was read; one job a transaction.

    If the worker is still alive, its writes are fenced from now on.
    """
    # Loaded with the first attempt that is lost: an idle service does without jobs' specs and schemas.
    from api.attempts.claims import end_attempt
    from api.jobs.queries import update_job

    # Clearing the lease locks the row; the conditions are checked again under the lock.
    job = update_job(session, still_holds(lease), lease_ends_at=None)
    if job is not None:
        end_attempt(session, job, "lost", _describe_silence(job))
    return job


def _describe_silence(job: Job) -> "Reason":
    if job.origin == GANLIB:
        return make_reason("attempt_lost", "The worker stopped sending heartbeats.")
    message = (
        "Nothing was heard of this run's process. It goes on when the process, or `ganvas sync` with the run's "
        "folder, reports again."
    )
    return make_reason("run_lost", message)


def still_holds(lease: HeldLease) -> list[ColumnElement[bool]]:
    """Return the conditions that nobody has written this lease since it was read."""
    own = [Job.id == lease.job_id, Job.attempt == lease.attempt, Job.state == "running"]
    return [*own, Job.lease_ends_at.is_not_distinct_from(lease.lease_ends_at)]
