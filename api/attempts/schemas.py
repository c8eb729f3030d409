"""Schemas of attempts: claim, lease and end, and the provenance of what ran."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue

from api.server.http.schemas import AttemptEnd, JobState, Label, Moment, Reason, Request, Schema
from ganlib.events import Sha256
from ganlib.spec.fields import Tag
from ganlib.spec.sections.execution import MAX_WORKER_LABELS, WorkerLabel
from ganlib.spec.storable import find_unstorable


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
    """One attempt of a worker at a job, or one process of a loop of somebody's own, whose seed may not be known.

    `resumed_from` is the iteration of the checkpoint that it resumed from.
    """

    attempt: int
    worker: str
    claimed_at: datetime
    ended_at: datetime | None
    end: AttemptEnd | None
    reason: Reason | None
    resumed_from: int
    seed: int | None
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
    """How the attempt ended; `events_count` makes sure that no event is missing.

    ended_at: when it did by the writer's clock, of a loop of somebody's own whose events came later.
    """

    end: Literal["succeeded", "failed", "cancelled", "preempted"]
    reason: Reason | None = None
    events_count: Annotated[int, Field(ge=0, le=2**53)]
    ended_at: Moment | None = None


def _check_config(config: dict[str, Any]) -> dict[str, Any]:
    problem = find_unstorable(config)
    if problem is not None:
        raise ValueError(f"{problem.field} {problem.message}")
    return config


class RunOpen(Request):
    """Opens a run whose loop Ganvas does not start, or opens it again.

    key: made by the writer, once a run. attempt: counts the processes that have written it, from 1. writer: where
    it runs, such as host and process. origin: what wrote it first. source: the path or address that it was
    imported from. iterations: how many are planned, if that is known. started_at: by the writer's clock.
    resume_at: for a later attempt, what was recorded after this iteration is dropped. events_count: of an attempt
    that has ended, how many events it has, so that a run that is stored whole stays as it is.
    """

    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
    attempt: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
    config: Annotated[dict[str, JsonValue], AfterValidator(_check_config)] = {}
    tags: Annotated[list[Tag], Field(max_length=32)] = []
    note: Annotated[str, Field(max_length=10_000)] = ""
    origin: Literal["own", "mlflow", "tensorboard", "wandb", "trackio"] = "own"
    source: Annotated[str, Field(max_length=1000)] = ""
    iterations: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    started_at: Moment | None = None
    resume_at: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = None
    events_count: Annotated[int, Field(ge=0, le=2**53)] | None = None
    writer: Label = "unknown"
    provenance: Provenance = Provenance()


class AttemptPosition(Schema):
    """How far an attempt is stored, for a writer that compares it with what it holds itself.

    newest: the job's newest attempt. next_seq: of this attempt's next event, 0 of one that has not begun. at: when
    the event happened that was asked for; None where it is not stored.
    """

    newest: int
    next_seq: int
    at: datetime | None = None


class RunOpened(LeaseRead):
    """The run may be written: `token` authorises the writes of this attempt, the next event is number `next_seq`.

    is_whole: the run has ended and is stored whole; there is nothing to send, and no token.
    """

    job_id: str
    attempt: int
    token: str
    next_seq: int
    state: JobState
    is_whole: bool = False
    url: str
