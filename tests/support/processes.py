"""Processes of the product: `ganvas …`, workers and trainers, forked by `tests.support.starter` or executed."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

from tests.support.endings import with_parent

# Far more than anything here takes; only a defect, or a very busy machine, reaches it.
DEADLINE_SECONDS = 400.0
# Names the starter's socket to all processes of one run of the tests.
STARTER_VARIABLE = "TESTS_STARTER"
# A test may set another.
_PYTHON = sys.executable


@contextmanager
def run_starter() -> Iterator[None]:
    """Run the starter that `Forked` asks; it loads nothing before its first request."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "starter"
        process = subprocess.Popen(
            with_parent(sys.executable, "-m", "tests.support.starter", path),
            cwd=Path(__file__).parents[2],
            # Where matplotlib keeps its list of fonts, as a service has a folder for it.
            env={**os.environ, "MPLCONFIGDIR": folder},
            # Out of reach of Ctrl-C: what is tidied up after it still needs the starter.
            start_new_session=True,
        )
        os.environ[STARTER_VARIABLE] = str(path)
        try:
            yield
        finally:
            del os.environ[STARTER_VARIABLE]
            process.kill()
            process.wait()


def has_starter() -> bool:
    """Say whether processes can be forked here."""
    return sys.platform == "linux" and STARTER_VARIABLE in os.environ


class Forked:
    """A process that runs `python -m MODULE …` as a fork of the starter; used as a Popen is."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[object],
        *,
        env: dict[str, str] | None = None,
        stdin: IO[Any] | None = None,
        stdout: IO[Any] | None = None,
        stderr: IO[Any] | None = None,
        leads: bool = False,
        tampering: Sequence[str] = (),
    ) -> None:
        """Start it, its output in `stdout` or to be read from `self.stdout`, its errors with it or in `stderr`.

        leads: in a session of its own.
        """
        order = {
            "module": module,
            "arguments": [str(each) for each in arguments],
            "environment": dict(os.environ) if env is None else env,
            "folder": str(Path.cwd()),
            "leads": leads,
            "tampering": list(tampering),
        }
        body = json.dumps(order).encode()
        self.returncode: int | None = None
        self.stdout: IO[str] | None = None
        reads, writes = os.pipe()
        with open(os.devnull, "rb") as nothing:
            output = writes if stdout is None else stdout.fileno()
            streams = [(stdin or nothing).fileno(), output, stderr.fileno() if stderr else output]
            self._connection = _connect()
            socket.send_fds(self._connection, [len(body).to_bytes(4, "big")], streams)
            self._connection.sendall(body)
        os.close(writes)
        if stdout is None:
            self.stdout = open(reads, encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
        else:
            os.close(reads)
        self._answers = self._connection.makefile("r")
        self.pid = int(self._answers.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    def poll(self) -> int | None:
        """Return the exit status (negative for a signal), or None while it runs."""
        return self._find_status(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status."""
        status = self._find_status(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it outright."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Read what it still writes, and wait for its end."""
        assert self.stdout is not None
        with self.stdout as file:
            rest = file.read()
        self.wait(timeout)
        return rest, None

    def _find_status(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            readable, _, _ = select.select([self._connection], [], [], timeout)
            if readable:
                # Nothing at all comes of a starter that is gone, and with it this process.
                self.returncode = int(self._answers.readline() or -signal.SIGKILL)
                self._answers.close()
                self._connection.close()
        return self.returncode


def _connect() -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            connection.connect(os.environ[STARTER_VARIABLE])
        except (FileNotFoundError, ConnectionRefusedError):
            # It listens a tenth of a second after its start.
            assert time.monotonic() < deadline, "the starter does not answer"
            time.sleep(0.02)
        else:
            return connection


Process = Forked | subprocess.Popen[Any]


def start(
    module: str,
    *arguments: object,
    env: dict[str, str] | None = None,
    stdout: IO[Any] | None = None,
    leads: bool = False,
    is_forked: bool = True,
) -> Process:
    """Start `python -m MODULE …`, its errors with its output; forked where that is possible, else executed."""
    if is_forked and has_starter():
        return Forked(module, arguments, env=env, stdout=stdout, leads=leads)
    return subprocess.Popen(
        with_parent(sys.executable, "-u", "-m", module, *arguments),
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.STDOUT,
        start_new_session=leads,
        text=True,
    )


def start_trainer(command: list[str], **options: Any) -> Process:
    """Take the place of the launcher's Popen in a test's process: fork trainers, execute all else."""
    if has_starter() and command[:2] == [_PYTHON, "-m"] and command[2].startswith("worker.trainer."):
        return Forked(
            command[2],
            command[3:],
            env=options["env"],
            stdout=options["stdout"],
            leads=options["start_new_session"],
        )
    return subprocess.Popen(command, **options)


def start_drawing(command: list[str], **options: Any) -> Process:
    """Take the place of the Popen that draws figures; loading matplotlib takes longer than most of them."""
    if has_starter() and command == [_PYTHON, "-P", "-m", "dashboard.figures.drawing"]:
        streams = {name: options[name] for name in ("stdin", "stdout", "stderr")}
        return Forked(command[-1], (), env=options["env"], **streams)
    return subprocess.Popen(command, **options)


class Command:
    """A running `ganvas …` whose output is read as it comes; executed, not forked, where `is_forked` is false."""

    def __init__(self, *arguments: object, is_forked: bool = True, **environment: str) -> None:
        self.process = start("ganvas", *arguments, env={**os.environ, **environment}, is_forked=is_forked)
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
        assert self.process.returncode is not None
        return self.process.returncode


def find_trainers(home: Path) -> list[int]:
    """List this machine's trainers whose run folder lies below `home`, by the logs that they write to."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            output = (process / "fd/1").readlink()
            command = (process / "cmdline").read_bytes().decode()
            name = (process / "comm").read_text()
        except OSError:
            continue
        is_forked = "tests.support.starter" in command and name.startswith("process")
        if (is_forked or "worker.trainer.process" in command) and output.name == "trainer.log":
            found += [int(process.name)] if output.is_relative_to(home) else []
    return found


def read_rank(trainer: int) -> int:
    """Return which process of a shared run a trainer is."""
    process = Path(f"/proc/{trainer}")
    forked = re.fullmatch(r"process-(\d+)\n", (process / "comm").read_text())
    executed = re.search(rb"(?:^|\0)RANK=(\d+)", (process / "environ").read_bytes())
    found = forked or executed
    assert found is not None
    return int(found[1])
