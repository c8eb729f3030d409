"""Curves of several runs over each other: a chart for each metric, a line for each run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.schemas import Curve
from dashboard.formats import show_number
from dashboard.views.chart import (
    HEIGHT,
    WIDTH,
    TickView,
    describe_beyond,
    draw_path,
    nice_ticks,
    tick_at,
    usual_range,
)
from dashboard.views.common import DISCRIMINATOR_LOSS, GENERATOR_LOSS, Figure, figure_of
from dashboard.views.compare_tracks import show_place
from dashboard.views.comparison import AXIS_WORDS, Axis

PLAYERS = {GENERATOR_LOSS: "generator", DISCRIMINATOR_LOSS: "discriminator"}
# More lines than so many players' of so many runs are no longer told apart in two hues.
MOST_IN_HUES = 3


@dataclass(frozen=True)
class RunCurves:
    """One run's curves by metric, and the place of each of their points on the axis."""

    number: int
    id: str
    name: str
    curves: Mapping[str, Curve]
    places: Mapping[str, list[float]]


@dataclass(frozen=True)
class CompareLine:
    """One metric of one run, the classes that it is drawn by, and its value at the cursor."""

    run: str
    metric: str
    word: str
    style: str
    path: str
    value: Figure


@dataclass(frozen=True)
class CompareChart:
    """Curves of one axis; `cursor` is the chosen place as a percentage, or empty. `player`: whose metric alone."""

    heading: str
    player: str
    lines: list[CompareLine]
    ticks: list[TickView]
    axis: str
    length: int
    last_label: str
    cursor: str
    beyond: str
    summary: str
    view_box: str


@dataclass(frozen=True)
class ChartAxis:
    """What the charts share: the axis, how far it goes, and the chosen place on it."""

    axis: Axis
    length: int
    at: float | None


def build_charts(runs: Sequence[RunCurves], metrics: Sequence[str], axis: ChartAxis) -> list[CompareChart]:
    """Return the charts of these metrics; both players' losses share one while there are few runs."""
    both = len(runs) <= MOST_IN_HUES and PLAYERS.keys() <= set(metrics)
    charts = [_build(runs, tuple(PLAYERS), "Losses", axis)] if both else []
    alone = [metric for metric in metrics if not (both and metric in PLAYERS)]
    return charts + [_build(runs, (metric,), metric, axis) for metric in alone]


def _build(runs: Sequence[RunCurves], metrics: Sequence[str], heading: str, axis: ChartAxis) -> CompareChart:
    found = [(run, metric) for run in runs for metric in metrics if metric in run.curves]
    values = [value for run, metric in found for value in run.curves[metric].values if math.isfinite(value)]
    low, high = usual_range(values)
    return CompareChart(
        heading=heading,
        player=PLAYERS.get(metrics[0], "") if len(metrics) == 1 else "",
        lines=[_line(run, metric, len(metrics) > 1, axis, low, high) for run, metric in found],
        ticks=[tick_at(value, low, high) for value in nice_ticks(low, high)],
        axis=AXIS_WORDS[axis.axis].lower(),
        length=axis.length,
        last_label=show_place(axis.axis, axis.length),
        cursor=f"{100 * min(1.0, axis.at / axis.length):.2f}%" if axis.at is not None else "",
        beyond=describe_beyond(values, low, high),
        summary=_summary(heading, axis, found),
        view_box=f"0 0 {WIDTH} {HEIGHT}",
    )


def _line(run: RunCurves, metric: str, is_pair: bool, axis: ChartAxis, low: float, high: float) -> CompareLine:
    curve = run.curves[metric]
    places = run.places[metric]
    tenths = [round(10 * place) for place in places]
    points = Curve.model_construct(name=metric, iterations=tenths, values=curve.values, total=curve.total)
    hue = f"player-{PLAYERS[metric]}" if is_pair else f"run-{run.number}"
    word = f"{run.name}, {PLAYERS[metric]}" if is_pair else run.name
    path = draw_path(points, 10 * axis.length, low, high)
    value = figure_of(_value_at(places, curve.values, axis.at))
    return CompareLine(run.id, metric, f"{run.number} {word}", f"{hue} dash-{run.number}", path, value)


def _value_at(places: Sequence[float], values: Sequence[float], at: float | None) -> float | None:
    """Return the value of the last point that is not after the place."""
    before = [value for place, value in zip(places, values, strict=True) if at is None or place <= at]
    return before[-1] if before else None


def _summary(heading: str, axis: ChartAxis, found: Sequence[tuple[RunCurves, str]]) -> str:
    """Return what the chart shows, in words."""
    parts = [
        f"{run.name}{f', {PLAYERS[metric]}' if metric in PLAYERS else ''}: {show_number(values[0])} at first, "
        f"{show_number(values[-1])} at last"
        for run, metric in found
        if (values := run.curves[metric].values)
    ]
    return f"{heading} over {AXIS_WORDS[axis.axis].lower()}. {'. '.join(parts) or 'No points yet'}."
