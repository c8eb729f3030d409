"""`ganvas …` as a process of its own, whose output is read as it comes."""

import os
import re
import signal
import subprocess
import sys

from tests.support.endings import with_parent

# Far more than anything here takes; only a defect, or a very busy machine, reaches it.
DEADLINE_SECONDS = 400.0


class Command:
    """A running `ganvas …`."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self.process = subprocess.Popen(
            with_parent(sys.executable, "-u", "-m", "ganvas", *arguments),
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""

    def read_until(self, pattern: str) -> re.Match[str]:
        """Read until a line matches; a progress bar's carriage return ends a line too."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"{pattern!r} did not come:\n{self.output}")

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send the signal and wait; returns the exit status."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end; returns the exit status."""
        rest, _ = self.process.communicate(timeout=DEADLINE_SECONDS)
        self.output += rest
        return self.process.returncode
