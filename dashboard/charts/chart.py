"""A chart without a script: an inline SVG of plain attributes.

The axis fits the values as they usually are, so that one spike does not flatten the rest; what lies beyond is
drawn at the edge and named.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args
from zlib import crc32

from dashboard.charts.marks import Span, SpanView, place_spans
from dashboard.charts.references import Reference, ReferenceView, reach_references, show_references
from dashboard.web.formats import show_count, show_duration, show_number, show_tick
from dashboard.web.layout import Figure, figure_of
from ganlib.vocabulary import DISCRIMINATOR_LOSS, GENERATOR_LOSS, Metric

Axis = Literal["iteration", "images", "time"]
AXES: tuple[Axis, ...] = get_args(Axis)
AXIS_WORDS: dict[Axis, str] = {"iteration": "Iteration", "images": "Images seen", "time": "Time since the start"}
CHART_METRICS = (GENERATOR_LOSS.name, DISCRIMINATOR_LOSS.name)
CHART_POINTS, MEASURE_POINTS = 600, 200
# The plot's own coordinates; the page stretches them to its width and height.
WIDTH, HEIGHT = 1000, 300
SPIKE_REACH = 3
TICKS = 4
# An axis ends here, and is at least so wide: beyond that, what it is divided by is no float any more.
FURTHEST, NARROWEST = 1e300, 1e-300
# Values that differ by less, as a share of them, are one flat line: what is left of them is noise.
FLAT = 0.002


@dataclass(frozen=True)
class TickView:
    """One grid line: its position as a percentage from the top, and its value."""

    at: str
    label: str


def usual_range(values: list[float]) -> tuple[float, float]:
    """Return the axis that fits the values but not their spikes, with a little room, from 0 where that is near.

    A spike lies further from the middle half of the values than three times that half is wide.
    """
    if not values:
        return 0.0, 1.0
    ordered = sorted(min(max(value, -FURTHEST), FURTHEST) for value in values)
    lower, upper = ordered[len(ordered) // 4], ordered[-1 - len(ordered) // 4]
    reach = SPIKE_REACH * (upper - lower)
    low, high = max(ordered[0], lower - reach), min(ordered[-1], upper + reach)
    if max(high - low, abs(high)) < NARROWEST:
        low = high = 0.0
    if high - low <= FLAT * abs(high):
        low = high
    room = 0.08 * (high - low or abs(high) or 1.0)
    return (0.0 if 0 <= low <= high / 2 or low == high > 0 else low - room), high + room


def describe_beyond(values: list[float], low: float, high: float, *, is_thinned: bool = False) -> str:
    """Say how many values the axis leaves out; of a thinned curve there may be more between its points."""
    beyond = [value for value in values if not low <= value <= high]
    if not beyond:
        return ""
    most = max(beyond)
    furthest = f"up to {show_number(most)}" if most > high else f"down to {show_number(min(beyond))}"
    count = f"{'at least ' if is_thinned else ''}{show_count(len(beyond))} point{'s' if len(beyond) > 1 else ''}"
    return f"{count} beyond the axis, {furthest}"


def nice_ticks(low: float, high: float) -> list[float]:
    """Return about four round values inside the range: multiples of 1, 2 or 5 times a power of ten."""
    step = (high - low) / TICKS
    power = 10 ** math.floor(math.log10(step))
    nice = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)
    first, last = math.ceil(low / nice - 1e-9), math.floor(high / nice + 1e-9)
    return [index * nice for index in range(first, last + 1)]


def tick_at(value: float, low: float, high: float) -> TickView:
    """Return the grid line of this value on an axis from low to high."""
    at = 100 * (high - value) / (high - low)
    return TickView(f"{at:.2f}%", show_tick(value))


def draw_path(positions: Sequence[float], values: Sequence[float], length: float, low: float, high: float) -> str:
    """Return the path of points on an axis that is so long; a gap where a value is no finite number."""
    parts, pen_down = [], False
    for position, value in zip(positions, values, strict=True):
        if not math.isfinite(value):
            pen_down = False
            continue
        x = WIDTH * position / length
        y = HEIGHT * (high - min(max(value, low), high)) / (high - low)
        parts.append(f"{'L' if pen_down else 'M'}{x:.1f} {y:.1f}")
        pen_down = True
    return "".join(parts)


def label_position(axis: Axis, position: float) -> str:
    """Return a position as the label of an axis."""
    return show_duration(position) if axis == "time" else show_count(round(position))


def describe_position(axis: Axis, position: float) -> str:
    """Return a position in words: iteration 1,000."""
    shown = label_position(axis, position)
    match axis:
        case "iteration":
            return f"iteration {shown}"
        case "images":
            return f"{shown} images seen"
        case "time":
            return f"{shown} after the start"


MAX_DOTS = 50


@dataclass(frozen=True)
class DotView:
    """One point, as percentages from the left and from the top."""

    x: str
    y: str


@dataclass(frozen=True)
class LineView:
    """One curve: its metric and word, the classes that it is drawn by, its path, and its value at the cursor.

    run: the run that is named before the word, where runs are compared. about: the metric that the word names, if
    any. band: the path around what lies near a mean, or empty. url: of its run's metrics, or empty. scale: length
    of an iteration on the axis, or empty where it varies. real: what real images get, if that is known.
    """

    metric: str
    run: str
    word: str
    about: Metric | None
    style: str
    path: str
    band: str
    value: Figure
    dots: list[DotView]
    url: str
    scale: str
    real: Figure | None


@dataclass(frozen=True)
class CurveChart:
    """Curves of one axis; `cursor` is the chosen position as a percentage, or empty.

    id: its own on the page. about: the metric that the heading names, if any. player: of the one metric that it
    shows, or empty. points: stretches of each curve that a script requests. references: what real images get.
    spans: stretches of the axis that something is said of.
    """

    id: str
    heading: str
    about: Metric | None
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
    references: list[ReferenceView]
    spans: list[SpanView]


@dataclass(frozen=True)
class ChartAxis:
    """The axis that charts share, its length, the chosen position on it (None: the end), and marks along it."""

    axis: Axis
    length: int
    at: float | None
    spans: Sequence[Span] = ()


@dataclass(frozen=True)
class Line:
    """One curve to draw: its points by their positions on the axis, and its value at the chosen position.

    The points may be thinned, so the value is given: that of the last point up to the position, None before the
    first. is_thinned: whether there are more points than these. real: what real images get. edges: of a mean, the
    lower and the upper edge of its band. The other fields are those of LineView.
    """

    metric: str
    word: str
    style: str
    positions: Sequence[float]
    values: Sequence[float]
    value: float | None
    is_thinned: bool = False
    run: str = ""
    url: str = ""
    scale: str = "1"
    about: Metric | None = None
    real: float | None = None
    edges: tuple[Sequence[float], Sequence[float]] | None = None

    @property
    def name(self) -> str:
        """Run and word, as far as there are both."""
        return ", ".join(filter(None, (self.run, self.word)))


@dataclass(frozen=True)
class ChartFrame:
    """The parts of a chart beside its curves; the fields are those of CurveChart."""

    heading: str
    points: int
    player: str = ""
    metrics_url: str = ""
    about: Metric | None = None


def build_chart(frame: ChartFrame, lines: Sequence[Line], axis: ChartAxis) -> CurveChart:
    """Return the chart of these lines, from the axis's beginning to its end."""
    values = [value for line in lines for value in line.values if math.isfinite(value)]
    references = [Reference(line.real, line.word) for line in lines if line.real is not None]
    edges = [edge for line in lines for edge in (line.edges or ())]
    reach = values + [value for edge in edges for value in edge if math.isfinite(value)]
    low, high = reach_references(usual_range(reach), references)
    return CurveChart(
        id=_make_id(frame.heading),
        heading=frame.heading,
        about=frame.about,
        player=frame.player,
        lines=[_draw(line, axis, low, high) for line in lines],
        ticks=[tick_at(value, low, high) for value in nice_ticks(low, high)],
        axis=axis.axis,
        axis_word=AXIS_WORDS[axis.axis].lower(),
        length=axis.length,
        last_label=label_position(axis.axis, axis.length),
        cursor=f"{100 * min(1.0, axis.at / axis.length):.2f}%" if axis.at is not None else "",
        at=f"at {describe_position(axis.axis, axis.at)}" if axis.at is not None else "newest",
        beyond=describe_beyond(values, low, high, is_thinned=any(line.is_thinned for line in lines)),
        summary=_summary(frame.heading, lines, axis.axis),
        view_box=f"0 0 {WIDTH} {HEIGHT}",
        metrics_url=frame.metrics_url,
        points=frame.points,
        references=show_references(references, low, high),
        spans=place_spans(axis.spans, 0, axis.length),
    )


