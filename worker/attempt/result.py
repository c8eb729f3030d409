"""The trainer's result file, and the end of the attempt that follows from it."""

import signal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.attempts.schemas import FinishPost
from api.server.http.schemas import Reason
from ganlib.events import PrintedText
from ganlib.runtime.files import is_disk_full, replace_text
from worker.attempt.run_dir import RunDir
from worker.spool.bounded_spool import DroppedEvents, read_dropped_events

LOG_TAIL_BYTES = 4_000
# The trainer's exit statuses. On a full disk they are all that it can leave.
EXIT_STATUSES = {"completed": 0, "failed": 1, "stopped": 4}
# The code of a process that lost another one of its run; that one's own result says why.
PROCESS_LOST = "process_lost"

StopRequest = Literal["cancelled", "preempted"]


class TrainerResult(BaseModel):
    """The trainer's result; `code`, `message` and `traceback` only with `failed`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    end: Literal["completed", "stopped", "failed"]
    code: str = Field(default="trainer_crashed", pattern=r"^[a-z][a-z0-9_]{0,63}$")
    message: PrintedText = Field(default="", max_length=4_000)
    traceback: PrintedText = Field(default="", max_length=16_000)


def write_result(path: Path, result: TrainerResult) -> None:
    """Write the result whole or, on a full disk, not at all."""
    try:
        replace_text(path, result.model_dump_json())
    except OSError as error:
        if not is_disk_full(error):
            raise


def read_result(path: Path) -> TrainerResult | None:
    """Return the trainer's result, or None when it was killed before it could write one."""
    try:
        return TrainerResult.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def find_result(run_dir: RunDir) -> TrainerResult | None:
    """Return the trainer's result or, if it lost another process of the run, the result of one that failed.

    None if a process was killed, which leaves no result.
    """
    lead = read_result(run_dir.result_path)
    if lead is not None and lead.code != PROCESS_LOST:
        return lead
    followers = [read_result(path) for path in sorted(run_dir.path.glob("result-*.json"))]
    return next((result for result in followers if result is not None and result.code != PROCESS_LOST), None)


def decide_finish(
    run_dir: RunDir, status: int | None, stop_request: StopRequest | None, events_count: int
) -> FinishPost:
    """Return how the attempt ended.

    status: the trainer's exit status, negative for a signal; None when it is not known.
    stop_request: why the trainer was asked to stop, if it was.
    """
    return add_dropped_events(
        _decide_finish(run_dir, status, stop_request, events_count),
        read_dropped_events(run_dir.dropped_events_path),
    )


def add_dropped_events(finish: FinishPost, drops: DroppedEvents) -> FinishPost:
    """Add the events that found no room in the spool, if any, to the reason."""
    if not drops.events:
        return finish
    reason = Reason(code="events_dropped", message=drops.describe())
    if finish.reason is not None:
        message = f"{finish.reason.message} Besides, {drops.describe()}"[:4_000]
        reason = finish.reason.model_copy(update={"message": message})
    return finish.model_copy(update={"reason": reason})


def _decide_finish(
    run_dir: RunDir, status: int | None, stop_request: StopRequest | None, events_count: int
) -> FinishPost:
    result = find_result(run_dir) or _read_status(run_dir, status)
    if result is None:
        # A trainer that was asked to stop was killed because it was too slow, or had not started to listen. The
        # request is fulfilled; only the work since the last checkpoint is lost.
        reason = None if stop_request else _explain_death(run_dir, status)
        return FinishPost(end=stop_request or "failed", reason=reason, events_count=events_count)
    if result.end == "completed":
        return FinishPost(end="succeeded", events_count=events_count)
    if result.end == "stopped":
        # Also if somebody else sent SIGTERM: the trainer has written a checkpoint, and the job resumes from it.
        return FinishPost(end=stop_request or "preempted", events_count=events_count)
    tail = result.traceback or _read_log_tail(run_dir.log_path)
    reason = Reason(code=result.code, message=result.message, log_tail=tail)
    return FinishPost(end="failed", reason=reason, events_count=events_count)


def _read_status(run_dir: RunDir, status: int | None) -> TrainerResult | None:
    """Return the result by exit status, if dropped events show that the disk had no room for a result file."""
    if not read_dropped_events(run_dir.dropped_events_path).events:
        return None
    end = next((end for end, number in EXIT_STATUSES.items() if number == status and end != "failed"), None)
    return TrainerResult.model_validate({"end": end}) if end else None


def describe_failure(error: Exception, log_path: Path) -> Reason:
    """Return the reason of an attempt that the worker itself could not finish."""
    code = getattr(error, "code", "worker_failed")
    return Reason(code=code, message=str(error)[:4_000], log_tail=_read_log_tail(log_path))


def _explain_death(run_dir: RunDir, status: int | None) -> Reason:
    if status is None:
        code, message = "trainer_killed", "The worker died, and its trainer with it."
    elif status < 0:
        name = signal.Signals(-status).name if -status in signal.valid_signals() else "unknown"
        hint = " Somebody sent it, or the kernel did because memory ran out." if -status == signal.SIGKILL else ""
        code, message = "trainer_killed", f"The trainer was ended by signal {-status} ({name}).{hint}"
    else:
        code, message = "trainer_crashed", f"The trainer ended with exit status {status} and no result."
    return Reason(code=code, message=message, log_tail=_read_log_tail(run_dir.log_path))


def _read_log_tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - LOG_TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
