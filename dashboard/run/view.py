"""The page of one run: its state, its samples and curves, its spec, and the code that ran."""

from dataclasses import dataclass
from datetime import datetime

from api.artifacts.schemas import RunFileRead
from api.curves.schemas import Curve, CurvesRead
from api.events.findings.schemas import MOST_OF_A_JOB, VerdictRead
from api.jobs.lineage import Lineage
from api.jobs.schemas import JobRead
from api.samples.schemas import LogLineRead
from api.server.http.schemas import TERMINAL_STATES, JobState
from api.workers.queue import QueuePosition
from dashboard.charts.chart import CurveChart
from dashboard.charts.marks import SpanView, place_spans
from dashboard.charts.references import find_dataset
from dashboard.run.curves import (
    WIDE_POINTS,
    AttemptMark,
    ChoiceView,
    RunAxis,
    axis_length,
    build_attempt_marks,
    build_choices,
    build_curve_chart,
    build_measures,
)
from dashboard.run.findings import (
    BestView,
    FindingView,
    build_findings,
    build_spans,
    build_timeline_spans,
    find_best,
)
from dashboard.run.heat_maps import HeatMapData, HeatMapView, build_heat_map
from dashboard.run.neighbours import NeighbourData, NeighboursView, build_neighbours
from dashboard.run.records import (
    AttemptView,
    CheckpointView,
    FactsView,
    FilesView,
    LineageView,
    LogLineView,
    MetricView,
    ProvenanceView,
    RecordsView,
    build_attempt,
    build_checkpoint,
    build_facts,
    build_files,
    build_lineage,
    build_log,
    build_metrics,
    build_provenance,
    fold_records,
)
from dashboard.run.status import (
    ActionsView,
    FailureView,
    FaultsView,
    LearningView,
    WaitingView,
    build_actions,
    build_failure,
    build_faults,
    build_learning,
    show_waiting,
)
from dashboard.timeline.series import Picture, SeriesView, build_series
from dashboard.timeline.view import CellView, TimelineData, TimelineView, build_cell, build_timeline
from dashboard.web.formats import show_duration, show_number
from dashboard.web.layout import (
    ORIGIN_WORDS,
    STATE_WORDS,
    Frame,
    LinkView,
    Moment,
    find_verdict,
    latest_value,
    moment_of,
    search_href,
    seconds_left,
    seconds_taken,
    show_progress,
    show_share,
    write_tag_term,
)
from dashboard.web.specs import NetworkView, build_networks, show_spec
from ganlib.vocabulary import LOSS, SIGNALS, SPEED, find_metric
from ganlib.vocabulary.losses import find_losses


@dataclass(frozen=True)
class SummaryView:
    """The answers of the first screen below the verdict: how far it is, how long it takes, what it has learnt.

    percent: empty where no end was planned. learning, faults: None of a loop that nothing examines.
    """

    iteration: int
    iterations: int
    progress: str
    percent: str
    speed: str
    time_word: str
    time: str
    learning: LearningView | None
    faults: FaultsView | None


def build_summary(job: JobRead, curves: list[Curve], warning_count: int, now: datetime) -> SummaryView:
    """Return the summary; `curves` are those of what was measured."""
    left = seconds_left(job)
    is_over = job.state in TERMINAL_STATES
    learning, is_judged = build_learning(job, curves), job.origin == "ganlib"
    return SummaryView(
        iteration=job.iteration,
        iterations=job.iterations,
        progress=show_progress(job),
        percent=show_share(job),
        speed=_describe_speed(job, now),
        time_word="Time taken" if is_over else "Time left" if job.iterations else "Time so far",
        time=show_duration(left if job.iterations and not is_over else seconds_taken(job, now)),
        learning=learning if is_judged or learning.metric else None,
        faults=build_faults(job, warning_count) if is_judged or job.findings else None,
    )


def _describe_speed(job: JobRead, now: datetime) -> str:
    """Return the newest speed, which the time left goes by, or that of the whole time which the run has taken."""
    if job.state not in TERMINAL_STATES and (job.origin == "ganlib" or SPEED.name in job.latest):
        speed = latest_value(job, SPEED.name)
        return f"{show_number(speed)} iterations/s" if speed is not None else "speed not yet known"
    done = job.iteration - (job.attempts[0].resumed_from if job.attempts else 0)
    seconds = seconds_taken(job, now)
    if not seconds or done <= 0:
        return "no speed was measured" if job.origin == "ganlib" else ""
    return f"{show_number(done / seconds)} iterations/s overall"


