"""What workers say and hear: claims, leases, numbered events, ends."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.attempts.schemas import Provenance
from api.server.http.schemas import Label, Moment, Reason, Request, Schema
from ganlib.events import Event, Sha256
from ganlib.spec.sections.execution import MAX_WORKER_LABELS, WorkerLabel


class ClaimRequest(Request):
    """A worker asks for the next job: what it offers.

    gpus: how many cards it may use. gpu_memory: of the largest, in bytes; gpu_memory_each: what every one has.
    """

    worker: Label
    devices: Annotated[list[Literal["cpu", "cuda"]], Field(max_length=2)] = ["cpu"]
    gpus: Annotated[int, Field(ge=0, le=1024)] = 0
    gpu_memory: Annotated[int, Field(ge=0, le=2**50)] = 0
    gpu_memory_each: Annotated[int, Field(ge=0, le=2**50)] = 0
    labels: Annotated[list[WorkerLabel], Field(max_length=MAX_WORKER_LABELS)] = []
    provenance: Provenance = Provenance()


class GpuState(Request):
    """One graphics card as its driver describes it; bytes of its memory, and how busy it is, 0 to 1."""

    index: Annotated[int, Field(ge=0, le=1024)]
    name: Annotated[str, Field(max_length=200)]
    memory_total: Annotated[int, Field(ge=0, le=2**50)]
    memory_used: Annotated[int, Field(ge=0, le=2**50)]
    utilisation: Annotated[float, Field(ge=0, le=1)] | None = None


class WorkerPost(Request):
    """A worker describes itself, every few seconds.

    gpu_count: how many of the cards it may use. dirty: whether tracked files were changed since the commit.
    """

    name: Label
    device: Annotated[str, Field(max_length=200)] = ""
    gpus: Annotated[list[GpuState], Field(max_length=64)] = []
    gpu_count: Annotated[int, Field(ge=0, le=1024)] = 0
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    dirty: bool = False
    version: Annotated[str, Field(max_length=50)] = ""
    job_id: Annotated[str, Field(max_length=32)] | None = None
    attempt: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None


class WorkerRead(Schema):
    """A worker that was heard of in the last day; `is_alive` while it goes on describing itself."""

    name: str
    first_seen_at: datetime
    seen_at: datetime
    is_alive: bool
    device: str
    gpus: list[GpuState]
    gpu_count: int = 0
    commit: str | None
    dirty: bool = False
    version: str
    job_id: str | None
    attempt: int | None


class ResumePoint(Schema):
    """The committed checkpoint to go on from."""

    iteration: int
    sha256: Sha256
    size: int


class ClaimRead(Schema):
    """The claimed job. Every write of this attempt must come before the lease ends, or it is fenced.

    `token` is what those writes are authorised by (as a bearer token); it ends with the attempt.
    """

    job_id: str
    attempt: int
    spec: dict[str, Any]
    lease_seconds: float
    token: str
    resume: ResumePoint | None


class LeaseRead(Schema):
    """Answer to a heartbeat: the lease is renewed; `cancel_requested` means: stop the trainer."""

    lease_seconds: float
    cancel_requested: bool


class NumberedEvent(Request):
    """An event with its number in the attempt (0, 1, 2, …) and the time at which the trainer reported it."""

    seq: Annotated[int, Field(ge=0, le=2**53)]
    at: Moment
    event: Event


class EventsPost(Request):
    """A batch: numbers are consecutive. The same batch may be sent again; the same number with other bytes not."""

    events: Annotated[list[NumberedEvent], Field(min_length=1, max_length=10_000)]


class EventsAccepted(LeaseRead):
    """The batch is durable; `next_seq` is the number that the service expects next."""

    next_seq: int


class FinishPost(Request):
    """How the attempt ended; `events_count` makes sure that no event is missing."""

    end: Literal["succeeded", "failed", "cancelled", "preempted"]
    reason: Reason | None = None
    events_count: Annotated[int, Field(ge=0)]
