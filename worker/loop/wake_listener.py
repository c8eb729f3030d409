"""Listens to the broker: a thread whose only effect is a flag, so that no state of the broker can hold up a job.

A message is gone before it is read and says nothing but "look now". Whatever the broker does (ends, refuses
writes, hangs, holds garbage), the worker goes on looking by itself; see `worker.loop.polling`.
"""

import logging
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
CONNECT_SECONDS = 5.0
FIRST_BACKOFF_SECONDS = 0.5
LAST_BACKOFF_SECONDS = 10.0
# After a message that cannot be read: a flood of them must not take a whole processor.
UNREADABLE_PAUSE_SECONDS = 0.01
# After so many in a row the fault may be the connection's: it is opened anew.
MOST_UNREADABLE = 100


class WakeListener:
    """Takes wake messages in a daemon thread while this worker is idle, and calls `wake` for each.

    A busy worker takes none: one of the others needs them. Any thread may read the attributes.
    is_connected: whether a message would be noticed now.
    unreadable_count: number of messages that were dropped because they are no wake messages.
    """

    def __init__(self, broker_url: str | None, home: Path, wake: Callable[[], None]) -> None:
        self.is_connected = False
        self.unreadable_count = 0
        self.broker_url = broker_url
        self.home = home
        self.is_idle = threading.Event()
        self._wake = wake
        # The last cause that was told; empty while all is well.
        self._trouble = ""
        self._was_connected = False
        self._consumer: _Consumer | None = None

    def start(self) -> None:
        """Start listening."""
        self._consumer = _Consumer(self)
        self._consumer.start()

    def restart(self) -> None:
        """Listen anew, in another thread on another connection; the old one ends when it can."""
        self.close()
        self.start()

    def close(self) -> None:
        """Stop listening, without waiting for a broker that hangs."""
        self.is_connected = False
        if self._consumer is not None:
            self._consumer.ended.set()

    def receive(self) -> None:
        """Handle a wake message: take no other one before this worker is idle again."""
        self.is_idle.clear()
        self._wake()

    def record_connected(self) -> None:
        """Record that the broker serves this worker."""
        self.is_connected = True
        if self._trouble or not self._was_connected:
            logger.info("the broker is %s: this worker is ready.", "back" if self._trouble else "connected")
        self._trouble, self._was_connected = "", True

    def record_trouble(self, error: Exception) -> None:
        """Record that the broker cannot be used now, and say so once for each cause."""
        self.is_connected = False
        trouble = type(error).__name__
        if trouble != self._trouble:
            logger.warning(
                "The broker cannot be reached or used: until it can, this worker asks the service. %s: %s",
                trouble,
                error,
            )
        self._trouble = trouble

    def record_unreadable(self, cause: str) -> None:
        """Count a message that is dropped, and say so for the first, the tenth, the hundredth and so on."""
        self.unreadable_count += 1
        if str(self.unreadable_count).rstrip("0") == "1":
            logger.warning("dropped %d message(s) that are no wake messages; %s", self.unreadable_count, cause)


class _Consumer(threading.Thread):
    """One life of the listener's thread; it ends within a tick of `ended`, or as soon as its broker lets it."""

    def __init__(self, listener: WakeListener) -> None:
        super().__init__(name="wake-listener", daemon=True)
        self.ended = threading.Event()
        self._listener = listener

    def run(self) -> None:
        """Listen until ended, each time anew after whatever went wrong."""
        backoff = FIRST_BACKOFF_SECONDS
        while not self.ended.is_set():
            if not self._listener.is_idle.wait(TICK_SECONDS):
                continue
            try:
                self._listen()
                backoff = FIRST_BACKOFF_SECONDS
            except Exception as error:
                # Transports raise errors of their own; kombu has no common base.
                if self.ended.is_set():
                    return
                self._listener.record_trouble(error)
                # Spread, so that workers do not come back in step.
                self.ended.wait(backoff * random.uniform(0.75, 1.25))  # noqa: S311
                backoff = min(backoff * 2, LAST_BACKOFF_SECONDS)

    def _listen(self) -> None:
        """Take messages until this worker is busy or the thread must end; raises what the broker raises.

        Each connection is built from nothing: the broker may have lost its queues, or its folder, since then.
        """
        # Imported here: a worker without a broker needs no Celery.
        from api.server.broker.celery import build_broker

        broker = build_broker(self._listener.broker_url, self._listener.home)
        try:
            with broker.connection_for_read() as connection:
                connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
                # no_ack: a message that waits to be acknowledged would count against those that may come next.
                channel = connection.default_channel
                with broker.amqp.TaskConsumer(channel, no_ack=True, on_message=self._receive):
                    self._drain(connection)
        finally:
            if not self.ended.is_set():
                self._listener.is_connected = False
            broker.close()

    def _drain(self, connection: Any) -> None:
        broker_errors = (*connection.connection_errors, *connection.channel_errors, OSError)
        unreadable = 0
        while self._listener.is_idle.is_set() and not self.ended.is_set() and unreadable < MOST_UNREADABLE:
            try:
                connection.drain_events(timeout=TICK_SECONDS)
                unreadable = 0
            except TimeoutError:
                # A tick without a message.
                unreadable = 0
            except Exception as error:
                # Some of kombu's lists of what a connection raises hold KeyError, which garbage raises too.
                if isinstance(error, broker_errors) and not isinstance(error, LookupError):
                    raise
                # It was taken from the queue before it was read, so nobody will stumble over it again.
                unreadable += 1
                self._listener.record_unreadable(f"{type(error).__name__}: {str(error)[:200]}")
                self.ended.wait(UNREADABLE_PAUSE_SECONDS)
            if not self.ended.is_set():
                self._listener.record_connected()

    def _receive(self, message: Any) -> None:
        from api.server.broker.celery import WORK_TASK

        task = message.headers.get("task")
        if task == WORK_TASK:
            self._listener.receive()
        else:
            self._listener.record_unreadable(f"one was for {str(task)[:100]!r}")
