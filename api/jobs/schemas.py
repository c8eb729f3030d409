"""Schemas of jobs: summary, full job, and edits."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, JsonValue

from api.attempts.schemas import AttemptRead
from api.events.findings.schemas import FindingAdvised, VerdictRead, VerdictTone
from api.samples.schemas import CheckpointRead, SampleRead
from api.server.http.schemas import JobState, Origin, Page, Reason, Request, Schema
from ganlib.events import MetricValue
from ganlib.spec.fields import Tag


class LatestMetric(Schema):
    """A metric's newest point."""

    iteration: int
    value: MetricValue


class JobSummary(Schema):
    """A job as the list shows it. `verdict`: what is wrong with its training, in one line.

    origin: who writes it; `ganlib` is a spec that workers train.

    obstacle: what a queued job requires and no living worker offers.

    iterations: 0 where no end was planned.

    sorted_by: the value that the list is sorted by, unless every job has it as a field of its own.
    """

    id: str
    origin: Origin = "ganlib"
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
    sorted_by: float | str | None = None
    verdict: VerdictRead = VerdictRead.model_construct()
    reason: Reason | None
    latest: dict[str, LatestMetric]
    newest_sample: SampleRead | None
    url: str
    deleted_at: datetime | None = None


class JobPage(Page[JobSummary]):
    """One page of jobs. note: of an empty one, which metric or setting of the search no job has, if any."""

    note: str | None = None


class JobRead(JobSummary):
    """A job in full. Of a loop of somebody's own, `spec` is its name and its `config`, and there may be no `seed`.

    `made_from`: the job whose spec was changed or repeated; `retry_of`: only the latter. `key`: of a run that no
    worker trains, what its writer made, by which `POST /runs` opens it again.

    waiting: why a queued job waits, in sentences; only in the answer of `GET /jobs/{id}`.
    """

    note: str = ""
    spec: dict[str, Any]
    seed: int | None
    retry_of: str | None = None
    made_from: str | None = None
    key: str | None = None
    latents_sha256: str | None
    attempts: list[AttemptRead]
    checkpoints: list[CheckpointRead]
    findings: list[FindingAdvised] = []
    last_event_id: int
    waiting: list[str] = []


class JobEdit(Request):
    """Changes to a job; fields that are left out stay. `tags` replaces all tags before the other two apply."""

    tags: Annotated[list[Tag], Field(max_length=32)] | None = None
    add_tags: Annotated[list[Tag], Field(max_length=32)] = []
    remove_tags: Annotated[list[Tag], Field(max_length=32)] = []
    note: Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$")] | None = None


class Average(Schema):
    """The values that `count` jobs of a group have of a metric, those that are finite.

    mean: their mean. deviation: their standard deviation with count - 1, null for one job alone.
    """

    metric: str
    count: int
    mean: MetricValue
    deviation: MetricValue | None


class GroupedJob(Schema):
    """A job of a group."""

    id: str
    name: str
    seed: int | None
    state: JobState


class GroupRead(Schema):
    """Jobs whose specs have the same values.

    values: those of `by`, in its order, null where a spec has none. title: the same in words. jobs: the newest
    first. seeds: how many different ones are known. differing: fields in which the jobs differ beside the seed, at
    most five, so that their mean is not one over seeds alone. states, verdicts: how many jobs have each.
    score: of each job's best value of what judges most of them, null where nothing does. metrics: the averages of
    the newest values that were asked for, without those that no job has.
    """

    values: list[JsonValue]
    title: str
    jobs: list[GroupedJob]
    seeds: int
    differing: list[str]
    states: dict[JobState, int]
    verdicts: dict[VerdictTone, int]
    score: Average | None
    metrics: list[Average]


class GroupsRead(Schema):
    """Jobs in groups, in the order of their values. by: what they are grouped by, as it was given.

    notes: what is not said otherwise, such as a field that no job has, or jobs that were left out.
    """

    by: list[str]
    groups: list[GroupRead]
    notes: list[str]
