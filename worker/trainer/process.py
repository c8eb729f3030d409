"""The trainer process: `python -m worker.trainer.process RUN_DIR --parent PID` trains one attempt's spec.

It writes events to the spool and has no connection to the service. SIGTERM asks it to stop, and so does a hang-up:
it finishes its iteration, writes a checkpoint and ends. When its supervisor dies, the kernel kills it.
"""

import argparse
import json
import logging
import os
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType

from ganlib.errors import GanlibError
from ganlib.events import Event, LineLogged
from ganlib.runtime.failures import is_out_of_memory
from ganlib.spec.parse import parse_spec
from worker.attempt.result import EXIT_STATUSES, TrainerResult, write_result
from worker.attempt.run_dir import RunDir
from worker.spool.bounded_spool import BoundedSpool
from worker.spool.spool import SpoolWriter
from worker.trainer.parent_death import end_with_parent

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# Whoever sends one of them gets a checkpoint, and the job goes on elsewhere.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class DiscardingSpool(SpoolWriter):
    """The spool of a follower, which writes nothing: the run's first process reports."""

    def __init__(self) -> None:
        pass

    def append(self, event: Event) -> None:
        """Drop one event."""

    def record_unsaved_file(self, error: Exception, iteration: int) -> None:
        """Do nothing; followers write no files."""


def read_rank() -> int:
    """Return this process's rank among those that torchrun started; 0 without torchrun."""
    return int(os.environ.get("RANK", "0")) if "TORCHELASTIC_RUN_ID" in os.environ else 0


class StopFlag:
    """Set by a signal. A plain attribute, because a signal handler must not take a lock."""

    def __init__(self) -> None:
        self.is_set = False

    def set_by_signal(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        self.is_set = True


class SpoolingEvents:
    """Writes the trainer's events to the spool, and warnings as log lines of the latest iteration."""

    def __init__(self, spool: SpoolWriter) -> None:
        self._spool = spool
        self._iteration = 0

    def add(self, event: Event) -> None:
        """Write one event; this is the trainer's `on_event`."""
        self._iteration = getattr(event, "iteration", self._iteration)
        self._spool.append(event)

    def add_line(self, level: int, text: str) -> None:
        """Write one log line."""
        name = "error" if level >= logging.ERROR else "warning" if level >= logging.WARNING else "info"
        self._spool.append(LineLogged(iteration=self._iteration, level=name, text=text[:4_000]))

    def record_unsaved_file(self, error: Exception) -> None:
        """Handle a file that found no room; this is the trainer's `on_disk_full`."""
        self._spool.record_unsaved_file(error, self._iteration)


class SpoolingHandler(logging.Handler):
    """Forwards log records to the spool."""

    def __init__(self, events: SpoolingEvents) -> None:
        super().__init__(logging.WARNING)
        self._events = events

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record."""
        try:
            self._events.add_line(record.levelno, self.format(record))
        except OSError:
            self.handleError(record)


def main(arguments: list[str]) -> int:
    """Train and write result.json; returns the exit status."""
    parser = argparse.ArgumentParser(prog="worker.trainer.process", description=__doc__)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--parent", type=int, help="end when this process does")
    parser.add_argument(
        "--spool-max-bytes", type=int, default=sys.maxsize, help="limit of what waits for delivery, in bytes"
    )
    options = parser.parse_args(arguments)
    stop = StopFlag()
    for number in STOP_SIGNALS:
        signal.signal(number, stop.set_by_signal)
    if options.parent is not None:
        # SIGKILL: without a supervisor, nobody delivers a checkpoint.
        end_with_parent(options.parent, signal.SIGKILL)
    # Job and attempt are not needed here, only the paths of the files.
    run_dir = RunDir(options.run_dir, job_id="", attempt=0)
    if rank := read_rank():
        return follow(run_dir, rank, stop)
    spool = BoundedSpool(run_dir, options.spool_max_bytes)
    events = SpoolingEvents(spool)
    forward_warnings(events)
    result = run_training(run_dir, events, stop)
    spool.finish()
    write_result(run_dir.result_path, result)
    return EXIT_STATUSES[result.end]


def follow(run_dir: RunDir, rank: int, stop: StopFlag) -> int:
    """Train as a follower of a run in several processes; write a result only if it failed."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    result = run_training(run_dir, SpoolingEvents(DiscardingSpool()), stop)
    if result.end != "failed":
        return EXIT_STATUSES["completed"]
    write_result(run_dir.follower_result_path(rank), result)
    return EXIT_STATUSES["failed"]


def run_training(run_dir: RunDir, events: SpoolingEvents, stop: StopFlag) -> TrainerResult:
    """Train the spec in the folder and return the result; no exception leaves this function."""
    try:
        # Torch is imported here, so that a broken installation is reported like any other failure.
        from ganlib.trainer import train

        spec = parse_spec(json.loads(run_dir.spec_path.read_text(encoding="utf-8")))
        resume_from = run_dir.resume_path if run_dir.resume_path.exists() else None
        reason = train(
            spec, run_dir.artifacts_dir, events.add, lambda: stop.is_set, resume_from, events.record_unsaved_file
        )
        return TrainerResult(end=reason.value)
    except BaseException as error:
        result = _describe_failure(error)
        # On a full disk neither finds room; the result holds the message too.
        with suppress(OSError):
            traceback.print_exc()
        with suppress(OSError):
            events.add_line(logging.ERROR, result.message)
        return result


def forward_warnings(events: SpoolingEvents) -> None:
    """Send Python's warnings, and log records from WARNING on, to the job's log and to standard error."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    logging.captureWarnings(True)
    logging.getLogger().addHandler(SpoolingHandler(events))


def _describe_failure(error: BaseException) -> TrainerResult:
    text = f"{error}".strip()
    if isinstance(error, GanlibError):
        code, message = error.code, text
    elif is_out_of_memory(error):
        code = "out_of_memory"
        message = f"Memory ran out; a smaller batch_size or smaller networks need less. {text}"
    else:
        code, message = "trainer_crashed", f"{type(error).__name__}: {text}"
    tail = "".join(traceback.format_exception(error))[-16_000:]
    return TrainerResult(end="failed", code=code, message=message[:4_000], traceback=tail)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    with suppress(OSError):
        logging.shutdown()
        sys.stdout.flush()
    # Everything is written; shutting down an interpreter with torch would take a second or two more.
    os._exit(status)
