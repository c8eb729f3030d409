"""One run: what it shows now, what it was told, and what ran."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from api.queries.reaping import Queue
from api.schemas import (
    TERMINAL_STATES,
    AttemptRead,
    CheckpointRead,
    CurvesRead,
    JobRead,
    JobState,
    LogLineRead,
)
from dashboard.formats import (
    NOTHING,
    show_bytes,
    show_count,
    show_duration,
    show_number,
    show_percent,
)
from dashboard.views.advice import advise
from dashboard.views.chart import ChartView, build_chart
from dashboard.views.common import (
    DISCRIMINATOR_LOSS,
    GENERATOR_LOSS,
    SPEED,
    STATE_WORDS,
    Figure,
    Frame,
    Moment,
    figure_of,
    find_moment,
    latest_value,
    moment_of,
    seconds_left,
    seconds_taken,
    short_commit,
)
from dashboard.views.health import Verdict, judge_health, judge_learning
from dashboard.views.heat_map import HeatMapData, HeatMapView, build_heat_map
from dashboard.views.measures import MeasureChart, build_measures
from dashboard.views.neighbours import NeighbourData, NeighboursView, build_neighbours
from dashboard.views.runs import Filters, LinkView
from dashboard.views.timeline import TimelineData, TimelineView, build_timeline
from dashboard.views.waiting import WaitingView, explain_waiting

LOG_LINES = 200
FIRST_GRID = (
    "The first sample grid appears here: the same fixed latents, drawn again and again as the generator learns."
)
NO_GRIDS = "The run ended before it drew a sample grid."


@dataclass(frozen=True)
class NoticeView:
    """Why the run ended badly, and what to try."""

    heading: str
    message: str
    code: str
    advice: str
    log_tail: str


@dataclass(frozen=True)
class VitalsView:
    """The first screen's answers: is it learning, is it healthy, how long still."""

    iteration: int
    iterations: int
    progress: str
    percent: str
    speed: str
    time_word: str
    time: str
    generator_loss: Figure
    discriminator_loss: Figure
    learning: Verdict
    health: Verdict


@dataclass(frozen=True)
class LogLineView:
    """One log line; `clock` is its time of day in UTC."""

    at: Moment
    clock: str
    iteration: str
    level: str
    text: str


@dataclass(frozen=True)
class FactView:
    """A word and its value; `exact` is what hovering shows."""

    word: str
    text: str
    exact: str = ""


@dataclass(frozen=True)
class AttemptView:
    """One worker's go at the run."""

    number: int
    worker: str
    claimed: Moment
    took: str
    end: str
    resumed_from: str
    reason: str


@dataclass(frozen=True)
class CheckpointView:
    """One checkpoint."""

    iteration: str
    attempt: int
    size: str
    created: Moment
    sha256: str
    url: str


@dataclass(frozen=True)
class MetricView:
    """A metric's newest value."""

    name: str
    value: Figure
    iteration: str


@dataclass(frozen=True)
class RunPage:
    """Everything about one run."""

    title: str
    frame: Frame
    id: str
    name: str
    description: str
    tags: list[LinkView]
    state: JobState
    state_word: str
    attempt: int
    created: Moment
    notice: NoticeView | None
    waiting: WaitingView | None
    can_cancel: bool
    cancel_means: str
    cancel_requested: Moment | None
    cancel_href: str
    vitals: VitalsView
    is_over: bool
    has_bench: bool
    no_grids: str
    timeline: TimelineView | None
    chart: ChartView
    measures: list[MeasureChart]
    logits: HeatMapView | None
    neighbours: NeighboursView | None
    metrics: list[MetricView]
    log: list[LogLineView]
    spec_yaml: str
    provenance: list[FactView]
    versions: list[FactView]
    diff: str
    diff_summary: str
    attempts: list[AttemptView]
    checkpoints: list[CheckpointView]
    stream_url: str
    json_url: str
    last_event_id: int


