"""Renews the lease of one attempt in a thread of its own, so that no long transfer can make it lapse."""

import logging
import time
from threading import Event as Flag
from threading import Thread
from typing import Self

from api.attempts.schemas import LeaseRead
from api.client.transport import is_temporary
from api.client.worker_client import WorkerClient
from api.errors import AttemptFenced, JobNotFound, NotAuthenticated, ServiceError
from worker.attempt.run_dir import RunDir

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
# The answer to a heartbeat also brings a cancel request, which should not take longer than this.
MAX_PERIOD_SECONDS = 5.0


class Lease:
    """Sends a heartbeat when nothing has renewed the lease for a third of it. Any thread may read its attributes.

    cancel_requested: a user wants the job cancelled.
    is_lost: the attempt no longer holds the job; its trainer must stop.

    An unreachable service changes neither: see `worker.attempt.supervisor`.
    """

    def __init__(self, client: WorkerClient, run_dir: RunDir, lease_seconds: float) -> None:
        self.cancel_requested = False
        self.is_lost = False
        self._client = client
        self._run_dir = run_dir
        self._period = min(lease_seconds / 3, MAX_PERIOD_SECONDS)
        self._renewed_at = time.monotonic()
        # The last cause that was told; empty while all is well.
        self._trouble = ""
        self._ended = Flag()
        self._thread = Thread(target=self._keep, name="lease", daemon=True)

    def record_renewal(self, answer: LeaseRead) -> None:
        """Record an answer that renewed the lease."""
        self._renewed_at = time.monotonic()
        self._period = min(answer.lease_seconds / 3, MAX_PERIOD_SECONDS)
        self.cancel_requested = self.cancel_requested or answer.cancel_requested
        if self._trouble:
            logger.info("the lease is renewed again")
        self._trouble = ""

    def mark_lost(self) -> None:
        """Record that the service has fenced the attempt."""
        self.is_lost = True
        self._ended.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        # A heartbeat may hang for longer; the thread is a daemon.
        self._thread.join(1.0)

    def _keep(self) -> None:
        while not self._ended.wait(max(0.0, self._renewed_at + self._period - time.monotonic())):
            if time.monotonic() < self._renewed_at + self._period:
                continue
            try:
                self.record_renewal(self._client.heartbeat(self._run_dir.job_id, self._run_dir.attempt))
            except (AttemptFenced, JobNotFound, NotAuthenticated):
                # The token ends with the attempt, and with a deleted job.
                self.mark_lost()
            except ServiceError as error:
                self._record_trouble(error)
                if not is_temporary(error):
                    self.mark_lost()
                self._ended.wait(min(self._period, RETRY_SECONDS))

    def _record_trouble(self, error: ServiceError) -> None:
        """Say once for each cause what keeps the lease from being renewed: it is tried every second."""
        if error.code != self._trouble:
            logger.warning("the lease could not be renewed: %s", error)
        self._trouble = error.code
