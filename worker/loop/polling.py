"""The worker of this process: its own loop decides when to look for jobs, in the main thread.

It looks when a message of the broker says so, and every few seconds without one: often while there is no broker,
or none that can be used, and every half minute beside one. SIGTERM, Ctrl-C or a terminal that closes stops the
trainer with a checkpoint and gives the job back; a second Ctrl-C does not wait for the checkpoint, a third one
ends everything at once.
"""

import logging
import os
import random
import signal
import sys
import threading
import time
from types import FrameType

from api.client.client import Client
from api.errors import ServiceError
from worker.loop.periodic import PeriodicThread
from worker.loop.presence import TICK_SECONDS, Presence, register
from worker.loop.wake_listener import WakeListener
from worker.loop.work_loop import WorkLoop
from worker.settings import WorkerSettings
from worker.trainer.launcher import kill_trainers

logger = logging.getLogger(__name__)
# Beside a broker whose messages may be lost, or sent through another one than this worker's.
LOOK_EVERY_SECONDS = 30.0
# A job that was just submitted is announced within this time.
ANNOUNCED_WITHIN_SECONDS = 2.0
# How often a worker that is to end when it is idle looks whether it is.
CHECK_IDLE_EVERY_SECONDS = 1.0
INTERRUPTED_STATUS = 128 + signal.SIGINT


class PollingWorker:
    """The worker of this process; `run` returns after a signal, when it is idle for too long, or when refused."""

    def __init__(self, settings: WorkerSettings, look_every_seconds: float = LOOK_EVERY_SECONDS) -> None:
        self._settings = settings
        self._look_every_seconds = look_every_seconds
        self.loop = WorkLoop(settings)
        self._presence = Presence(settings, read_held=lambda: self.loop.held)
        self.loop.on_change = self._presence.post_soon
        self._is_away = False
        # Set by the listener's thread; a signal handler must not touch it, as this thread may hold its lock.
        self._woken = threading.Event()
        self.listener = (
            WakeListener(settings.broker_url, settings.home.expanduser(), self._woken.set)
            if settings.has_broker
            else None
        )

    def run(self) -> None:
        """Register, then work until a signal comes; raises ServiceError when the service refuses this worker."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle_signal)
        # Where it is ignored, as by nohup, the worker is to outlive its terminal.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._handle_signal)
        idle_shutdown = IdleShutdown(self.loop, self._settings.exit_when_idle)
        try:
            if register(self._presence, self._settings, self._must_end):
                self._presence.start()
                if self.listener is not None:
                    self.listener.start()
                idle_shutdown.start()
                with Client(self._settings.url, self._settings.token) as client:
                    self._work(client)
        finally:
            idle_shutdown.close()
            self._presence.close()
            if self.listener is not None:
                self.listener.close()
        idle_shutdown.exit_if_interrupted()

    def _work(self, client: Client) -> None:
        # At once: attempts of an earlier worker are delivered even if nothing is queued.
        self._run_jobs()
        while not self._must_end():
            if self.loop.refusal is not None:
                raise self.loop.refusal
            if self._wait_for_wake():
                self._run_jobs()
            elif self._has_work(client):
                self._run_unannounced()

    def _look_interval(self) -> float:
        """Return the seconds between two looks without a message, as things stand now."""
        is_woken = self.listener is not None and self.listener.is_connected
        return self._look_every_seconds if is_woken else self._settings.poll_seconds

    def _wait_for_wake(self, seconds: float | None = None) -> bool:
        """Wait for a message until it is time for a look, or so long, or until this worker must end.

        Return whether a message came.
        """
        began_at = time.monotonic()
        # Spread, so that workers that were started together do not ask in step.
        spread = random.uniform(0.75, 1.25)  # noqa: S311
        while not self._must_end():
            left = (seconds or self._look_interval() * spread) - (time.monotonic() - began_at)
            if left <= 0:
                return False
            if self._woken.wait(min(left, TICK_SECONDS)):
                self._woken.clear()
                return True
        return False

    def _run_jobs(self) -> int:
        """Run jobs until none is queued for this worker, and take no message meanwhile; return how many ran."""
        if self.listener is None:
            return self.loop.run_until_empty()
        self.listener.is_idle.clear()
        try:
            return self.loop.run_until_empty()
        finally:
            self.listener.is_idle.set()

    def _run_unannounced(self) -> None:
        """Run jobs that a look has found; if no message announces them either, listen to the broker anew."""
        is_announced = self.listener is None or self._wait_for_wake(ANNOUNCED_WITHIN_SECONDS)
        is_deaf = not is_announced and self.listener is not None and self.listener.is_connected
        if self._run_jobs() and is_deaf and self.listener is not None and not self._must_end():
            logger.warning("a job waited that no message had announced: listening to the broker anew")
            self.listener.restart()

    def _has_work(self, client: Client) -> bool:
        """Ask whether any job is queued, which costs the service less than a claim."""
        if self._must_end():
            return False
        try:
            has_work = client.health().jobs_queued > 0
        except ServiceError as error:
            if not self._is_away:
                logger.warning("the service is away; this worker keeps asking: %s", error)
            self._is_away = True
            return False
        if self._is_away:
            logger.info("the service is back")
        self._is_away = False
        return has_work

    def _must_end(self) -> bool:
        return self.loop.is_shutting_down

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:
        # Plain attributes only: this thread may hold any lock.
        is_first = not self.loop.is_shutting_down
        self.loop.shut_down()
        if number != signal.SIGINT or is_first:
            return
        if not self.loop.is_interrupted:
            # On its way out, the supervisor kills its trainer; the next start delivers what that one recorded.
            self.loop.is_interrupted = True
            raise KeyboardInterrupt
        kill_trainers()
        os._exit(INTERRUPTED_STATUS)


def interrupted_status(idle_seconds: float | None) -> int:
    """Return the exit status of a worker that a signal ends: 143 if it was to run until it is idle, else 0.

    Kubernetes replaces a worker that ends with 143; only one that ended because it was idle is done.
    """
    return 0 if idle_seconds is None else 128 + signal.SIGTERM


class IdleShutdown:
    """A thread that sends this process SIGTERM once its loop held no job for `idle_seconds`; never for None.

    It ends, for instance, a worker of a commit for which no jobs come any more.
    is_triggered: whether it has sent the signal.
    """

    def __init__(
        self, loop: WorkLoop, idle_seconds: float | None, every_seconds: float = CHECK_IDLE_EVERY_SECONDS
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
