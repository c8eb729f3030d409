"""Polls the service for queued jobs while this worker is idle, and wakes it.

Messages may be lost, or go through another broker than this worker's (another GANVAS_BROKER_URL, another folder).
"""

from collections.abc import Callable

from api.client.client import Client
from api.errors import ServiceError
from worker.loop.periodic import PeriodicThread

POLL_EVERY_SECONDS = 30.0


class QueuePoller:
    """A thread that calls `wake` while jobs are queued and this worker is idle."""

    def __init__(
        self,
        url: str,
        token: str | None,
        is_idle: Callable[[], bool],
        wake: Callable[[], None],
        every_seconds: float = POLL_EVERY_SECONDS,
    ) -> None:
        self._client = Client(url, token)
        self._is_idle = is_idle
        self._wake = wake
        self._thread = PeriodicThread("queue-poller", self.poll_once, every_seconds)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread."""
        self._thread.close()
        self._client.close()

    def poll_once(self) -> None:
        """Wake this worker if it is idle and any job is queued."""
        if not self._is_idle():
            return
        try:
            has_work = self._client.health().jobs_queued > 0
        except ServiceError:
            return  # the service is away; the next poll asks again
        # Checked again, because the answer took a moment.
        if has_work and self._is_idle():
            self._wake()