LOG_LINES = 200
LISTED_FILES = 1000
DATA_NOTES = 50
FIRST_GRID = (
    "The first sample grid appears here: the same fixed latents, drawn again and again as the generator learns."
)
FIRST_OWN_GRID = "The first image grid appears here"
FIRST_VALUES = "The first values appear here"
# The call that makes them, where a person writes it.
GRID_CALLS = {
    "own": "run.grid(images, step=…) draws one",
    "mlflow": "mlflow.log_image(image, key=…, step=…) adds one",
}
VALUE_CALLS = {"own": "run.log({…}, step=…) logs some", "mlflow": "mlflow.log_metrics({…}, step=…) logs some"}
NO_VALUES = "This run logged no values."
NO_GRIDS = "The run ended before it drew a sample grid."


@dataclass(frozen=True)
class RunPage:
    """Everything about one run."""

    title: str
    frame: Frame
    id: str
    name: str
    origin: str
    description: str
    tags: list[LinkView]
    state: JobState
    state_word: str
    verdict: VerdictRead | None
    verdict_href: str
    is_deleted: bool
    note: str
    lineage: LineageView | None
    attempt: int
    created: Moment
    failure: FailureView | None
    waiting: WaitingView | None
    actions: ActionsView
    summary: SummaryView
    is_over: bool
    has_bench: bool
    no_grids: str
    timeline: TimelineView | None
    cell: CellView | None
    marks: list[SpanView]
    best: BestView | None
    findings: list[FindingView]
    has_more_findings: bool
    chart: CurveChart
    no_curves: str
    choices: list[tuple[str, list[ChoiceView]]]
    attempt_marks: list[AttemptMark]
    measures: list[CurveChart]
    evaluation_note: str
    sample_note: str
    heat_maps: list[tuple[str, HeatMapView | None]]
    neighbours: NeighboursView | None
    metrics: list[MetricView]
    signals: list[MetricView]
    data_notes: list[str]
    files: FilesView | None
    series: list[SeriesView]
    log: list[LogLineView]
    spec_heading: str
    spec_yaml: str
    networks: list[NetworkView]
    facts: FactsView
    provenance: ProvenanceView
    attempts: RecordsView[AttemptView]
    checkpoints: RecordsView[CheckpointView]
    stream_url: str
    json_url: str
    last_event_id: int


@dataclass(frozen=True)
class RunData:
    """All that is read about one run; `chosen` are the metrics of its large chart, each with its word.

    file_count: number and size of all files, of which `files` are the first. pictures: of series.

    own_metrics: those of somebody's own loop that have a small chart each.

    curves: of the large chart, and both losses. measured: of the small charts. values: of all these at the
    selected grid. evaluation_note: names the evaluation's classifier and the number of samples. sample_note: the
    newest line about cells that are no images. data_notes: say what of the data is left out, and its parts.
    """

    job: JobRead
    timeline: TimelineData
    curves: CurvesRead
    measured: CurvesRead
    values: dict[str, float]
    chosen: dict[str, str]
    own_metrics: list[str]
    files: list[RunFileRead]
    file_count: tuple[int, int]
    pictures: list[Picture]
    evaluation_note: str
    data_notes: list[str]
    sample_note: str
    heat_maps: list[HeatMapData]
    neighbours: NeighbourData
    log: list[LogLineRead]
    queue: QueuePosition
    lineage: Lineage


