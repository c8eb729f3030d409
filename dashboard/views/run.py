"""One run: what it shows now, what it was told, and what ran."""

from dataclasses import dataclass
from datetime import datetime

import yaml

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
from dashboard.views.runs import Filters, LinkView
from dashboard.views.timeline import TimelineData, TimelineView, build_timeline

LOG_LINES = 200


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
    is_waiting: bool
    can_cancel: bool
    cancel_requested: Moment | None
    cancel_href: str
    vitals: VitalsView
    timeline: TimelineView | None
    chart: ChartView
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
    log: list[LogLineRead]


def build_run_page(data: RunData, wanted_iteration: int | None, frame: Frame, now: datetime) -> RunPage:
    """Return the page of one run, its timeline at the wanted iteration or at the newest grid."""
    job = data.job
    timeline = build_timeline(job.id, data.timeline, wanted_iteration, now)
    newest = job.attempts[-1] if job.attempts else None
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
        is_waiting=job.state == "queued",
        can_cancel=job.state not in TERMINAL_STATES and job.cancel_requested_at is None,
        cancel_requested=find_moment(job.cancel_requested_at if job.state not in TERMINAL_STATES else None, now),
        cancel_href=f"/runs/{job.id}/cancel",
        vitals=_vitals(data, now),
        timeline=timeline,
        chart=build_chart(
            job.id,
            data.curves.curves,
            job.iterations,
            timeline.iteration if timeline else None,
            data.curves.last_event_id,
        ),
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
        attempts=[_attempt(attempt, now) for attempt in job.attempts],
        checkpoints=[_checkpoint(checkpoint, now) for checkpoint in reversed(job.checkpoints)],
        stream_url=f"/jobs/{job.id}/events",
        json_url=f"/jobs/{job.id}",
        last_event_id=job.last_event_id,
    )


def show_spec(spec: dict[str, object]) -> str:
    """Return the spec as YAML in its own order, small mappings (a layer, an optimiser) on one line."""
    return yaml.safe_dump(spec, sort_keys=False, default_flow_style=None, width=96, allow_unicode=True)


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


def _vitals(data: RunData, now: datetime) -> VitalsView:
    job = data.job
    speed = latest_value(job, SPEED)
    curve = next((c for c in data.curves.curves if c.name == DISCRIMINATOR_LOSS), None)
    left = seconds_left(job)
    return VitalsView(
        iteration=job.iteration,
        iterations=job.iterations,
        progress=f"{show_count(job.iteration)} / {show_count(job.iterations)}",
        percent=show_percent(job.iteration / job.iterations),
        speed=f"{show_number(speed)} iterations/s" if speed is not None else "speed not yet known",
        time_word="Time left" if job.state in ("queued", "running") else "Time taken",
        time=show_duration(left if job.state in ("queued", "running") else seconds_taken(job, now)),
        generator_loss=figure_of(latest_value(job, GENERATOR_LOSS)),
        discriminator_loss=figure_of(latest_value(job, DISCRIMINATOR_LOSS)),
        learning=judge_learning(job, curve.values if curve else []),
        health=judge_health(job, sum(line.level != "info" for line in data.log)),
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


def _attempt(attempt: AttemptRead, now: datetime) -> AttemptView:
    return AttemptView(
        number=attempt.attempt,
        worker=attempt.worker,
        claimed=moment_of(attempt.claimed_at, now),
        took=show_duration(((attempt.ended_at or now) - attempt.claimed_at).total_seconds()),
        end=attempt.end or "under way",
        resumed_from=show_count(attempt.resumed_from),
        reason=attempt.reason.message if attempt.reason else "",
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
