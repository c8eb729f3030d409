"""A worker without a broker: it asks its service for jobs every few seconds, so one command on any machine joins.

It runs the same `WorkLoop` as a Celery worker, in the main thread, and handles the same signals: SIGTERM or Ctrl-C
stops the trainer with a checkpoint and gives the job back.
"""

import logging
import random
import signal
from types import FrameType

from api.client.client import Client
from api.errors import ServiceError
from worker.loop.idle_shutdown import IdleShutdown
from worker.loop.presence import Presence, pause, register
from worker.loop.work_loop import WorkLoop
from worker.settings import WorkerSettings

logger = logging.getLogger(__name__)


class PollingWorker:
    """The worker of this process; `run` returns after a signal, when it is idle for too long, or when refused."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self.loop = WorkLoop(settings)
        self._presence = Presence(settings, read_held=lambda: self.loop.held)
        self.loop.on_change = self._presence.post_soon
        self._is_away = False

    def run(self) -> None:
        """Register, then work until a signal comes; raises ServiceError when the service refuses this worker."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle_signal)
        idle_shutdown = IdleShutdown(self.loop, self._settings.exit_when_idle)
        try:
            if register(self._presence, self._settings, self._must_end):
                self._presence.start()
                idle_shutdown.start()
                with Client(self._settings.url, self._settings.token) as client:
                    self._work(client)
        finally:
            idle_shutdown.close()
            self._presence.close()
        idle_shutdown.exit_if_interrupted()

    def _work(self, client: Client) -> None:
        # At once: attempts of an earlier worker are delivered even if nothing is queued.
        self.loop.run_until_empty()
        while not self._must_end():
            if self.loop.refusal is not None:
                raise self.loop.refusal
            # Spread, so that workers that were started together do not ask in step.
            pause(self._settings.poll_seconds * random.uniform(0.75, 1.25), self._must_end)  # noqa: S311
            if self._has_work(client):
                self.loop.run_until_empty()

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
        if number == signal.SIGINT:
            # A second Ctrl-C does not wait for the checkpoint.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self.loop.shut_down()
