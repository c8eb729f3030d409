"""A worker that had no job for some time ends by itself, as one of a commit that nobody asks for any more."""

import logging
import os
import signal
import sys
import threading
import time

from worker.loop.work_loop import WorkLoop

logger = logging.getLogger(__name__)
LOOK_EVERY_SECONDS = 1.0


def early_status(idle_seconds: float | None) -> int:
    """Return the exit status of a worker that is told to end: 143 where it was to go on until it is idle.

    Kubernetes then starts another in its place: only an idle one has done what it was there for.
    """
    return 0 if idle_seconds is None else 128 + signal.SIGTERM


class IdleEnd:
    """A thread that sends this process SIGTERM once its loop held no job for so long; never for None.

    has_come: whether it did.
    """

    def __init__(
        self, loop: WorkLoop, idle_seconds: float | None, every_seconds: float = LOOK_EVERY_SECONDS
    ) -> None:
        self._loop = loop
        self._idle_seconds = idle_seconds
        self._every_seconds = every_seconds
        # A plain attribute, for both threads.
        self.has_come = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="idle-end", daemon=True)

    def start(self) -> None:
        """Start the thread, if there is anything to wait for."""
        if self._idle_seconds is not None:
            self._thread.start()

    def close(self) -> None:
        """Stop the thread."""
        self._stopping.set()

    def leave(self) -> None:
        """Exit if this worker was told to end before it was idle for so long."""
        if not self.has_come and (status := early_status(self._idle_seconds)):
            sys.exit(status)

    def is_due(self) -> bool:
        """Whether the loop was idle for so long."""
        idle = time.monotonic() - self._loop.idle_since
        return self._idle_seconds is not None and self._loop.held is None and idle >= self._idle_seconds

    def _run(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            if self.is_due():
                logger.info("no job for %g seconds: this worker ends", self._idle_seconds)
                self.has_come = True
                # First the flag: nothing is claimed any more while the signal is on its way.
                self._loop.shut_down()
                os.kill(os.getpid(), signal.SIGTERM)
                return
