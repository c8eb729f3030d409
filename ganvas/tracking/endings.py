"""How runs end with their process: at its exit, by an exception, a signal, or, in a forked child, not at all."""

import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType

from ganvas.tracking.run import Run

# Their default is to end the process without a word to Python.
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Endings:
    """The open runs of this process, and what is installed while there are any."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._is_installed = False
        self._signals: list[signal.Signals] = []

    def watch(self, run: Run) -> None:
        """End this run with the process, unless it is closed before."""
        self._install()
        self._runs.append(run)

    def forget(self, run: Run) -> None:
        """Leave this run alone: it was closed."""
        with suppress(ValueError):
            self._runs.remove(run)
        if not self._runs:
            self._give_signals_back()

    def _install(self) -> None:
        if not self._is_installed:
            self._is_installed = True
            atexit.register(self._close_all)
            os.register_at_fork(after_in_child=self._leave_to_parent)
        if self._signals or threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            # A program that handles the signal itself also ends its runs itself, or by atexit.
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._end_by_signal)
                self._signals.append(number)

    def _give_signals_back(self) -> None:
        if threading.current_thread() is threading.main_thread():
            while self._signals:
                number = self._signals.pop()
                if signal.getsignal(number) == self._end_by_signal:
                    signal.signal(number, signal.SIG_DFL)

    def _close_all(self) -> None:
        error = _find_fatal_error()
        for run in list(self._runs):
            # A second Ctrl-C ends the wait for the service; the run is delivered all the same.
            with suppress(KeyboardInterrupt):
                run.close_with(error)

    def _end_by_signal(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        for run in self._runs:
            with suppress(Exception):
                run.end_by_signal(name)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _leave_to_parent(self) -> None:
        for run in self._runs:
            run.leave_to_parent()
        self._runs.clear()


def _find_fatal_error() -> BaseException | None:
    """Return the exception that ends this process, None where it is a person who ends a session of theirs."""
    if hasattr(sys, "ps1") or "ipykernel" in sys.modules:
        return None
    # Python notes what it is about to print, whoever prints it; sys.exit is not among these.
    error = getattr(sys, "last_value", None)
    return error if isinstance(error, BaseException) else None


ENDINGS = Endings()
