"""Schemas of attempts: claim, lease and end, and the provenance of what ran."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.server.http.schemas import AttemptEnd, Label, Reason, Request, Schema
from ganlib.events import Sha256
from ganlib.spec.sections.execution import MAX_WORKER_LABELS, WorkerLabel


class CodeAndMachine(Schema):
    """The code and the machine of an attempt, without uncommitted changes.

    threads: of a trainer on the CPU, on which the last bits of its sums depend; null where it is not recorded.
    """

    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    dirty: bool | None = None
    branch: Annotated[str, Field(max_length=200)] | None = None
    remote: Annotated[str, Field(max_length=300)] | None = None
    diff_truncated: bool = False
    python: Annotated[str, Field(max_length=50)] = ""
    versions: Annotated[dict[str, Annotated[str, Field(max_length=100)]], Field(max_length=100)] = {}
    device: Annotated[str, Field(max_length=200)] = ""
    threads: Annotated[int, Field(ge=1, le=65_536)] | None = None
    hostname: Annotated[str, Field(max_length=200)] = ""
    platform: Annotated[str, Field(max_length=200)] = ""
    command: Annotated[str, Field(max_length=500)] = ""


class Provenance(CodeAndMachine):
    """The code and the machine that a worker claims with. `commit` is null outside a git checkout.

    dirty: whether tracked files were changed since that commit; null where the worker does not report it, and
    then `uncommitted_diff` decides.
    """

    uncommitted_diff: Annotated[str, Field(max_length=262_144)] = ""


class DiffRead(Schema):
    """The size of uncommitted changes: lines added and removed, bytes, and the address of the diff."""

    added: int
    removed: int
    size: int
    sha256: Sha256
    url: str


class ProvenanceRead(CodeAndMachine):
    """The code and the machine of an attempt. `diff` is null when no uncommitted changes are recorded."""

    diff: DiffRead | None = None


class AttemptRead(Schema):
    """One attempt of a worker at a job; `resumed_from` is the iteration of the checkpoint that it resumed from."""

    attempt: int
    worker: str
    claimed_at: datetime
    ended_at: datetime | None
    end: AttemptEnd | None
    reason: Reason | None
    resumed_from: int
    seed: int
    provenance: ProvenanceRead


class ClaimRequest(Request):
    """A worker asks for the next job and says what it offers.

    gpus: how many cards it may use. gpu_memory: of the largest, in bytes; gpu_memory_each: what every one has.
    """

    worker: Label
    devices: Annotated[list[Literal["cpu", "cuda"]], Field(max_length=2)] = ["cpu"]
    gpus: Annotated[int, Field(ge=0, le=1024)] = 0
    gpu_memory: Annotated[int, Field(ge=0, le=2**50)] = 0
    gpu_memory_each: Annotated[int, Field(ge=0, le=2**50)] = 0
    labels: Annotated[list[WorkerLabel], Field(max_length=MAX_WORKER_LABELS)] = []
    provenance: Provenance = Provenance()


class ResumePoint(Schema):
    """The committed checkpoint to resume from."""

    iteration: int
    sha256: Sha256
    size: int


class ClaimRead(Schema):
    """The claimed job. Every write of this attempt must come before the lease ends, or it is fenced.

    `token` authorises those writes (as a bearer token); it ends with the attempt.
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


class FinishPost(Request):
    """How the attempt ended; `events_count` makes sure that no event is missing."""

    end: Literal["succeeded", "failed", "cancelled", "preempted"]
    reason: Reason | None = None
    events_count: Annotated[int, Field(ge=0, le=2**53)]
