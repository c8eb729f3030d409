"""The process beside the loop that delivers a run, examines it and samples the machine, and what it says.

It learns of the loop's end by the end of a pipe, whatever ended the loop, and goes on until all is delivered. Only
the loop's process writes the run's folder while it lives: the sender's own events come back through a pipe.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ganvas.tracking.folder import LOG

PACKAGE_ROOT = Path(__file__).parents[2]
# `python -m ganvas.tracking.sender` of this very installation, with the loop's folders last: they may hold an api/
# or a worker/ of their own.
_BOOT = """
import os, sys
root, own = sys.argv.pop(1), os.environ.get("PYTHONPATH", "").split(os.pathsep)
paths = [path for path in sys.path if path not in own and path != root]
first = next((place for place, path in enumerate(paths) if path.endswith("-packages")), len(paths))
sys.path[:] = [*paths[:first], root, *paths[first:], *filter(None, own)]
from ganvas.tracking.sender.__main__ import main
main()
"""
# How long the end of a run waits for its delivery, and for a sender that has only just started.
FINISH_SECONDS = 30.0
_START_SECONDS = 10.0
# How long a loop that asks for its page's address waits for it.
ANSWER_SECONDS = 5.0


class SenderLink:
    """One sender. `listen` gets what it says: one of `event`, `say`, `url`, `stop`, `done` and its value.

    state: `starting`, `connected`, `away` (no service, or none is asked for), `done` or `gone`.
    """

    def __init__(self, folder: Path, options: dict[str, Any], listen: Callable[[str, Any], None]) -> None:
        self.state = "starting"
        self._listen = listen
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = folder
        self._options = options

    def start(self) -> None:
        """Start the sender; raises OSError."""
        command = [sys.executable, "-P", "-c", _BOOT, str(PACKAGE_ROOT), str(self._folder)]
        with (self._folder / LOG).open("ab") as log:
            self._process = subprocess.Popen(
                [*command, json.dumps(self._options)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # One thread: the cores are the loop's.
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                # Ctrl-C in the terminal is for the loop.
                start_new_session=True,
            )
        threading.Thread(target=self._read, name="ganvas-sender", daemon=True).start()

    def finish(self, ended: dict[str, Any] | None = None, seconds: float = FINISH_SECONDS) -> str:
        """Tell the sender that the loop has closed the folder, wait for the delivery, and return the state.

        ended: how, where the folder could not take that. It waits no longer than these seconds, and not at all for
        a service that is away; Ctrl-C ends the wait.
        """
        if ended is not None and self._process is not None and self._process.stdin is not None:
            with suppress(OSError, ValueError):
                self._process.stdin.write(json.dumps(ended).encode())
        self.let_go()
        begun = time.monotonic()
        with self._changed:
            self._changed.wait_for(lambda: self.state != "starting", min(seconds, _START_SECONDS))
            self._changed.wait_for(lambda: self.state != "connected", seconds - (time.monotonic() - begun))
            if self._options["mode"] == "offline":
                # It examines what is left, and is done.
                self._changed.wait_for(lambda: self.state in ("done", "gone"), _START_SECONDS)
        process = self._process
        if process is not None and process.poll() is None and self.state != "done":
            # It goes on by itself, in a session of its own; nobody is to wait for it.
            process.returncode = 0
        return self.state

    def wait_for_answer(self) -> None:
        """Wait until it is known whether a service takes the run, ANSWER_SECONDS at most."""
        with self._changed:
            self._changed.wait_for(lambda: self.state != "starting", ANSWER_SECONDS)

    def let_go(self) -> None:
        """Close this process's end of the pipe; also in a forked child, which would hold it open."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()

    def leave_to_parent(self) -> None:
        """Let go of the sender in a forked child."""
        self.let_go()
        if self._process is not None:
            # Not this process's child. Its other pipe stays: a thread of the parent was reading it at the fork.
            self._process.returncode = 0

    def _read(self) -> None:
        process = self._process
        assert process is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        for line in process.stdout:
            try:
                what, value = json.loads(line)
            except (ValueError, TypeError):
                continue
            # Before the state, so that who has waited for that finds what was said.
            self._listen(what, value)
            self._note(what)
        process.stdout.close()
        process.wait()
        self._set("done" if self.state == "done" else "gone")

    def _note(self, what: str) -> None:
        states = {"url": "connected", "away": "away", "done": "done"}
        if what in states:
            self._set(states[what])

    def _set(self, state: str) -> None:
        with self._changed:
            self.state = state
            self._changed.notify_all()
