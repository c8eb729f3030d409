"""One run: what it shows now, what it was told, and what ran."""

from dataclasses import dataclass
from datetime import datetime

from api.queries.reaping import Queue
from api.schemas import TERMINAL_STATES, CurvesRead, JobRead, JobState, LogLineRead
from dashboard.views.actions import ActionsView, build_actions
from dashboard.views.chart import ChartView, build_chart
from dashboard.views.common import STATE_WORDS, Frame, Moment, moment_of
from dashboard.views.heat_map import HeatMapData, HeatMapView, build_heat_map
from dashboard.views.measures import MeasureChart, build_measures
from dashboard.views.neighbours import NeighbourData, NeighboursView, build_neighbours
from dashboard.views.notice import NoticeView, build_notice
from dashboard.views.records import (
    AttemptView,
    CheckpointView,
    LogLineView,
    MetricView,
    ProvenanceView,
    build_attempt,
    build_checkpoint,
    build_log,
    build_metrics,
    build_provenance,
    show_spec,
)
from dashboard.views.runs import Filters, LinkView
from dashboard.views.timeline import TimelineData, TimelineView, build_timeline
from dashboard.views.vitals import VitalsView, build_vitals
from dashboard.views.waiting import WaitingView, explain_waiting

LOG_LINES = 200
FIRST_GRID = (
    "The first sample grid appears here: the same fixed latents, drawn again and again as the generator learns."
)
NO_GRIDS = "The run ended before it drew a sample grid."


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
    actions: ActionsView
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
    provenance: ProvenanceView
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
    waiting = explain_waiting(job, data.queue)
    is_over = job.state in TERMINAL_STATES
    warning_count = sum(line.level != "info" for line in data.log)
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
        notice=build_notice(job),
        waiting=waiting,
        actions=build_actions(job, now),
        vitals=build_vitals(job, data.curves.curves, warning_count, waiting, now),
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
        metrics=build_metrics(job),
        log=build_log(data.log, now),
        spec_yaml=show_spec(job.spec),
        provenance=build_provenance(job),
        attempts=[build_attempt(attempt, job, now) for attempt in job.attempts],
        checkpoints=[build_checkpoint(job.id, checkpoint, now) for checkpoint in reversed(job.checkpoints)],
        stream_url=f"/jobs/{job.id}/events",
        json_url=f"/jobs/{job.id}",
        last_event_id=job.last_event_id,
    )
