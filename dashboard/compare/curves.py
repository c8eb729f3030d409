"""Curves of compared runs, each run with a number, on the axis that they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from api.curves.schemas import Curve
from dashboard.charts.chart import ChartAxis, ChartFrame, CurveChart, Line, build_chart
from dashboard.charts.marks import Span
from dashboard.charts.references import find_real
from dashboard.compare.axis import Track
from ganlib.vocabulary import DISCRIMINATOR_LOSS, GENERATOR_LOSS, find_metric

PLAYERS = {metric.name: metric.player for metric in (GENERATOR_LOSS, DISCRIMINATOR_LOSS)}
# Stretches that a script requests of each line: about one for each two pixels.
POINTS = 300


@dataclass(frozen=True)
class RunCurves:
    """One run's curves by metric, the positions of their points on the axis, and their points at the cursor.

    scale: length of an iteration on the axis, or empty where it varies. dataset: whose real images its metrics are
    compared with.
    """

    number: int
    id: str
    name: str
    curves: Mapping[str, Curve]
    positions: Mapping[str, list[float]]
    points: Mapping[str, tuple[int, float]]
    scale: str
    dataset: str


def build_charts(
    runs: Sequence[RunCurves],
    metrics: Sequence[str],
    axis: ChartAxis,
    folded: Mapping[str, Sequence[Line]] | None = None,
) -> list[CurveChart]:
    """Return a chart of each metric: a run has one colour in all of them, and beside its grid.

    folded: lines of groups by metric, in the place of those of runs.
    """
    return [_build(runs, name, axis, (folded or {}).get(name)) for name in metrics]


def _build(
    runs: Sequence[RunCurves], name: str, axis: ChartAxis, folded: Sequence[Line] | None = None
) -> CurveChart:
    metric = find_metric(name)
    lines = [_line(run, name) for run in runs if name in run.curves] if folded is None else folded
    return build_chart(ChartFrame(metric.heading, POINTS, PLAYERS.get(name, ""), about=metric), lines, axis)


def _line(run: RunCurves, metric: str) -> Line:
    return Line(
        metric=metric,
        word="",
        style=f"run-{run.number} dash-{run.number}",
        positions=run.positions[metric],
        values=run.curves[metric].values,
        value=run.points[metric][1] if metric in run.points else None,
        is_thinned=len(run.curves[metric].values) < run.curves[metric].total,
        run=f"{run.number} {run.name}",
        about=None,
        url=f"/jobs/{run.id}/metrics",
        scale=run.scale,
        real=find_real(find_metric(metric), run.dataset),
    )


def find_spans(run: RunCurves, track: Track, now: datetime) -> list[Span]:
    """Return what was found in a run as stretches of the axis that compared runs share, a lane for each run."""
    spans = []
    for finding in track.job.findings:
        ends = [finding.since, *([finding.ended] if finding.ended is not None else [])]
        since, *ended = track.positions_of(ends, now)
        text = f"{run.number} {run.name}: {finding.description}"
        href = f"/runs/{run.id}#finding-{finding.rule}-{finding.since}"
        end = ended[0] if ended else track.length(now)
        spans.append(Span(f"{run.number} {finding.rule}", since, end, finding.severity, text, href))
    return spans