@dataclass(frozen=True)
class RunData:
    """What `api.queries` read about one run."""

    job: JobRead
    timeline: TimelineData
    curves: CurvesRead
    logits: HeatMapData
    neighbours: NeighbourData
    log: list[LogLineRead]
    queue: Queue


def build_run_page(data: RunData, wanted_iteration: int | None, frame: Frame, now: datetime) -> RunPage:
    """Return the page of one run, its timeline at the wanted iteration or at the newest grid."""
    job = data.job
    timeline = build_timeline(job.id, data.timeline, wanted_iteration, now)
    newest = job.attempts[-1] if job.attempts else None
    waiting = explain_waiting(job, data.queue)
    is_over = job.state in TERMINAL_STATES
    diff = newest.provenance.uncommitted_diff if newest else ""
    return RunPage(
        title=job.name,
        frame=frame,
        id=job.id,
        name=job.name,
        description=str(job.spec.get("description", "")),
        tags=[LinkView(tag, Filters().href(tag=tag), current=False) for tag in job.tags],
        state=job.state,
        state_word=STATE_WORDS[job.state],
        attempt=job.attempt,
        created=moment_of(job.created_at, now),
        notice=_notice(job),
        waiting=waiting,
        can_cancel=job.state not in TERMINAL_STATES and job.cancel_requested_at is None,
        cancel_means=_cancel_means(job),
        cancel_requested=find_moment(job.cancel_requested_at if job.state not in TERMINAL_STATES else None, now),
        cancel_href=f"/runs/{job.id}/cancel",
        vitals=_vitals(data, waiting, now),
        is_over=is_over,
        has_bench=not is_over or timeline is not None or any(curve.values for curve in data.curves.curves),
        no_grids=NO_GRIDS if is_over else FIRST_GRID,
        timeline=timeline,
        chart=build_chart(
            job.id,
            data.curves.curves,
            job.iterations,
            timeline.iteration if timeline else None,
            data.curves.last_event_id,
        ),
        measures=build_measures(data.curves.curves, job.iterations),
        logits=build_heat_map(job.id, data.logits),
        neighbours=build_neighbours(job.id, data.neighbours),
        metrics=[
            MetricView(name, figure_of(metric.value), show_count(metric.iteration))
            for name, metric in sorted(job.latest.items())
        ],
        log=[
            LogLineView(
                moment_of(line.at, now), f"{line.at:%H:%M:%S}", show_count(line.iteration), line.level, line.text
            )
            for line in data.log
        ],
        spec_yaml=show_spec(job.spec),
        provenance=_provenance(job, newest),
        versions=[FactView(name, version) for name, version in sorted(newest.provenance.versions.items())]
        if newest
        else [],
        diff=diff,
        diff_summary=_diff_summary(newest),
        attempts=[_attempt(attempt, job, now) for attempt in job.attempts],
        checkpoints=[_checkpoint(checkpoint, now) for checkpoint in reversed(job.checkpoints)],
        stream_url=f"/jobs/{job.id}/events",
        json_url=f"/jobs/{job.id}",
        last_event_id=job.last_event_id,
    )


def show_spec(spec: dict[str, object]) -> str:
    """Return the spec as YAML in its own order, without what it leaves out, small mappings on one line."""
    return yaml.safe_dump(
        _without_nothing(spec), sort_keys=False, default_flow_style=None, width=96, allow_unicode=True
    )


def _without_nothing(value: Any) -> Any:
    """Return mappings without the fields that are null: they are as if they were not there."""
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value


def _notice(job: JobRead) -> NoticeView | None:
    if job.state != "failed":
        return None
    if job.reason is None:
        return NoticeView("This run failed", "No reason was recorded.", "unknown", advise(""), "")
    at = f" at iteration {show_count(job.iteration)}" if job.iteration else ""
    return NoticeView(
        f"This run failed{at}",
        job.reason.message,
        job.reason.code,
        advise(job.reason.code),
        job.reason.log_tail,
    )


