"""Which worker may take a job, and before which others (no torch)."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ganlib.numbers import Count, Positive
from ganlib.sections.base import Section

WorkerLabel = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")]
MAX_WORKER_LABELS = 8
MAX_GPUS = 64


def _to_lower_case(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


CommitPrefix = Annotated[str, BeforeValidator(_to_lower_case), Field(pattern=r"^[0-9a-f]{7,40}$")]


class QueueSpec(Section):
    """What a job asks of the worker that takes it; it changes nothing of the run itself.

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
