"""Ends a worker that had no job for some time, such as one of a commit for which no jobs come any more."""

import logging
import os
import signal
import sys
import time

from worker.loop.periodic import PeriodicThread
from worker.loop.work_loop import WorkLoop

logger = logging.getLogger(__name__)
CHECK_EVERY_SECONDS = 1.0


def interrupted_status(idle_seconds: float | None) -> int:
    """Return the exit status of a worker that a signal ends: 143 if it was to run until it is idle, else 0.

    Kubernetes replaces a worker that ends with 143; only one that ended because it was idle is done.
    """
    return 0 if idle_seconds is None else 128 + signal.SIGTERM


class IdleShutdown:
    """A thread that sends this process SIGTERM once its loop held no job for `idle_seconds`; never for None.

    is_triggered: whether it has sent the signal.
    """

    def __init__(
        self, loop: WorkLoop, idle_seconds: float | None, every_seconds: float = CHECK_EVERY_SECONDS
    ) -> None:
        self._loop = loop
        self._idle_seconds = idle_seconds
        self._thread = PeriodicThread("idle-shutdown", self._check, every_seconds)
        # A plain attribute, for both threads.
        self.is_triggered = False

    def start(self) -> None:
        """Start the thread if there is a limit."""
        if self._idle_seconds is not None:
            self._thread.start()

    def close(self) -> None:
        """Stop the thread."""
        self._thread.close()

    def exit_if_interrupted(self) -> None:
        """Exit with 143 if the worker ends before it was idle for that long."""
        if not self.is_triggered and (status := interrupted_status(self._idle_seconds)):
            sys.exit(status)

    def is_due(self) -> bool:
        """Return whether the loop has been idle for that long."""
        idle = time.monotonic() - self._loop.idle_since
        return self._idle_seconds is not None and self._loop.held is None and idle >= self._idle_seconds

    def _check(self) -> None:
        if self.is_triggered or not self.is_due():
            return
        logger.info("no job for %g seconds: this worker ends", self._idle_seconds)
        self.is_triggered = True
        # First the flag: nothing is claimed any more while the signal is on its way.
        self._loop.shut_down()
        os.kill(os.getpid(), signal.SIGTERM)
