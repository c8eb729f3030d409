"""Wakes workers with a message without payload, sent from a separate thread."""

import contextlib
import logging
import queue
import threading
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)
# With more waiting messages than this every worker is busy, and another one changes nothing.
_MAX_WAITING_MESSAGES = 16


class WorkerWaker:
    """Sends wake messages in the background, so that no request waits for the broker; pending ones are merged.

    A message that cannot be sent is only logged: the reaper repeats it while a job can be claimed.
    """

    def __init__(self, broker_url: str | None, home: Path) -> None:
        self._broker_url = broker_url
        self._home = home
        # True requests a wake message, False the end of the thread.
        self._requests: queue.Queue[bool] = queue.Queue(maxsize=1)
        self._celery: Any = None
        self._thread = threading.Thread(target=self._send_wakes, name="worker-waker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake_workers(self) -> None:
        """Request a wake message; returns at once."""
        with contextlib.suppress(queue.Full):
            self._requests.put_nowait(True)

    def close(self) -> None:
        """Send a pending message and stop the thread."""
        self._requests.put(False)
        self._thread.join(10)

    def _send_wakes(self) -> None:
        while self._requests.get():
            try:
                self._send()
            except Exception as error:
                # Built anew next time, in case its folder or its address has changed.
                self._celery = None
                logger.warning("Workers could not be woken (%s); trying again later.", error)

    def _send(self) -> None:
        # Loaded with the first message: Celery would double the time and memory of an idle service's start.
        from api.server.broker import celery

        if self._celery is None:
            self._celery = celery.build_broker(self._broker_url, self._home)
        with self._celery.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.2, timeout=3)
            waiting = connection.default_channel.queue_declare(queue=celery.QUEUE, durable=True)
            if waiting.message_count < _MAX_WAITING_MESSAGES:
                self._celery.send_task(
                    celery.WORK_TASK,
                    connection=connection,
                    expires=celery.WAKE_EXPIRES_SECONDS,
                    ignore_result=True,
                )
