"""A daemon thread that calls a function every few seconds."""

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)
JOIN_SECONDS = 10.0


class PeriodicThread:
    """Calls `act` every `every_seconds` until it is closed; an exception is logged and the next call still comes.

    at_once: make the first call right after the start.
    """

    def __init__(self, name: str, act: Callable[[], None], every_seconds: float, *, at_once: bool = False) -> None:
        self._name = name
        self._act = act
        self._every_seconds = every_seconds
        self._is_closed = False
        self._due = threading.Event()
        if at_once:
            self._due.set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def call_soon(self) -> None:
        """Make the next call now, from any thread."""
        self._due.set()

    def close(self) -> None:
        """Stop the thread and wait for a call in progress, unless `act` itself closes it."""
        self._is_closed = True
        self._due.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        while True:
            self._due.wait(self._every_seconds)
            if self._is_closed:
                return
            # Cleared before the call: a request during the call leads to another one.
            self._due.clear()
            try:
                self._act()
            except Exception:
                logger.exception("%s failed; the next attempt follows in %g s", self._name, self._every_seconds)
