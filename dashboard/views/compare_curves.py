"""Curves of several runs over each other: a chart for each metric, a line for each run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.schemas import Curve
from dashboard.views.chart_frame import ChartAxis, ChartFrame, CurveChart, Line, build_chart
from dashboard.views.common import DISCRIMINATOR_LOSS, GENERATOR_LOSS

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
