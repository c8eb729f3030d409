"""The worker that a job needs, shortcuts of its steps, and the published experiment that it repeats."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ganlib.spec.fields import Count, Positive, Section

WorkerLabel = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")]
MAX_WORKER_LABELS = 8
MAX_GPUS = 64


def _to_lower_case(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


CommitPrefix = Annotated[str, BeforeValidator(_to_lower_case), Field(pattern=r"^[0-9a-f]{7,40}$")]


class QueueSpec(Section):
    """Requirements for the worker that takes a job; they change nothing of the run itself.

    priority: jobs of a higher one are taken first, then older ones. gpu_memory_gib: memory of a graphics card, at
    least. worker_labels: words that the worker must have been given (GANVAS_WORKER_LABELS), all of them. gpus: how
    many cards of one machine the job trains on, with a process for each. commit: what the worker must run, without
    uncommitted changes; at least the commit's first seven digits.
    """

    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    gpu_memory_gib: Annotated[Positive, Field(le=4096)] | None = None
    worker_labels: Annotated[tuple[WorkerLabel, ...], Field(max_length=MAX_WORKER_LABELS)] = ()
    gpus: Annotated[Count, Field(le=MAX_GPUS)] | None = None
    commit: CommitPrefix | None = None


class SpeedSpec(Section):
    """Ways to a faster step that may change the last bits of its numbers; none is taken unless asked for.

    compile: both networks' training passes through torch.compile. cuda_graphs: the players' updates of an
    iteration are recorded once and replayed as one piece, on CUDA alone.
    """

    compile: bool = False
    cuda_graphs: bool = False


COST = re.compile(r"(?P<number>\d+(?:\.\d+)?) ?(?P<unit>s|min|h)\b")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


class RecipeSpec(Section):
    """A published experiment, its results and its cost: for people, it changes nothing of a run.

    paper: authors, year and title. section: the experiment's section in it, a number or words. expected: the
    paper's results, and ours where it was run. cost: how long all iterations take, and on what.
    """

    paper: Annotated[str, Field(min_length=1, max_length=200)]
    section: Annotated[str, Field(min_length=1, max_length=100)]
    expected: Annotated[str, Field(min_length=1, max_length=600)]
    cost: Annotated[str, Field(min_length=1, max_length=200)]

    @property
    def seconds(self) -> float | None:
        """The time that the cost tells of, None if it tells none."""
        return read_seconds(self.cost)


def read_seconds(cost: str) -> float | None:
    """Return the time in a recipe's cost, as in "about 1.5 min for 2,000 iterations on one CPU core", or None."""
    match = COST.search(cost)
    return float(match["number"]) * _SECONDS[match["unit"]] if match else None
