"""How a run of the tests ends, and that what it started ends with it."""

import shutil
import signal

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Let SIGTERM end the run as Ctrl-C does: fixtures tidy up first.

    Not in the processes of pytest-xdist, which their controller ends in its own way.
    """
    if not hasattr(config, "workerinput"):
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def with_parent(*command: object) -> list[str]:
    """Return the command that the kernel kills when the thread that starts it ends, however it ends (Linux)."""
    setpriv = shutil.which("setpriv")
    return [*([setpriv, "--pdeathsig", "KILL"] if setpriv else []), *map(str, command)]
