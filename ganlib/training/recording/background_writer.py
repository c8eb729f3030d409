"""The background thread that makes a run's files and events, off the training thread."""

import queue
from collections.abc import Callable
from threading import Thread
from types import TracebackType
from typing import Self

from ganlib.events import Event
from ganlib.runtime.files import is_disk_full

# Enough to ride out a slow disk.
MAX_WAITING = 64


class BackgroundWriter:
    """Make events and deliver them, in order, off the training thread.

    `put` hands over a function that makes an event; it waits only when too many are waiting already. The first
    error, whether from making or from delivering, ends delivery and is raised by the next `put` or on leaving
    the `with` block, which otherwise waits until everything is delivered.

    on_disk_full: called with the error when an event's file finds no room; without it that is an error like
    others.
    """

    def __init__(
        self,
        deliver: Callable[[Event], None],
        on_disk_full: Callable[[Exception], None] | None = None,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._deliver = deliver
        self._on_disk_full = on_disk_full
        self._waiting: queue.Queue[Callable[[], Event | list[Event] | None] | None] = queue.Queue(max_waiting)
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="ganlib-recorder", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._waiting.put(None)
        self._thread.join()
        if error is None:
            self._raise_error()

    def put(self, make: Callable[[], Event | list[Event] | None]) -> None:
        """Queue the making and delivery of one event, of several, or of none where it makes None.

        Raises the thread's error, if it met one.
        """
        self._raise_error()
        self._waiting.put(make)

    def deliver(self, event: Event) -> None:
        """Deliver an event at once; only for what is called while an event is made, on the writer's own thread."""
        self._deliver(event)

    def drain(self) -> None:
        """Wait until nothing is waiting; raises the thread's error, if it met one."""
        self._waiting.join()
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (make := self._waiting.get()) is not None:
            # After an error the queue is emptied all the same, or the training thread would wait for ever.
            if self._error is None:
                self._make_and_deliver(make)
            self._waiting.task_done()

    def _make_and_deliver(self, make: Callable[[], Event | list[Event] | None]) -> None:
        try:
            try:
                made = make()
            except Exception as error:
                if self._on_disk_full is None or not is_disk_full(error):
                    raise
                self._on_disk_full(error)
            else:
                for event in made if isinstance(made, list) else [made]:
                    if event is not None:
                        self._deliver(event)
        except BaseException as error:  # raised again in the training thread
            self._error = error
