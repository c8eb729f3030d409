"""Waking the workers: a message without payload, sent from a thread of its own."""

import logging
import threading
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)
# More waiting messages than this wake nobody sooner: every worker is busy.
_MAX_WAITING_MESSAGES = 16


class WorkerWaker:
    """Sends wakes in the background, so that no request waits for the broker; wakes in a row become one.

    A wake that cannot be sent is only logged: the reaper asks again while a job can be claimed.
    """

    def __init__(self, broker_url: str | None, home: Path) -> None:
        self._broker_url = broker_url
        self._home = home
        self._asked = threading.Event()
        self._closing = threading.Event()
        self._celery: Any = None
        self._thread = threading.Thread(target=self._send_wakes, name="worker-waker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake_workers(self) -> None:
        """Ask for a wake; returns at once."""
        self._asked.set()

    def close(self) -> None:
        """Send what was asked for and stop."""
        self._closing.set()
        self._asked.set()
        self._thread.join(10)

    def _send_wakes(self) -> None:
        while not self._closing.is_set():
            self._asked.wait()
            if self._closing.is_set() and self._celery is None:
                return  # closed before anything was sent: do not load Celery only to stop
            self._asked.clear()
            try:
                self._send()
            except Exception as error:
                logger.warning("Workers could not be woken (%s); trying again later.", error)

    def _send(self) -> None:
        # Loaded with the first wake: Celery would double the time and memory of an idle service's start.
        from api import broker

        if self._celery is None:
            self._celery = broker.build_broker(self._broker_url, self._home)
        with self._celery.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=3)
            queue = connection.default_channel.queue_declare(queue=broker.QUEUE, durable=True)
            if queue.message_count < _MAX_WAITING_MESSAGES:
                self._celery.send_task(
                    broker.WORK_TASK,
                    connection=connection,
                    expires=broker.WAKE_EXPIRES_SECONDS,
                    ignore_result=True,
                )
