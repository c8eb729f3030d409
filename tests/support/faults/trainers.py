"""Trainers that stand still at a moment that a test chooses: on a quick machine no job ends before its fault."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.faults.machines import PATIENCE_SECONDS, is_alive, wait_until
from tests.support.processes import Process, find_trainers

_ITERATION = re.compile(rb'"iteration":\s*(\d+)')


def read_recorded(trainer: int) -> int:
    """Return the newest iteration that a trainer has recorded a metric of, from its spool; 0 before that."""
    try:
        spool = Path(f"/proc/{trainer}/fd/1").readlink().with_name("spool.jsonl").read_bytes()
    except OSError:
        return 0
    points = (_ITERATION.search(line) for line in spool.splitlines() if b'"metrics_logged"' in line)
    return max((int(point[1]) for point in points if point), default=0)


@contextmanager
def paused_trainer(home: Path, after: int = 0) -> Iterator[int]:
    """Stop the one trainer below this folder once it has recorded an iteration after this one; gives its id.

    It goes on at the end of the block. What it recorded is delivered meanwhile: that is the worker's work.
    """

    def find() -> int | None:
        return next((pid for pid in find_trainers(home) if read_recorded(pid) > after), None)

    deadline = time.monotonic() + PATIENCE_SECONDS
    # Asked as often to the end: it may record its first and its last iteration within a fifth of a second.
    while (trainer := find()) is None:
        assert time.monotonic() < deadline, "no trainer came so far"
        time.sleep(0.005)
    os.kill(trainer, signal.SIGSTOP)
    # Until it stands, a SIGTERM would still be taken before the stop, and nobody could see it waiting afterwards.
    wait_until(lambda: _stands_still(trainer), 0.005)
    try:
        yield trainer
    finally:
        with suppress(ProcessLookupError):
            os.kill(trainer, signal.SIGCONT)


def wait_for_stop_request(trainer: int) -> None:
    """Wait until a trainer that stands still has been sent SIGTERM, which it handles as soon as it goes on."""
    wait_until(lambda: _is_pending(trainer, signal.SIGTERM), 0.005)


def read_parent(pid: int) -> int:
    """Return the id of the process that started this one."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def interrupt_until_it_ends(process: Process) -> None:
    """Press Ctrl-C again and again."""

    def press() -> bool:
        process.send_signal(signal.SIGINT)
        return process.poll() is not None

    wait_until(press)


def wait_until_gone(pid: int) -> None:
    """Wait until a process has ended."""
    wait_until(lambda: not is_alive(pid))


def _stands_still(pid: int) -> bool:
    """Return whether all threads of a process are stopped, or it is gone."""
    try:
        stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:
        return True
    return all(stat.rpartition(")")[2].split()[0] in "TtZX" for stat in stats)


def _is_pending(pid: int, number: signal.Signals) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        # It has ended; what it left says how.
        return True
    masks = re.findall(r"^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$", status, re.MULTILINE)
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)
