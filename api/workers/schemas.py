"""Schemas of workers and of the queue."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.server.http.schemas import Label, Request, Schema


class GpuState(Request):
    """One graphics card as its driver describes it; bytes of its memory, and how busy it is, 0 to 1."""

    index: Annotated[int, Field(ge=0, le=1024)]
    name: Annotated[str, Field(max_length=200)]
    memory_total: Annotated[int, Field(ge=0, le=2**50)]
    memory_used: Annotated[int, Field(ge=0, le=2**50)]
    utilisation: Annotated[float, Field(ge=0, le=1)] | None = None


class CpuState(Request):
    """The processors that a worker may use and its machine's memory in bytes, and how busy they are, 0 to 1."""

    cores: Annotated[int, Field(ge=1, le=65_536)]
    memory_total: Annotated[int, Field(ge=0, le=2**60)]
    memory_used: Annotated[int, Field(ge=0, le=2**60)]
    utilisation: Annotated[float, Field(ge=0, le=1)] | None = None


class WorkerPost(Request):
    """A worker describes itself, every few seconds.

    gpu_count: how many of the cards it may use. cpu: left out by older workers. dirty: whether tracked files were
    changed since the commit.
    """

    name: Label
    device: Annotated[str, Field(max_length=200)] = ""
    gpus: Annotated[list[GpuState], Field(max_length=64)] = []
    gpu_count: Annotated[int, Field(ge=0, le=1024)] = 0
    cpu: CpuState | None = None
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    dirty: bool = False
    version: Annotated[str, Field(max_length=50)] = ""
    job_id: Annotated[str, Field(max_length=32)] | None = None
    attempt: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None


class WorkerRead(Schema):
    """A worker that described itself in the last day; `is_alive` while it keeps doing so."""

    name: str
    first_seen_at: datetime
    seen_at: datetime
    is_alive: bool
    device: str
    gpus: list[GpuState]
    gpu_count: int = 0
    cpu: CpuState | None = None
    commit: str | None
    dirty: bool = False
    version: str
    job_id: str | None
    attempt: int | None


class QueuePart(Schema):
    """Jobs that a worker could claim now, jobs that have one, and the sum of both."""

    waiting: int
    running: int
    wanted: int


class QueueRead(QueuePart):
    """The workers' load, in total and by what jobs need: a graphics card, none, or either.

    queued: every queued job, also those that are pinned to another commit or wait out a pause after a failure.
    pinned: by the commit that jobs are pinned to.
    """

    queued: int
    gpu: QueuePart
    cpu: QueuePart
    any: QueuePart
    pinned: dict[str, QueuePart]