# Headings that differ still differ as ids: words of small letters after a capital, one space between them.
_PLAIN_HEADING = re.compile(r"[A-Z][^\W_A-Z]*( [^\W_A-Z]+)*")


def _make_id(heading: str) -> str:
    """Return the id of the chart with this heading, which may be any name of somebody's own metric."""
    words = "-".join(re.findall(r"\w+", heading.lower()))
    return words if _PLAIN_HEADING.fullmatch(heading) else f"{words or 'chart'}-{crc32(heading.encode()):x}"


def _draw(line: Line, axis: ChartAxis, low: float, high: float) -> LineView:
    return LineView(
        metric=line.metric,
        run=line.run,
        word=line.word,
        about=line.about,
        style=line.style,
        path=draw_path(line.positions, line.values, axis.length, low, high),
        band=_draw_band(line, axis.length, low, high),
        value=figure_of(line.value),
        dots=_dots(line, axis.length, low, high),
        url=line.url,
        scale=line.scale,
        real=figure_of(line.real) if line.real is not None else None,
    )


def _draw_band(line: Line, length: float, low: float, high: float) -> str:
    if line.edges is None or len(line.positions) < 2:
        return ""
    lower, upper = line.edges
    positions, values = [*line.positions, *reversed(line.positions)], [*upper, *reversed(lower)]
    return f"{draw_path(positions, values, length, low, high)}Z"


def _dots(line: Line, length: int, low: float, high: float) -> list[DotView]:
    points = [
        (position, min(max(value, low), high))
        for position, value in zip(line.positions, line.values, strict=True)
        if math.isfinite(value)
    ]
    if len(points) > MAX_DOTS:
        return []
    return [
        DotView(f"{100 * position / length:.2f}%", f"{100 * (high - value) / (high - low):.2f}%")
        for position, value in points
    ]


def _summary(heading: str, lines: Sequence[Line], axis: Axis) -> str:
    """Return the first and last value of each line, in words."""
    parts = [
        f"{line.name + ': ' if line.name else ''}{show_number(line.values[0])} at "
        f"{describe_position(axis, line.positions[0])}, {show_number(line.values[-1])} at "
        f"{describe_position(axis, line.positions[-1])}"
        for line in lines
        if line.values
    ]
    return f"{heading} over {AXIS_WORDS[axis].lower()}. {'. '.join(parts) or 'No points yet'}."
