"""Trains one spec after the other in each process of a torchrun, for test_process_group (no test itself).

`torchrun … -m tests.ganlib.runtime.rank_runs TASKS.json`: a list of {folder, spec} and, where wanted,
`stop`: {rank, iteration}, the process that is asked to stop and when; `die`: the same for one that kills itself;
`unsynchronised`: true for batch norm by each process's own items.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from ganlib.networks import normalisation
from ganlib.runtime.process_group import join_process_group
from ganlib.spec.parse import parse_spec
from ganlib.training.recording.run_folder import run_in_folder


class Asked:
    """Counts the iterations; says stop, or ends the process, at the one that the task names for this rank."""

    def __init__(self, task: dict[str, Any], rank: int) -> None:
        self._stop = self._iteration_of(task.get("stop"), rank)
        self._die = self._iteration_of(task.get("die"), rank)
        self._iteration = 0

    @staticmethod
    def _iteration_of(moment: dict[str, int] | None, rank: int) -> int | None:
        return moment["iteration"] if moment and moment["rank"] == rank else None

    def __call__(self) -> bool:
        """Return whether to stop."""
        self._iteration += 1
        if self._iteration == self._die:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._iteration == self._stop


def main() -> None:
    """Train every task's spec in its folder."""
    # As in `ganvas train`, so that torchrun's signal to the others does not overtake what they have to say.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    with join_process_group("cpu") as processes:
        for task in json.loads(Path(sys.argv[1]).read_text()):
            is_sharded = normalisation.is_sharded
            if task.get("unsynchronised"):
                normalisation.is_sharded = lambda: False
            asked = Asked(task, processes.rank)
            run_in_folder(parse_spec(task["spec"]), Path(task["folder"]), lambda event: None, asked)
            normalisation.is_sharded = is_sharded


if __name__ == "__main__":
    main()
