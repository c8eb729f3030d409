"""The frame of a chart, whether of one run or of several: complete as it is, and made live by <curve-chart>."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

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
from dashboard.views.common import Figure, figure_of
from dashboard.views.comparison import AXIS_WORDS, Axis
from dashboard.views.places import describe_place, show_place

MAX_DOTS = 50


@dataclass(frozen=True)
class DotView:
    """One point, as percentages from the left and from the top."""

    x: str
    y: str


@dataclass(frozen=True)
class LineView:
    """One curve: its metric and word, the classes that it is drawn by, its path, and its value at the cursor.

    url: where its own run has its metrics, or empty. scale: places on the axis that an iteration is, or empty
    where that is not the same everywhere.
    """

    metric: str
    word: str
    style: str
    path: str
    value: Figure
    dots: list[DotView]
    url: str
    scale: str


@dataclass(frozen=True)
class CurveChart:
    """Curves of one axis; `cursor` is the chosen place as a percentage, or empty.

    player: whose metric alone it shows, or empty. points: how many stretches of each curve a script asks for.
    """

    heading: str
    player: str
    lines: list[LineView]
    ticks: list[TickView]
    axis: Axis
    axis_word: str
    length: int
    last_label: str
    cursor: str
    at: str
    beyond: str
    summary: str
    view_box: str
    metrics_url: str
    points: int


@dataclass(frozen=True)
class ChartAxis:
    """What charts share: the axis, how far it goes, and the chosen place on it (None: the end)."""

    axis: Axis
    length: int
    at: float | None


@dataclass(frozen=True)
class Line:
    """One curve to draw: its points by their places on the axis; the rest as a LineView says it."""

    metric: str
    word: str
    style: str
    places: Sequence[float]
    values: Sequence[float]
    url: str = ""
    scale: str = "1"


@dataclass(frozen=True)
class ChartFrame:
    """What surrounds the curves of a chart; the rest as a CurveChart says it."""

    heading: str
    points: int
    player: str = ""
    metrics_url: str = ""


def build_chart(frame: ChartFrame, lines: Sequence[Line], axis: ChartAxis) -> CurveChart:
    """Return the chart of these lines, from the axis's beginning to its end."""
    values = [value for line in lines for value in line.values if math.isfinite(value)]
    low, high = usual_range(values)
    return CurveChart(
        heading=frame.heading,
        player=frame.player,
        lines=[_draw(line, axis, low, high) for line in lines],
        ticks=[tick_at(value, low, high) for value in nice_ticks(low, high)],
        axis=axis.axis,
        axis_word=AXIS_WORDS[axis.axis].lower(),
        length=axis.length,
        last_label=show_place(axis.axis, axis.length),
        cursor=f"{100 * min(1.0, axis.at / axis.length):.2f}%" if axis.at is not None else "",
        at=f"at {describe_place(axis.axis, axis.at)}" if axis.at is not None else "newest",
        beyond=describe_beyond(values, low, high),
        summary=_summary(frame.heading, lines, axis.axis),
        view_box=f"0 0 {WIDTH} {HEIGHT}",
        metrics_url=frame.metrics_url,
        points=frame.points,
    )


def _draw(line: Line, axis: ChartAxis, low: float, high: float) -> LineView:
    return LineView(
        metric=line.metric,
        word=line.word,
        style=line.style,
        path=draw_path(line.places, line.values, axis.length, low, high),
        value=figure_of(_value_at(line, axis.at)),
        dots=_dots(line, axis.length, low, high),
        url=line.url,
        scale=line.scale,
    )


def _value_at(line: Line, at: float | None) -> float | None:
    """Return the value of the last point not after the place, else of the first; without a place the newest."""
    before = [value for place, value in zip(line.places, line.values, strict=True) if at is None or place <= at]
    counted = before or line.values[:1]
    return counted[-1] if counted else None


def _dots(line: Line, length: int, low: float, high: float) -> list[DotView]:
    points = [
        (place, min(max(value, low), high))
        for place, value in zip(line.places, line.values, strict=True)
        if math.isfinite(value)
    ]
    if len(points) > MAX_DOTS:
        return []
    return [
        DotView(f"{100 * place / length:.2f}%", f"{100 * (high - value) / (high - low):.2f}%")
        for place, value in points
    ]


def _summary(heading: str, lines: Sequence[Line], axis: Axis) -> str:
    """Return what the chart shows, in words."""
    parts = [
        f"{line.word + ': ' if line.word else ''}{show_number(line.values[0])} at "
        f"{describe_place(axis, line.places[0])}, {show_number(line.values[-1])} at "
        f"{describe_place(axis, line.places[-1])}"
        for line in lines
        if line.values
    ]
    return f"{heading} over {AXIS_WORDS[axis].lower()}. {'. '.join(parts) or 'No points yet'}."
