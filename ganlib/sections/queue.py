"""Which worker may take a job, and before which others (no torch)."""

from typing import Annotated

from pydantic import Field

from ganlib.numbers import Positive
from ganlib.sections.base import Section

WorkerLabel = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")]
MAX_WORKER_LABELS = 8


class QueueSpec(Section):
    """What a job asks of the worker that takes it; it changes nothing of the run itself.

    priority: jobs of a higher one are taken first, then older ones. gpu_memory_gib: memory of a graphics card, at
    least. worker_labels: words that the worker must have been given (GANVAS_WORKER_LABELS), all of them.
    """

    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    gpu_memory_gib: Annotated[Positive, Field(le=4096)] | None = None
    worker_labels: Annotated[tuple[WorkerLabel, ...], Field(max_length=MAX_WORKER_LABELS)] = ()
