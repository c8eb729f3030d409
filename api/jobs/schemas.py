"""Jobs as people and pages read them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.attempts.schemas import ProvenanceRead
from api.samples.schemas import CheckpointRead, SampleRead
from api.server.http.schemas import AttemptEnd, JobState, Reason, Request, Schema
from ganlib.events import MetricValue
from ganlib.spec.job import Tag


class LatestMetric(Schema):
    """A metric's newest point."""

    iteration: int
    value: MetricValue


class AttemptRead(Schema):
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


class JobSummary(Schema):
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
    """A job in full. `made_from`: the job whose spec was changed or repeated; `retry_of`: only the latter."""

    note: str = ""
    spec: dict[str, Any]
    seed: int
    retry_of: str | None = None
    made_from: str | None = None
    latents_sha256: str | None
    attempts: list[AttemptRead]
    checkpoints: list[CheckpointRead]
    last_event_id: int


class JobEdit(Request):
    """What to change of a job; what is left out stays. `tags` replaces all tags, before others come and go."""

    tags: Annotated[list[Tag], Field(max_length=32)] | None = None
    add_tags: Annotated[list[Tag], Field(max_length=32)] = []
    remove_tags: Annotated[list[Tag], Field(max_length=32)] = []
    note: Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$")] | None = None


class StreamEvent(Schema):
    """One message of the stream. `events` are the trainer's, `job` is the job's summary after them."""

    id: int
    attempt: int | None
    events: list[dict[str, Any]]
    job: JobSummary


class HealthRead(Schema):
    """The service is up and can reach its database."""

    status: Literal["ok"] = "ok"
    version: str
    jobs_queued: int
    jobs_running: int


class QueuePart(Schema):
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
