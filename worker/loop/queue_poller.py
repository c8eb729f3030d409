"""A worker that hears of no message still finds work: it looks now and then, and wakes itself.

Messages may be lost, or go through another broker than this worker's (another GANVAS_BROKER_URL, another folder).
"""

import logging
import threading
from collections.abc import Callable

from api.client.client import Client
from api.errors import ServiceError

logger = logging.getLogger(__name__)
LOOK_EVERY_SECONDS = 30.0


class SelfWaker:
    """A thread that calls `wake` while jobs are queued and this worker is idle."""

    def __init__(
        self,
        url: str,
        token: str | None,
        is_idle: Callable[[], bool],
        wake: Callable[[], None],
        every_seconds: float = LOOK_EVERY_SECONDS,
    ) -> None:
        self._client = Client(url, token)
        self._is_idle = is_idle
        self._wake = wake
        self._every_seconds = every_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="self-waker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread."""
        self._stopping.set()
        self._thread.join(10)
        self._client.close()

    def look_once(self) -> None:
        """Wake this worker if it is idle and the service has jobs for anyone."""
        if not self._is_idle():
            return
        try:
            has_work = self._client.health().jobs_queued > 0
        except ServiceError:
            return  # a service that is away has nothing to give; the next look asks again
        # Asked again, because the answer took a moment.
        if has_work and self._is_idle():
            self._wake()

    def _run(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            try:
                self.look_once()
            except Exception:
                logger.exception("looking for work failed; it is tried again")
