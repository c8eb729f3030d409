"""How a trainer process says how it ended, and what that means for the attempt."""

import signal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.server.http.schemas import Reason
from api.workers.schemas import FinishPost
from ganlib.runtime.files import is_no_room
from worker.attempt.run_dir import RunDir
from worker.spool.bounded_spool import Drops, read_drops

LOG_TAIL_BYTES = 4_000
# How a trainer's process ends. On a full disk this is all that it can leave.
EXIT_STATUSES = {"completed": 0, "failed": 1, "stopped": 4}
# What a process says that lost another one of its run; the other one's end says why.
PROCESS_LOST = "process_lost"

Wish = Literal["cancelled", "preempted"]


class TrainerResult(BaseModel):
    """The trainer's own last word; `code`, `message` and `traceback` only with `failed`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    end: Literal["completed", "stopped", "failed"]
    code: str = Field(default="trainer_crashed", pattern=r"^[a-z][a-z0-9_]{0,63}$")
    message: str = Field(default="", max_length=4_000)
    traceback: str = Field(default="", max_length=16_000)


def write_result(path: Path, result: TrainerResult) -> None:
    """Leave the result in one step, so that it is complete or not there; on a full disk it is not."""
    temporary = path.with_name(f"{path.name}.part")
    try:
        temporary.write_text(result.model_dump_json(), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        if not is_no_room(error):
            raise
        temporary.unlink(missing_ok=True)


def read_result(path: Path) -> TrainerResult | None:
    """Return the trainer's result, or None when it was killed before it could leave one."""
    try:
        return TrainerResult.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def find_result(run_dir: RunDir) -> TrainerResult | None:
    """Return how the run ended: in its trainer's words or, where several share it, in those of one that failed.

    None where one was killed, and so could say nothing.
    """
    lead = read_result(run_dir.result_path)
    if lead is not None and lead.code != PROCESS_LOST:
        return lead
    followers = [read_result(path) for path in sorted(run_dir.path.glob("result-*.json"))]
    return next((result for result in followers if result is not None and result.code != PROCESS_LOST), None)


def decide_finish(run_dir: RunDir, status: int | None, wish: Wish | None, events_count: int) -> FinishPost:
    """Return how the attempt ended.

    status: the trainer's exit status, negative for a signal; None when nobody saw it end.
    wish: what the trainer was asked to stop for, if it was.
    """
    return tell_drops(_decide_finish(run_dir, status, wish, events_count), read_drops(run_dir.drops_path))


def tell_drops(finish: FinishPost, drops: Drops) -> FinishPost:
    """Return the finish with what found no room in the spool, if anything did not."""
    if not drops.events:
        return finish
    reason = Reason(code="events_dropped", message=drops.describe())
    if finish.reason is not None:
        message = f"{finish.reason.message} Besides, {drops.describe()}"[:4_000]
        reason = finish.reason.model_copy(update={"message": message})
    return finish.model_copy(update={"reason": reason})


def _decide_finish(run_dir: RunDir, status: int | None, wish: Wish | None, events_count: int) -> FinishPost:
    result = find_result(run_dir) or _read_status(run_dir, status)
    if result is None:
        # Asked to stop and killed, for being slow or not yet ready to listen: the wish is fulfilled all the same,
        # and only the work since the last checkpoint is lost.
        reason = None if wish else _explain_death(run_dir, status)
        return FinishPost(end=wish or "failed", reason=reason, events_count=events_count)
    if result.end == "completed":
        return FinishPost(end="succeeded", events_count=events_count)
    if result.end == "stopped":
        # A trainer that someone else sent SIGTERM has left a checkpoint as well: let the job go on from it.
        return FinishPost(end=wish or "preempted", events_count=events_count)
    tail = result.traceback or _read_log_tail(run_dir.log_path)
    reason = Reason(code=result.code, message=result.message, log_tail=tail)
    return FinishPost(end="failed", reason=reason, events_count=events_count)


def _read_status(run_dir: RunDir, status: int | None) -> TrainerResult | None:
    """Return what the exit status alone says, where dropped events show that there was no room for more."""
    if not read_drops(run_dir.drops_path).events:
        return None
    end = next((end for end, number in EXIT_STATUSES.items() if number == status and end != "failed"), None)
    return TrainerResult.model_validate({"end": end}) if end else None


def describe_failure(error: Exception, log_path: Path) -> Reason:
    """Say why the worker itself could not bring the attempt to its end."""
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
