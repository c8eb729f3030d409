"""How runs end with their process: at its exit, by an exception, a signal, or, in a forked child, not at all."""

import ast
import atexit
import builtins
import dis
import linecache
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from ganvas.tracking.run import Run

# Their default is to end the process without a word to Python.
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Endings:
    """The open runs of this process, and what is installed while there are any."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._is_installed = False
        self._signals: list[signal.Signals] = []
        self._exits = ExitNotes()

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
            self._exits.remove()

    def _install(self) -> None:
        if not self._is_installed:
            self._is_installed = True
            atexit.register(self._close_all)
            os.register_at_fork(after_in_child=self._leave_to_parent)
        if not self._runs:
            self._close_with_child()
            self._exits.install()
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

    def _close_with_child(self) -> None:
        """Close with a child of multiprocessing, which ends without atexit where it was forked."""
        process = sys.modules.get("multiprocessing.process")
        if process is None or process.parent_process() is None:
            return
        # Imported here: a loop that starts no processes does without.
        from multiprocessing.util import Finalize

        # It is called while what ended the child is being handled.
        Finalize(None, lambda: self._close_with(sys.exc_info()[1]), exitpriority=100)

    def _close_all(self) -> None:
        self._close_with(_find_fatal_error() or self._find_exit())

    def _find_exit(self) -> SystemExit | None:
        return None if _is_session() else self._exits.find()

    def _close_with(self, error: BaseException | None) -> None:
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


class ExitNotes:
    """Notes the status that the process exits with, of which Python tells atexit nothing."""

    def __init__(self) -> None:
        self._noted: SystemExit | None = None
        # What was replaced: its owner, its name, what it was, and what stands there now.
        self._replaced: list[tuple[Any, str, Any, Any]] = []
        self._main: FrameType | None = None

    def install(self) -> None:
        """Listen to `sys.exit`, and to `exit` and `quit` as a script has them."""
        self._main = _find_main_frame()
        if self._replaced or _is_session():
            return
        self._replace(sys, "exit", lambda status=None, /: status)
        if type(vars(builtins).get("exit")).__module__ == "_sitebuiltins":
            self._replace(type(builtins.exit), "__call__", lambda _, code=None: code)

    def remove(self) -> None:
        """Give back what was replaced."""
        self._main = None
        while self._replaced:
            owner, name, was, ours = self._replaced.pop()
            if vars(owner).get(name) is ours:
                setattr(owner, name, was)

    def find(self) -> SystemExit | None:
        """Return the exit that ends the process; None where the script came to its end, or nobody can say."""
        main = self._main
        if main is None:
            return self._noted
        if dis.opname[main.f_code.co_code[main.f_lasti]].startswith("RETURN"):
            # An exit that somebody caught.
            return None
        return self._noted or _read_exit(linecache.getline(main.f_code.co_filename, main.f_lineno))

    def _replace(self, owner: Any, name: str, read: Callable[..., Any]) -> None:
        was = vars(owner)[name]

        def leave(*given: Any, **named: Any) -> Any:
            with suppress(TypeError):
                # In another thread it ends that thread alone.
                if threading.current_thread() is threading.main_thread():
                    self._noted = SystemExit(read(*given, **named))
            return was(*given, **named)

        self._replaced.append((owner, name, was, leave))
        setattr(owner, name, leave)


def _find_main_frame() -> FrameType | None:
    """Return the frame of the script; what it holds are the script's own globals, which live as long."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _read_exit(line: str) -> SystemExit | None:
    """Return the exit that this line raises; None where it raises none, or the status is not written there."""
    found = re.search(r"\braise\s+SystemExit\b\s*(\(.*\))?", line)
    if found is None:
        return None
    try:
        return SystemExit(ast.literal_eval(found[1] or "None"))
    except (ValueError, SyntaxError):
        return None


def _is_session() -> bool:
    """Say whether a person sits at this process, and ends it whenever they like."""
    return hasattr(sys, "ps1") or "ipykernel" in sys.modules


def _find_fatal_error() -> BaseException | None:
    """Return the exception that ends this process."""
    if _is_session():
        return None
    # Python notes what it is about to print, whoever prints it; sys.exit is not among these.
    error = getattr(sys, "last_value", None)
    return error if isinstance(error, BaseException) else None


ENDINGS = Endings()
