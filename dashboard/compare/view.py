"""Runs compared: their grids at one place, their curves, and a table of what differs; or how to choose them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from api.jobs.schemas import JobRead, JobSummary
from api.samples.schemas import Curve
from dashboard.charts.chart import ChartAxis, ChartFrame, CurveChart, Line, build_chart
from dashboard.compare.axis import StepsView, Track, build_steps, last_common
from dashboard.compare.grids import RunFigure, build_figures, choose_pair, describe_latents
from dashboard.compare.requests import AXES, AXIS_WORDS, LEAST_RUNS, MOST_RUNS, VIEW_WORDS, VIEWS, Comparison
from dashboard.compare.specs import SpecDifference, compare_specs
from dashboard.compare.tables import FactRow, NumberRow, build_facts, build_numbers
from dashboard.runs.view import LinkView
from dashboard.web.formats import show_count, show_duration
from dashboard.web.layout import DISCRIMINATOR_LOSS, GENERATOR_LOSS, STATE_WORDS, Frame

PLAYERS = {GENERATOR_LOSS: "generator", DISCRIMINATOR_LOSS: "discriminator"}
# More lines than so many players' of so many runs are no longer told apart in two hues.
MOST_IN_HUES = 3
# How many stretches a script asks for of each line: about one for each two pixels.
POINTS = 300


@dataclass(frozen=True)
class RunCurves:
    """One run's curves by metric, and the place of each of their points on the axis.

    scale: places that an iteration is, or empty where that changes.
    """

    number: int
    id: str
    name: str
    curves: Mapping[str, Curve]
    places: Mapping[str, list[float]]
    scale: str


def build_charts(runs: Sequence[RunCurves], metrics: Sequence[str], axis: ChartAxis) -> list[CurveChart]:
    """Return the charts of these metrics; both players' losses share one while there are few runs."""
    both = len(runs) <= MOST_IN_HUES and PLAYERS.keys() <= set(metrics)
    charts = [_build(runs, tuple(PLAYERS), "Losses", axis)] if both else []
    alone = [metric for metric in metrics if not (both and metric in PLAYERS)]
    return charts + [_build(runs, (metric,), metric, axis) for metric in alone]


def _build(runs: Sequence[RunCurves], metrics: Sequence[str], heading: str, axis: ChartAxis) -> CurveChart:
    player = PLAYERS.get(metrics[0], "") if len(metrics) == 1 else ""
    lines = [_line(run, metric, len(metrics) > 1) for run in runs for metric in metrics if metric in run.curves]
    return build_chart(ChartFrame(heading, POINTS, player), lines, axis)


def _line(run: RunCurves, metric: str, is_pair: bool) -> Line:
    hue = f"player-{PLAYERS[metric]}" if is_pair else f"run-{run.number}"
    return Line(
        metric=metric,
        word=f"{run.number} {run.name}{f', {PLAYERS[metric]}' if is_pair else ''}",
        style=f"{hue} dash-{run.number}",
        places=run.places[metric],
        values=run.curves[metric].values,
        url=f"/jobs/{run.id}/metrics",
        scale=run.scale,
    )


@dataclass(frozen=True)
class MetricChoice:
    """A metric that can be drawn."""

    name: str
    is_chosen: bool


@dataclass(frozen=True)
class RunChoice:
    """A run that can be chosen."""

    id: str
    name: str
    detail: str
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
    """What is read: runs in the order of the address with their grids and curves, and others to choose from."""

    asked: Comparison
    unknown: Sequence[str]
    left_out: int
    jobs: Sequence[JobRead]
    tracks: Sequence[Track]
    curves: Sequence[Mapping[str, Curve]]
    drawn: Sequence[str]
    counted: Sequence[str]
    others: Sequence[JobSummary]
    last_event_id: int


@dataclass(frozen=True)
class ComparePage:
    """Everything about the comparison; without `is_ready` only what to do for one."""

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
    metrics: list[MetricChoice]
    facts: list[FactRow]
    spec: SpecDifference
    numbers: list[NumberRow]
    at_word: str
    choices: list[RunChoice]
    figure_href: str
    stream_url: str
    last_event_id: int


def build_compare_page(data: CompareData, frame: Frame, now: datetime) -> ComparePage:
    """Return the page."""
    asked, tracks = data.asked, data.tracks
    at = asked.at if asked.at is not None else last_common(tracks)
    figures = build_figures(tracks, at, now)
    steps = build_steps(asked, tracks, at)
    is_ready = len(tracks) >= LEAST_RUNS
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
        metrics=[MetricChoice(name, name in data.drawn) for name in _known(data.jobs)],
        facts=build_facts(data.jobs, tracks, now) if is_ready else [],
        spec=compare_specs([job.spec for job in data.jobs]) if is_ready else SpecDifference([], ""),
        numbers=build_numbers(data.counted, data.curves, _until(tracks, at, now)) if is_ready else [],
        at_word=steps.at_word,
        choices=_choices(data),
        figure_href=f"/figures?{urlencode([('run', job.id) for job in data.jobs])}",
        stream_url="/events",
        last_event_id=data.last_event_id,
    )


def _problems(data: CompareData) -> list[str]:
    problems = [f"There is no run {run}; it is left out." for run in data.unknown]
    if data.left_out:
        problems.append(
            f"{MOST_RUNS} runs at most are compared at once: the first {MOST_RUNS} are shown, "
            f"{show_count(data.left_out)} left out."
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
            track.job.name,
            curves,
            {name: track.place_iterations(curve.iterations, now) for name, curve in curves.items()},
            "" if track.axis == "time" else str(track.scale),
        )
        for number, (track, curves) in enumerate(zip(data.tracks, data.curves, strict=True), 1)
    ]
    return build_charts(runs, data.drawn, axis)


def _until(tracks: Sequence[Track], at: float | None, now: datetime) -> list[float]:
    """Return the iteration up to which each run's values count at this place."""
    return [track.iteration_at(at, now) if at is not None else math.inf for track in tracks]


def _known(jobs: Sequence[JobRead]) -> list[str]:
    return sorted({name for job in jobs for name in job.latest})


def _choices(data: CompareData) -> list[RunChoice]:
    chosen = {job.id for job in data.jobs}
    rows: Sequence[JobSummary] = [*data.jobs, *(job for job in data.others if job.id not in chosen)]
    return [RunChoice(job.id, job.name, _detail(job), job.id in chosen) for job in rows]


def _detail(job: JobSummary) -> str:
    taken = (
        f", {show_duration((job.ended_at - job.started_at).total_seconds())}"
        if job.started_at and job.ended_at
        else ""
    )
    return (
        f"{STATE_WORDS[job.state].lower()} at {show_count(job.iteration)} of {show_count(job.iterations)}{taken}"
    )