def _cancel_means(job: JobRead) -> str:
    if job.state == "running":
        return "The worker stops after this iteration. What it has recorded stays."
    return (
        "It goes on no more. What it has recorded stays." if job.attempts else "It never starts; nothing is lost."
    )


def _vitals(data: RunData, waiting: WaitingView | None, now: datetime) -> VitalsView:
    job = data.job
    speed = latest_value(job, SPEED)
    curve = next((c for c in data.curves.curves if c.name == DISCRIMINATOR_LOSS), None)
    left = seconds_left(job)
    is_over = job.state in TERMINAL_STATES
    no_speed = "no speed was measured" if is_over else "speed not yet known"
    return VitalsView(
        iteration=job.iteration,
        iterations=job.iterations,
        progress=f"{show_count(job.iteration)} / {show_count(job.iterations)}",
        percent=show_percent(job.iteration / job.iterations),
        speed=f"{show_number(speed)} iterations/s" if speed is not None else no_speed,
        time_word="Time taken" if is_over else "Time left",
        time=show_duration(seconds_taken(job, now) if is_over else left),
        generator_loss=figure_of(latest_value(job, GENERATOR_LOSS)),
        discriminator_loss=figure_of(latest_value(job, DISCRIMINATOR_LOSS)),
        learning=judge_learning(job, curve.values if curve else [], curve.total if curve else 0),
        health=judge_health(job, sum(line.level != "info" for line in data.log), waiting),
    )


def _provenance(job: JobRead, newest: AttemptRead | None) -> list[FactView]:
    facts = [
        FactView("Run", job.id),
        FactView("Seed", str(job.seed)),
        FactView("Fixed latents", (job.latents_sha256 or NOTHING)[:12], job.latents_sha256 or "not yet drawn"),
    ]
    if newest is None:
        return facts
    ran = newest.provenance
    facts += [
        FactView("Commit", short_commit(ran.commit), ran.commit or "outside a git checkout"),
        FactView("Branch", ran.branch or NOTHING),
        FactView("Device", ran.device or NOTHING),
        FactView("Host", ran.hostname or NOTHING, ran.platform),
        FactView("Python", ran.python or NOTHING),
        FactView("Command", ran.command or NOTHING),
    ]
    return facts


def _diff_summary(newest: AttemptRead | None) -> str:
    if newest is None:
        return "Known when a worker claims the run."
    diff = newest.provenance.uncommitted_diff
    if not diff:
        return "None: what ran is the commit." if newest.provenance.commit else "Not known outside a git checkout."
    lines = [line for line in diff.splitlines() if not line.startswith(("+++", "---"))]
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    cut = ", cut short" if newest.provenance.diff_truncated else ""
    return f"{added} lines added, {removed} removed{cut}"


def _attempt(attempt: AttemptRead, job: JobRead, now: datetime) -> AttemptView:
    # What the notice at the top says is not said again.
    is_said = job.state == "failed" and attempt.reason == job.reason
    return AttemptView(
        number=attempt.attempt,
        worker=attempt.worker,
        claimed=moment_of(attempt.claimed_at, now),
        took=show_duration(((attempt.ended_at or now) - attempt.claimed_at).total_seconds()),
        end=attempt.end or "under way",
        resumed_from=show_count(attempt.resumed_from),
        reason=attempt.reason.message if attempt.reason and not is_said else "",
    )


def _checkpoint(checkpoint: CheckpointRead, now: datetime) -> CheckpointView:
    return CheckpointView(
        iteration=show_count(checkpoint.iteration),
        attempt=checkpoint.attempt,
        size=show_bytes(checkpoint.size),
        created=moment_of(checkpoint.created_at, now),
        sha256=checkpoint.sha256,
        url=checkpoint.url or "",
    )
