"""What travels over HTTP. A job is created from a `ganlib.spec.JobSpec` itself; everything else is here.

Times are UTC, ISO 8601. Floats that are NaN or infinite leave as the strings "nan", "inf", "-inf".
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from ganlib.events import Event, Histogram, MetricValue, Sha256
from ganlib.sections.queue import MAX_WORKER_LABELS, WorkerLabel
from ganlib.spec import Tag

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
TERMINAL_STATES: tuple[JobState, ...] = ("succeeded", "failed", "cancelled")
AttemptEnd = Literal["succeeded", "failed", "cancelled", "preempted", "lost"]
MediaType = Literal["image/png", "application/octet-stream"]

# A name that a worker gives itself: any characters but those that control a terminal or a database's text.
Label = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Item = TypeVar("Item")


def _check_moment(moment: datetime) -> datetime:
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("in UTC this lies before the year 1 or after 9999") from None
    return moment


Moment = Annotated[datetime, AfterValidator(_check_moment)]


class _Schema(BaseModel):
    # Unknown fields pass, so that a client goes on reading the answers of a newer service.
    model_config = ConfigDict(from_attributes=True)


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Page(_Schema, Generic[Item]):
    """One page of a list; `next` is the cursor to ask for the following one, null at the end."""

    items: list[Item]
    next: str | None = None


class Reason(_Schema):
    """Why a job or an attempt ended as it did: a stable code, a sentence, and the last log lines if any."""

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    message: Annotated[str, Field(max_length=4000)]
    log_tail: Annotated[str, Field(max_length=20_000)] = ""


class LatestMetric(_Schema):
    """A metric's newest point."""

    iteration: int
    value: MetricValue


class SampleRead(_Schema):
    """One sample grid of the timeline; `url` gives the PNG."""

    iteration: int
    attempt: int
    sha256: Sha256
    url: str
    rows: int
    columns: int
    cell_width: int
    cell_height: int
    latents_sha256: Sha256
    created_at: datetime


class NeighbourGridRead(SampleRead):
    """The training images nearest to the sample grid of the same iteration, laid out like it."""


class HistogramRead(Histogram):
    """One named distribution at one iteration: 64 equal bins from `low` to `high`."""

    model_config = ConfigDict(extra="ignore")

    name: str
    iteration: int


class CheckpointRead(_Schema):
    """A committed checkpoint; `url` gives the safetensors file, null when only its record was kept."""

    iteration: int
    attempt: int
    sha256: Sha256
    size: int
    url: str | None
    created_at: datetime


class _Ran(_Schema):
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    dirty: bool | None = None
    branch: Annotated[str, Field(max_length=200)] | None = None
    remote: Annotated[str, Field(max_length=300)] | None = None
    diff_truncated: bool = False
    python: Annotated[str, Field(max_length=50)] = ""
    versions: Annotated[dict[str, Annotated[str, Field(max_length=100)]], Field(max_length=100)] = {}
    device: Annotated[str, Field(max_length=200)] = ""
    hostname: Annotated[str, Field(max_length=200)] = ""
    platform: Annotated[str, Field(max_length=200)] = ""
    command: Annotated[str, Field(max_length=500)] = ""


class Provenance(_Ran):
    """What ran: recorded when a worker claims. `commit` is null outside a git checkout.

    dirty: whether tracked files were changed since that commit; null where the worker does not say, which
    `uncommitted_diff` then does.
    """

    uncommitted_diff: Annotated[str, Field(max_length=262_144)] = ""


class DiffRead(_Schema):
    """Uncommitted changes, as large as they are: lines added and removed, bytes, and where the diff itself is."""

    added: int
    removed: int
    size: int
    sha256: Sha256
    url: str


class ProvenanceRead(_Ran):
    """What ran. `diff` is null when nothing was uncommitted, or nothing is known of it."""

    diff: DiffRead | None = None


class AttemptRead(_Schema):
    """One worker's go at a job; `resumed_from` is the iteration of the checkpoint it went on from."""

    attempt: int
    worker: str
    claimed_at: datetime
    ended_at: datetime | None
    end: AttemptEnd | None
    reason: Reason | None
    resumed_from: int
    seed: int
    provenance: ProvenanceRead


class JobSummary(_Schema):
    """A job as the list shows it. `obstacle`: what a queued one asks for and no worker that is alive offers."""

    id: str
    name: str
    tags: list[str]
    state: JobState
    attempt: int
    iteration: int
    iterations: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    cancel_requested_at: datetime | None
    commit: str | None
    obstacle: str | None = None
    reason: Reason | None
    latest: dict[str, LatestMetric]
    newest_sample: SampleRead | None
    url: str
    deleted_at: datetime | None = None