def build_run_page(data: RunData, wanted_iteration: int | None, frame: Frame, now: datetime) -> RunPage:
    """Return the page of one run, its timeline at the wanted iteration or at the newest grid."""
    job = data.job
    timeline = build_timeline(job.id, data.timeline, wanted_iteration, axis_length(job), now)
    waiting = show_waiting(job, data.queue)
    is_over = job.state in TERMINAL_STATES
    warning_count = sum(line.level != "info" for line in data.log)
    curves, measured = data.curves.curves, data.measured.curves
    dataset, best = find_dataset(job.spec), find_best(job.id, measured)
    cursor = timeline.iteration if timeline else None
    axis = RunAxis(job.id, axis_length(job), cursor, data.values, dataset, build_spans(job.findings))
    verdict, newest = find_verdict(job), build_metrics(job)
    return RunPage(
        title=job.name,
        frame=frame,
        id=job.id,
        name=job.name,
        origin=ORIGIN_WORDS[job.origin],
        description=str(job.spec.get("description", "")) if job.origin == "ganlib" else "",
        tags=[LinkView(tag, search_href(write_tag_term(tag)), current=False) for tag in job.tags],
        state=job.state,
        state_word=STATE_WORDS[job.state],
        verdict=verdict,
        verdict_href=f"#finding-{verdict.rule}-{verdict.since}" if verdict and verdict.rule else "",
        is_deleted=job.deleted_at is not None,
        note=job.note,
        # Whoever sees this run alone is not told of others.
        lineage=build_lineage(job, data.lineage) if not frame.is_alone else None,
        attempt=job.attempt,
        created=moment_of(job.created_at, now),
        failure=build_failure(job),
        waiting=waiting,
        actions=build_actions(job, now),
        summary=build_summary(job, measured, warning_count, now),
        is_over=is_over,
        has_bench=not is_over or timeline is not None or any(curve.values for curve in [*curves, *measured]),
        no_grids=_say_no_grids(job),
        timeline=timeline,
        cell=build_cell(job.id, data.timeline.grids, data.timeline.cell, wanted_iteration, job.origin),
        marks=place_spans(build_timeline_spans(job, best), 0, timeline.length) if timeline else [],
        best=best,
        findings=build_findings(job),
        has_more_findings=len(job.findings) == MOST_OF_A_JOB,
        chart=build_curve_chart(
            _name_chart(data.chosen), data.chosen, curves, axis, WIDE_POINTS, find_losses(job.latest)
        ),
        no_curves=_say_no_curves(job),
        choices=build_choices(job.latest, data.chosen, dataset),
        attempt_marks=build_attempt_marks(job),
        measures=build_measures(measured, axis, data.own_metrics),
        evaluation_note=data.evaluation_note,
        sample_note=data.sample_note,
        heat_maps=[(each.kind.group, build_heat_map(job.id, each, axis.cursor)) for each in data.heat_maps],
        neighbours=build_neighbours(job.id, data.neighbours),
        metrics=[each for each in newest if each.metric.group != SIGNALS],
        signals=[each for each in newest if each.metric.group == SIGNALS],
        data_notes=data.data_notes,
        files=build_files(job.id, data.files, *data.file_count),
        series=build_series(job.id, data.pictures, wanted_iteration),
        log=build_log(data.log, now),
        spec_heading="Spec" if job.origin == "ganlib" else "Config",
        spec_yaml=_write_spec(job),
        networks=build_networks(job.spec) if job.origin == "ganlib" else [],
        facts=build_facts(job, data.log),
        provenance=build_provenance(job),
        attempts=fold_records([build_attempt(attempt, job, now) for attempt in job.attempts]),
        checkpoints=fold_records([build_checkpoint(job.id, checkpoint, now) for checkpoint in job.checkpoints]),
        stream_url=f"/jobs/{job.id}/events",
        json_url=f"/jobs/{job.id}",
        last_event_id=job.last_event_id,
    )


def _name_chart(chosen: dict[str, str]) -> str:
    losses = find_losses(chosen)
    is_loss = all(find_metric(name).group == LOSS or name in losses for name in chosen)
    return "Losses" if is_loss else "Curves"


def _say_no_grids(job: JobRead) -> str:
    """Return what stands in the place of the timeline."""
    if job.state in TERMINAL_STATES:
        return NO_GRIDS
    return FIRST_GRID if job.origin == "ganlib" else _call_for(FIRST_OWN_GRID, GRID_CALLS.get(job.origin, ""))


def _say_no_curves(job: JobRead) -> str:
    """Return what stands in the place of the large chart of a loop of somebody's own; empty where there is one."""
    if job.origin == "ganlib" or job.latest:
        return ""
    if job.state in TERMINAL_STATES:
        return NO_VALUES
    return _call_for(FIRST_VALUES, VALUE_CALLS.get(job.origin, ""))


def _call_for(text: str, call: str) -> str:
    return f"{text}: {call}." if call else f"{text}."


def _write_spec(job: JobRead) -> str:
    """Return the spec, or the config of a loop of somebody's own, as YAML; empty where there is none."""
    if job.origin == "ganlib":
        return show_spec(job.spec)
    config = job.spec.get("config") or {}
    return show_spec(config) if config else ""
