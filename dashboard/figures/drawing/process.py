"""Runs the process of one figure: writes its request, reads its file, and ends one that takes too long."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from api.curves.points import Points
from dashboard.figures.drawing.plans import MAX_GRID_BYTES, CurvesPlan, FigureOversize, FigureRefusal, Plan

REFUSED = 3
TEMPORARY_PREFIX = "ganvas-"
# A process has three minutes of CPU time and ten minutes in all.
SECONDS, COMPUTING_SECONDS = 600.0, 180
_ROOT = Path(__file__).parents[3]
_SIZE_BYTES = 8
_POLL_SECONDS = 0.25

ShouldStop = Callable[[], bool]


class DrawingStopped(Exception):
    """The reader of the figure has left."""


class DrawingFailed(Exception):
    """The process neither drew nor refused the figure; the message is its error output."""


def missing_package(kind: str, form: str) -> str | None:
    """Return the package that such a figure needs and this machine does not have, or None.

    kind: of the plan. form: of the file.
    """
    needed = "matplotlib" if kind != "movie" else "av" if form == "mp4" else "PIL"
    return None if importlib.util.find_spec(needed) else needed


def draw_figure(
    plan: Plan,
    files: Iterable[bytes],
    cache: Path,
    should_stop: ShouldStop = lambda: False,
    seconds: float = SECONDS,
) -> BinaryIO:
    """Draw in a process of its own and return its file, open at the start; the caller closes it.

    files: those that the plan numbers, in order. cache: a folder for the list of fonts and temporary files, as the
    system's own may lie in memory.
    Raises FigureRefusal, FigureOversize for what takes more than `seconds`, DrawingStopped or DrawingFailed.
    """
    cache.mkdir(parents=True, exist_ok=True)
    # One figure is drawn at a time: what is here was left by a process that was killed.
    for left in cache.glob(f"{TEMPORARY_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)
    with ExitStack() as stack:
        drawn = stack.enter_context(tempfile.TemporaryFile(dir=cache))
        with tempfile.TemporaryFile(dir=cache) as request, tempfile.TemporaryFile() as errors:
            write_request(plan, files, request)
            _run(request, drawn, errors, cache, seconds, should_stop)
        drawn.seek(0)
        # The caller closes it.
        stack.pop_all()
        return drawn


def pack_line(points: Points) -> bytes:
    """Return a curve's points as the file of its line."""
    return array("q", points.iterations).tobytes() + array("d", points.values).tobytes()


def write_request(plan: Plan, files: Iterable[bytes], out: BinaryIO) -> None:
    """Write the plan as one line of JSON, then each file after its length; leaves `out` at its start."""
    out.write(json.dumps(asdict(plan)).encode() + b"\n")
    total = 0
    for data in files:
        total += len(data)
        if total > MAX_GRID_BYTES and not isinstance(plan, CurvesPlan):
            raise FigureOversize(f"The grids take more than {MAX_GRID_BYTES:,} bytes together; ask for fewer.")
        out.write(len(data).to_bytes(_SIZE_BYTES, "big"))
        out.write(data)
    out.seek(0)


def read_request(file: BinaryIO) -> tuple[bytes, list[tuple[int, int]]]:
    """Return the plan's JSON, and where each file begins and how long it is."""
    plan = file.readline()
    offsets = []
    while size := file.read(_SIZE_BYTES):
        length = int.from_bytes(size, "big")
        offsets.append((file.tell(), length))
        file.seek(length, os.SEEK_CUR)
    return plan, offsets


def _run(
    request: BinaryIO, drawn: BinaryIO, errors: BinaryIO, cache: Path, seconds: float, should_stop: ShouldStop
) -> None:
    # -P: files in the working directory are not modules of the process.
    command = [sys.executable, "-P", "-m", "dashboard.figures.drawing"]
    with subprocess.Popen(
        command, stdin=request, stdout=drawn, stderr=errors, env=_environment(cache), cwd=_ROOT
    ) as process:
        try:
            status = _wait(process, seconds, should_stop)
        finally:
            process.kill()
    if status == 0:
        return
    errors.seek(0)
    output = errors.read().decode("utf-8", "replace")
    if status == -signal.SIGXCPU:
        raise FigureOversize(f"Drawing took longer than {COMPUTING_SECONDS} seconds; ask for less.")
    if status != REFUSED:
        raise DrawingFailed(output[-4000:] or f"ended with status {status}")
    reason = json.loads(output)
    raise (FigureOversize if reason["is_too_large"] else FigureRefusal)(reason["message"])


def _wait(process: "subprocess.Popen[bytes]", seconds: float, should_stop: ShouldStop) -> int:
    ends_at = time.monotonic() + seconds
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(_POLL_SECONDS)
        if should_stop():
            raise DrawingStopped
        if time.monotonic() > ends_at:
            raise FigureOversize(f"Drawing took longer than {seconds:g} seconds; ask for less.")


def _environment(cache: Path) -> dict[str, str]:
    """Return the environment of the process: without secrets of the service, and with fixed seeds."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GANVAS_")}
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return kept | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONHASHSEED": "0",
        "MPLCONFIGDIR": str(cache),
        "TMPDIR": str(cache),
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