class JobRead(JobSummary):
    """A job in full."""

    note: str = ""
    spec: dict[str, Any]
    seed: int
    retry_of: str | None = None
    latents_sha256: str | None
    attempts: list[AttemptRead]
    checkpoints: list[CheckpointRead]
    last_event_id: int


class JobEdit(_Request):
    """What to change of a job; what is left out stays. `tags` replaces all tags, before others come and go."""

    tags: Annotated[list[Tag], Field(max_length=32)] | None = None
    add_tags: Annotated[list[Tag], Field(max_length=32)] = []
    remove_tags: Annotated[list[Tag], Field(max_length=32)] = []
    note: Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$")] | None = None


class LogLineRead(_Schema):
    """One log line."""

    at: datetime
    attempt: int
    iteration: int
    level: Literal["info", "warning", "error"]
    text: str


class Curve(_Schema):
    """One metric's points, in order of iteration; `wall_seconds` is not kept a point, `iterations` is the axis.

    `total` counts the points that are stored; when fewer are sent, every extreme is among them.
    """

    name: str
    iterations: list[int]
    values: list[MetricValue]
    total: int


class CurvesRead(_Schema):
    """The curves of one job, by metric name; `last_event_id` is where a stream goes on without gap or double."""

    curves: list[Curve]
    last_event_id: int


class ClaimRequest(_Request):
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


class GpuState(_Request):
    """One graphics card as its driver describes it; bytes of its memory, and how busy it is, 0 to 1."""

    index: Annotated[int, Field(ge=0, le=1024)]
    name: Annotated[str, Field(max_length=200)]
    memory_total: Annotated[int, Field(ge=0, le=2**50)]
    memory_used: Annotated[int, Field(ge=0, le=2**50)]
    utilisation: Annotated[float, Field(ge=0, le=1)] | None = None


class WorkerPost(_Request):
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


class WorkerRead(_Schema):
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


class QueuePart(_Schema):
    """Jobs that a worker could claim now, jobs that have one, and both together."""

    waiting: int
    running: int
    wanted: int


class QueueRead(QueuePart):
    """What the workers have to do, in whole and by what jobs need: a graphics card, none, or what there is.

    queued: every queued job, also those that are pinned elsewhere or wait out a pause after a failure.
    pinned: by the commit that jobs are pinned to.
    """

    queued: int
    gpu: QueuePart
    cpu: QueuePart
    any: QueuePart
    pinned: dict[str, QueuePart]


class ResumePoint(_Schema):
    """The committed checkpoint to go on from."""

    iteration: int
    sha256: Sha256
    size: int


class ClaimRead(_Schema):
    """The claimed job. Every write of this attempt must come before the lease ends, or it is fenced.

    `token` is what those writes are authorised by (as a bearer token); it ends with the attempt.
    """

    job_id: str
    attempt: int
    spec: dict[str, Any]
    lease_seconds: float
    token: str
    resume: ResumePoint | None


class LeaseRead(_Schema):
    """Answer to a heartbeat: the lease is renewed; `cancel_requested` means: stop the trainer."""

    lease_seconds: float
    cancel_requested: bool


class NumberedEvent(_Request):
    """An event with its number in the attempt (0, 1, 2, …) and the time at which the trainer reported it."""

    seq: Annotated[int, Field(ge=0, le=2**53)]
    at: Moment
    event: Event


class EventsPost(_Request):
    """A batch: numbers are consecutive. The same batch may be sent again; the same number with other bytes not."""

    events: Annotated[list[NumberedEvent], Field(min_length=1, max_length=10_000)]


class EventsAccepted(LeaseRead):
    """The batch is durable; `next_seq` is the number that the service expects next."""

    next_seq: int


class FinishPost(_Request):
    """How the attempt ended; `events_count` makes sure that no event is missing."""

    end: Literal["succeeded", "failed", "cancelled", "preempted"]
    reason: Reason | None = None
    events_count: Annotated[int, Field(ge=0)]


class ArtifactRead(_Schema):
    """A stored file."""

    sha256: Sha256
    size: int
    media_type: MediaType
    url: str


class ArtifactsRead(_Schema):
    """The files of a bundle, stored; each once, in its order."""

    items: list[ArtifactRead]


class FileHeader(_Request):
    """What stands before each file of a bundle: the next `size` bytes are the file's."""

    sha256: Sha256
    size: Annotated[int, Field(ge=0)]
    media_type: MediaType


class StreamEvent(_Schema):
    """One message of the stream. `events` are the trainer's, `job` is the job's summary after them."""

    id: int
    attempt: int | None
    events: list[dict[str, Any]]
    job: JobSummary


class HealthRead(_Schema):
    """The service is up and can reach its database."""

    status: Literal["ok"] = "ok"
    version: str
    jobs_queued: int
    jobs_running: int
