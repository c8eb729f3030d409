"""A worker without a broker: it asks its service for jobs every few seconds. One command on any machine joins.

The same `WorkLoop` as behind Celery, in the main thread, and the same signals: SIGTERM or Ctrl-C stops the trainer
with a checkpoint and gives the job back.
"""

import logging
import random
import signal
from types import FrameType

from api.client.client import Client
from api.errors import ServiceError
from worker.loop.idle_shutdown import IdleEnd
from worker.loop.presence import Registrar, join, pause
from worker.loop.work_loop import WorkLoop
from worker.settings import WorkerSettings

logger = logging.getLogger(__name__)


class PollingWorker:
    """One worker of this process; `run` returns when it was told to end, or refused."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self.loop = WorkLoop(settings)
        self._registrar = Registrar(settings, find_held=lambda: self.loop.held)
        self.loop.on_change = self._registrar.nudge
        self._is_away = False

    def run(self) -> None:
        """Join, then work until told to end; raises ServiceError when the service refuses this worker."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)
        idle_end = IdleEnd(self.loop, self._settings.exit_when_idle)
        try:
            if join(self._registrar, self._settings, self._must_end):
                self._registrar.start()
                idle_end.start()
                with Client(self._settings.url, self._settings.token) as client:
                    self._work(client)
        finally:
            idle_end.close()
            self._registrar.close()
        idle_end.leave()

    def _work(self, client: Client) -> None:
        # At once: an earlier worker's leftovers are delivered whether anything is queued or not.
        self.loop.run_until_empty()
        while not self._must_end():
            if self.loop.refusal is not None:
                raise self.loop.refusal
            # Many workers that were started at once should not ask at once.
            pause(self._settings.poll_seconds * random.uniform(0.75, 1.25), self._must_end)  # noqa: S311
            if self._has_work(client):
                self.loop.run_until_empty()

    def _has_work(self, client: Client) -> bool:
        """Ask whether anything is queued, which costs the service less than a claim."""
        if self._must_end():
            return False
        try:
            is_queued = client.health().jobs_queued > 0
        except ServiceError as error:
            if not self._is_away:
                logger.warning("the service is away; this worker goes on asking: %s", error)
            self._is_away = True
            return False
        if self._is_away:
            logger.info("the service is back")
        self._is_away = False
        return is_queued

    def _must_end(self) -> bool:
        return self.loop.is_shutting_down

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            # Who does not want to wait for the checkpoint presses it once more.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self.loop.shut_down()
