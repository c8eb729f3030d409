"""The trainer processes beside the first of a run that several share: they say nothing, unless they fail."""

import os

from ganlib.events import Event
from worker.results import TrainerResult, write_result
from worker.run_dir import RunDir
from worker.spool import SpoolWriter


class NoSpool(SpoolWriter):
    """Takes events and drops them: the run's first process reports."""

    def __init__(self) -> None:
        pass

    def append(self, event: Event) -> None:
        """Drop one event."""

    def note_unsaved(self, error: Exception, iteration: int) -> None:
        """Hear of a file that found no room; followers write none."""


def own_rank() -> int:
    """Return this process's place among those that torchrun started; 0 where it started none."""
    return int(os.environ.get("RANK", "0")) if "TORCHELASTIC_RUN_ID" in os.environ else 0


def leave_result(run_dir: RunDir, rank: int, result: TrainerResult) -> None:
    """Leave the result of a follower that failed."""
    if result.end == "failed":
        write_result(run_dir.follower_result_path(rank), result)
