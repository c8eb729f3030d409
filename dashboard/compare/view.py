"""The comparison of runs: grids at one position, curves, tables of differences, and the choice of runs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import urlencode

from api.curves.best import Best
from api.curves.schemas import Curve
from api.jobs.schemas import JobRead, JobSummary
from dashboard.charts.chart import AXES, AXIS_WORDS, ChartAxis, CurveChart
from dashboard.charts.references import find_dataset
from dashboard.compare.axis import StepsView, Track, build_steps
from dashboard.compare.curves import RunCurves, build_charts, find_spans
from dashboard.compare.grids import RunFigure, build_figures, choose_pair, describe_latents, name_runs
from dashboard.compare.groups import MOST_FOLDED, Group, build_lines
from dashboard.compare.requests import LEAST_RUNS, MOST_RUNS, VIEW_WORDS, VIEWS, Comparison
from dashboard.compare.tables import FactRow, NumberRow, build_facts, build_numbers, describe_threads
from dashboard.web.formats import show_count, show_duration
from dashboard.web.layout import (
    STATE_WORDS,
    Frame,
    LinkView,
    Thumbnail,
    find_verdict,
    show_progress,
    thumbnail_of,
)
from dashboard.web.specs import SpecDifference, compare_specs
from ganlib.vocabulary import Metric, find_metric


@dataclass(frozen=True)
class MetricChoice:
    """A metric that can be drawn."""

    metric: Metric
    is_chosen: bool


@dataclass(frozen=True)
class RunChoice:
    """A run that can be chosen."""

    id: str
    name: str
    detail: str
    thumbnail: Thumbnail | None
    is_chosen: bool


@dataclass(frozen=True)
class WipeView:
    """The two runs of the wipe, how many per cent of the left one are seen, and the same from 0 to 1."""

    left: RunFigure
    right: RunFigure
    split: int
    share: str


@dataclass(frozen=True)
class CompareData:
    """Data of the page: the runs of the address with their grids and curves, and others to choose from.

    at: the position, None without a grid. points: of each run, its metrics' last points up to there. incomparable:
    why metrics are left out. known: those that are not. bests: of each run the best of what judges all of them.
    groups: whose mean curves are drawn in the place of single runs. unfoldable: why none are, though they were
    asked for. problem: what is wrong with the search for other runs.
    """

    asked: Comparison
    unknown: Sequence[str]
    left_out: int
    jobs: Sequence[JobRead]
    tracks: Sequence[Track]
    at: float | None
    curves: Sequence[Mapping[str, Curve]]
    points: Sequence[Mapping[str, tuple[int, float]]]
    incomparable: Sequence[str]
    known: Sequence[str]
    drawn: Sequence[str]
    counted: Sequence[str]
    others: Sequence[JobSummary]
    last_event_id: int
    bests: Mapping[str, tuple[Metric, Best]] = field(default_factory=dict)
    groups: Sequence[Group] = ()
    unfoldable: str = ""
    problem: str = ""


@dataclass(frozen=True)
class ComparePage:
    """Everything about the comparison; until `is_ready`, only the choice of runs."""

    title: str
    frame: Frame
    problems: list[str]
    is_ready: bool
    axis: str
    axes: list[LinkView]
    views: list[LinkView]
    figures: list[RunFigure]
    wipe: WipeView | None
    latents: str
    steps: StepsView
    kept: list[tuple[str, str]]
    kept_for_metrics: list[tuple[str, str]]
    kept_for_runs: list[tuple[str, str]]
    kept_for_wipe: list[tuple[str, str]]
    length: int
    charts: list[CurveChart]
    group: str
    group_note: str
    ungroup_href: str
    kept_for_group: list[tuple[str, str]]
    metrics: list[MetricChoice]
    facts: list[FactRow]
    spec: SpecDifference
    spec_word: str
    threads: str
    numbers: list[NumberRow]
    numbers_at: str
    choices: list[RunChoice]
    find: str
    find_problem: str
    baseline: str
    kept_for_baseline: list[tuple[str, str]]
    kept_for_find: list[tuple[str, str]]
    figure_href: str
    file_href: str
    stream_url: str
    last_event_id: int


def build_compare_page(data: CompareData, frame: Frame, now: datetime) -> ComparePage:
    """Return the page."""
    asked, tracks, at = data.asked, data.tracks, data.at
    strokes = {run: group.number for group in data.groups for run in group.runs}
    figures = build_figures(tracks, at, now, data.bests, strokes)
    steps = build_steps(asked, tracks, at)
    is_ready = len(tracks) >= LEAST_RUNS
    counted = data.counted if is_ready else []
    baseline = next((place for place, job in enumerate(data.jobs) if job.id == asked.baseline), None)
    numbers = build_numbers(counted, data.curves, data.points, _until(tracks, at, now), baseline)
    length = max((math.ceil(track.length(now)) for track in tracks), default=0) or 1
    return ComparePage(
        title="Compare",
        frame=frame,
        problems=_problems(data),
        is_ready=is_ready,
        axis=asked.axis,
        axes=[LinkView(AXIS_WORDS[axis], asked.href(axis=axis, at=None), axis == asked.axis) for axis in AXES],
        views=[LinkView(VIEW_WORDS[view], asked.href(view=view), view == asked.view) for view in VIEWS],
        figures=figures,
        wipe=_wipe(asked, figures) if is_ready and asked.view == "wipe" else None,
        latents=describe_latents(figures),
        steps=steps,
        kept=asked.kept("at"),
        kept_for_metrics=asked.kept("metric"),
        kept_for_runs=asked.kept("run", "left", "right", "at"),
        kept_for_wipe=asked.kept("left", "right", "split"),
        length=length,
        charts=_charts(data, ChartAxis(asked.axis, length, at), now) if is_ready else [],
        group=", ".join(asked.group),
        group_note=_describe_groups(data),
        ungroup_href=asked.href(group=()),
        kept_for_group=asked.kept("group"),
        metrics=[MetricChoice(find_metric(name), name in data.drawn) for name in data.known],
        facts=build_facts(data.jobs, tracks, now) if is_ready else [],
        spec=compare_specs([job.spec for job in data.jobs]) if is_ready else SpecDifference([], ""),
        spec_word="specs" if any(job.origin == "ganlib" for job in data.jobs) else "configs",
        threads=describe_threads(data.jobs) if is_ready else "",
        numbers=numbers,
        numbers_at=_describe_numbers(steps.at_word, numbers),
        choices=_choices(data) if not frame.is_alone else [],
        find=asked.find,
        find_problem=data.problem,
        baseline=asked.baseline if baseline is not None else "",
        kept_for_baseline=asked.kept("baseline"),
        kept_for_find=asked.kept(),
        figure_href=f"/figures?{urlencode([('run', job.id) for job in data.jobs])}",
        file_href=_write_file_href(data),
        stream_url="/events",
        last_event_id=data.last_event_id,
    )


def _write_file_href(data: CompareData) -> str:
    """Return the address of the comparison as one file, with the metrics that were chosen."""
    runs = [("run", job.id) for job in data.jobs]
    return f"/compare/export.html?{urlencode([*runs, *(('metric', name) for name in data.asked.metrics)])}"


def _describe_groups(data: CompareData) -> str:
    """Say what lines and bands are where groups are drawn, and of which runs the grids and tables are."""
    if not data.groups:
        return ""
    count = sum(len(group.runs) for group in data.groups)
    shown = f" Grids and tables show {len(data.jobs)} of the {count} runs." if count > len(data.jobs) else ""
    return f"A line is the mean of a group's runs, its band one standard deviation (n − 1) to either side.{shown}"


def _problems(data: CompareData) -> list[str]:
    problems = [f"There is no run {run}; it is left out." for run in data.unknown]
    most = MOST_FOLDED if data.groups else MOST_RUNS
    if data.left_out:
        problems.append(
            f"{most} runs at most are compared at once: the first {most} are shown, "
            f"{show_count(data.left_out)} left out."
        )
    problems += data.incomparable
    problems += [data.unfoldable] if data.unfoldable else []
    unknown = [track.job.name for track in data.tracks if track.axis == "images" and track.batch_size is None]
    if unknown:
        problems.append(
            f"How many images an iteration of {', '.join(unknown)} sees is not known, for its config has no "
            "batch_size: it is drawn as one."
        )
    if len(data.jobs) == 1:
        problems.append(f"One run is chosen, {data.jobs[0].name}: choose at least one more to compare it with.")
    return problems


def _wipe(asked: Comparison, figures: Sequence[RunFigure]) -> WipeView:
    left, right = choose_pair(asked, figures)
    return WipeView(left, right, asked.split, f"{asked.split / 100:g}")


def _charts(data: CompareData, axis: ChartAxis, now: datetime) -> list[CurveChart]:
    runs = [
        RunCurves(
            number,
            track.job.id,
            name,
            curves,
            {metric: track.positions_of(curve.iterations, now) for metric, curve in curves.items()},
            points,
            "" if track.axis == "time" else str(track.scale),
            find_dataset(track.job.spec),
        )
        for number, (track, name, curves, points) in enumerate(
            zip(data.tracks, name_runs(data.jobs), data.curves, data.points, strict=True), 1
        )
    ]
    spans = [span for run, track in zip(runs, data.tracks, strict=True) for span in find_spans(run, track, now)]
    return build_charts(runs, data.drawn, replace(axis, spans=spans), {
        name: build_lines(data.groups, name) for name in data.drawn if data.groups
    })  # fmt: skip


def _describe_numbers(at_word: str, numbers: Sequence[NumberRow]) -> str:
    """Return what the table of metrics shows; only where one value is better than another a run has a best one."""
    has_best = any(cell.best for row in numbers for cell in row.cells)
    best = "the best of each run where one value is better" if has_best else ""
    return ", and ".join(filter(None, (f"at {at_word}" if at_word else "", best)))


def _until(tracks: Sequence[Track], at: float | None, now: datetime) -> list[float]:
    """Return the iteration up to which each run's values count at this position."""
    return [track.iteration_at(at, now) if at is not None else math.inf for track in tracks]


def _choices(data: CompareData) -> list[RunChoice]:
    # Of runs in groups some are compared that are not shown one by one.
    shown, chosen = {job.id for job in data.jobs}, set(data.asked.runs)
    rows: Sequence[JobSummary] = [*data.jobs, *(job for job in data.others if job.id not in shown)]
    return [
        RunChoice(
            job.id,
            job.name,
            _detail(job),
            thumbnail_of(job.newest_sample) if job.newest_sample else None,
            job.id in chosen,
        )
        for job in rows
    ]


def _detail(job: JobSummary) -> str:
    taken = (
        f", {show_duration((job.ended_at - job.started_at).total_seconds())}"
        if job.started_at and job.ended_at
        else ""
    )
    verdict = find_verdict(job)
    said = f"{verdict.text}; " if verdict and verdict.tone != "unknown" else ""
    return f"{said}{STATE_WORDS[job.state].lower()} at {show_progress(job).replace(' / ', ' of ')}{taken}"
