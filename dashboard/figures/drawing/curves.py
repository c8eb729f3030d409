"""Curves of one or several runs: metrics of one group share a panel, and lines differ in more than colour."""

import math
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from api.curves.points import Points, reduce_points
from dashboard.figures.drawing.canvas import (
    POINTS_PER_MM,
    clean_text,
    drawing,
    make_figure,
    save_figure,
    text_width,
)
from dashboard.figures.drawing.plans import CurvesPlan, FigureRefusal, Line
from dashboard.web.formats import show_tick
from ganlib.vocabulary import DISCRIMINATOR_LOSS, GENERATOR_LOSS, find_metric, label_group

Values = NDArray[np.float64]

SIZE = 7.0
PANEL_SHARE, PANEL_LEAST = 0.42, 90.0
LEGEND_LINE, HANDLE = 11.0, 40.0
# The height of the axis of iterations.
MARGIN = 26.0
# Between the panels of a figure that has no engine for its layout.
AXIS_ROOM = 14.0
# Of the lines of a figure together; every spike is among them.
DRAWN_POINTS, LEAST_POINTS = 24_000, 600
# Values that differ by less, as a share of them, are one flat line; charts do the same.
FLAT = 0.002
# Larger values cannot be placed on an axis with 64-bit floats.
FURTHEST = 1e100
# Okabe and Ito's colours but for yellow, which is too light for a line on paper.
COLOURS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = (
    "solid",
    (0, (5, 2)),
    (0, (1, 1)),
    (0, (5, 2, 1, 2)),
    (0, (8, 2, 2, 2, 2, 2)),
)
# The players keep their hue and their stroke of every chart where one run is drawn.
PLAYERS = {GENERATOR_LOSS.name: ("#965400", 0), DISCRIMINATOR_LOSS.name: ("#2d5c9e", 1)}


def draw_curves(plan: CurvesPlan, files: Sequence[bytes], out: BinaryIO) -> None:
    """Write the figure; raises FigureRefusal where a logarithmic axis has nothing to show."""
    groups = group_metrics(plan)
    with drawing():
        width = plan.page.width_mm * POINTS_PER_MM
        legends = [_Legend(plan, lines, width) for lines in groups.values()]
        panel = max(PANEL_LEAST, width * PANEL_SHARE)
        height = sum(panel + legend.height for legend in legends) + MARGIN
        dots = plan.page.dpi if plan.page.form == "png" else 72
        figure = make_figure(plan.page, round(width * dots / 72), round(height * dots / 72), dots)
        figure.set_layout_engine("constrained", w_pad=3 / 72, h_pad=3 / 72)
        panels: list[Axes] = list(figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0])
        for axes, (group, lines), legend in zip(panels, groups.items(), legends, strict=True):
            for line in lines:
                _draw_line(axes, plan, line, legend.name(line), style_of(plan, line, lines), files)
            _finish(axes, plan, group, lines)
            legend.write(axes)
        panels[-1].set_xlabel("iteration", size=SIZE)
        save_figure(figure, plan.page, plan.about, out)


class Panels:
    """Panels of curves below something else, each with its legend above it; the iterations stand under them."""

    def __init__(self, plan: CurvesPlan) -> None:
        self._plan = plan
        self._groups = group_metrics(plan)
        width = plan.page.width_mm * POINTS_PER_MM
        self._legends = [_Legend(plan, lines, width) for lines in self._groups.values()]
        self.height = sum(PANEL_LEAST + legend.height for legend in self._legends) + MARGIN

    def draw(
        self, figure: Figure, files: Sequence[bytes], marks: Sequence[int], box: tuple[float, float, float, float]
    ) -> None:
        """Draw between left and right and below the top, shares of the figure, which is so many points high.

        marks: iterations that stand out, as those of the grids above.
        """
        left, right, top, points = box
        first: Axes | None = None
        for (group, lines), legend in zip(self._groups.items(), self._legends, strict=True):
            top -= (PANEL_LEAST + legend.height) / points
            height = (PANEL_LEAST - AXIS_ROOM) / points
            axes = figure.add_axes((left, top, right - left, height), sharex=first)
            first = first or axes
            for line in lines:
                _draw_line(axes, self._plan, line, legend.name(line), style_of(self._plan, line, lines), files)
            _finish(axes, self._plan, group, lines)
            for mark in marks:
                axes.axvline(mark, color="#8a8a85", linewidth=0.5, linestyle=(0, (1, 2)), zorder=0.5)
            legend.write(axes)
            last = axes
        last.set_xlabel("iteration", size=SIZE)


def group_metrics(plan: CurvesPlan) -> dict[str, list[Line]]:
    """Return the lines by the group of their metric, in the order in which the metrics were asked for."""
    groups: dict[str, list[Line]] = {}
    for metric in plan.metrics:
        lines = [line for line in plan.lines if line.metric == metric]
        if lines:
            groups.setdefault(find_metric(metric).group, []).extend(lines)
    return groups


def unpack_line(data: bytes) -> tuple[NDArray[np.int64], Values]:
    """Return the iterations and values of a line's file."""
    half = len(data) // 2
    return np.frombuffer(data[:half], np.int64), np.frombuffer(data[half:], np.float64)


def smooth(values: Values, smoothing: float) -> Values:
    """Return the exponential average, its weights adding up to 1 from the start; what is not finite stays."""
    smoothed = values.copy()
    total = weight = 0.0
    for index, value in enumerate(values.tolist()):
        if math.isfinite(value):
            total = smoothing * total + (1 - smoothing) * value
            weight = smoothing * weight + 1 - smoothing
            smoothed[index] = total / weight
    return smoothed


def style_of(plan: CurvesPlan, line: Line, lines: Sequence[Line]) -> dict[str, Any]:
    """Return colour, dash and width of a line, other than those of every other line of its panel.

    Of one run each metric has its own; of several runs each has a colour, and each metric a dash.
    """
    metrics = list(dict.fromkeys(other.metric for other in lines))
    index = metrics.index(line.metric)
    if len(plan.runs) == 1:
        colour, dash = PLAYERS.get(line.metric, (COLOURS[index % len(COLOURS)], index))
        return {"color": colour, "linestyle": DASHES[dash % len(DASHES)], "linewidth": 1.1 + 0.8 * (index // 5)}
    dash = index if len(metrics) > 1 else line.run
    return {
        "color": COLOURS[line.run % len(COLOURS)],
        "linestyle": DASHES[dash % len(DASHES)],
        "linewidth": 1.1 + 0.8 * (max(line.run // len(COLOURS), index // len(DASHES))),
    }


def visible(values: Values, scale: str) -> Values:
    """Return the values with NaN for those that an axis of this scale cannot show."""
    with np.errstate(invalid="ignore"):
        is_shown = (np.abs(values) <= FURTHEST) & ((values > 1 / FURTHEST) if scale == "log" else True)
    return np.where(is_shown, values, np.nan)


def _draw_line(
    axes: Axes, plan: CurvesPlan, line: Line, name: str, style: dict[str, Any], files: Sequence[bytes]
) -> None:
    iterations, values = unpack_line(files[line.file])
    limit = max(LEAST_POINTS, DRAWN_POINTS // len(plan.lines))
    shown: list[tuple[Values, dict[str, Any]]] = [(smooth(values, plan.smoothing), {"label": name})]
    if plan.smoothing:
        # The measured values stay visible behind their average.
        shown.append((values, {"alpha": 0.25, "linewidth": 0.6, "linestyle": "solid"}))
    for column, changes in shown:
        thin = reduce_points(Points(iterations.tolist(), column.tolist()), limit)
        y = visible(np.asarray(thin.values), plan.y_scale)
        x = np.asarray(thin.iterations, np.float64)
        axes.plot(x, y, **{**style, **changes})
        alone = _alone(y)
        if alone.any():
            # A point between two gaps is drawn as a dot.
            axes.plot(x[alone], y[alone], linestyle="none", marker=".", markersize=3, color=style["color"])


def _alone(values: Values) -> NDArray[np.bool_]:
    """Return which values have no finite neighbour to draw a line to."""
    known = np.concatenate(([False], np.isfinite(values), [False]))
    alone: NDArray[np.bool_] = known[1:-1] & ~known[:-2] & ~known[2:]
    return alone


def choose_range(low: float, high: float, is_share: bool) -> tuple[float, float]:
    """Return an axis for values from low to high that starts where people expect it.

    Shares have 0 to 1. Values that hardly differ are one flat line; such an axis begins at 0, and so does one
    whose lowest value is no more than half of the highest.
    """
    if is_share and 0 <= low <= high <= 1:
        return 0.0, 1.04
    if high - low <= FLAT * max(abs(low), abs(high)):
        reach = 1.08 * max(abs(low), abs(high)) or 1.0
        return (-reach if low < 0 else 0.0), (reach if high > 0 or low == high == 0 else 0.0)
    room = 0.05 * (high - low)
    return (0.0 if 0 <= low <= high / 2 else low - room), high + room


def _finish(axes: Axes, plan: CurvesPlan, group: str, lines: Sequence[Line]) -> None:
    """Scale and name the axes."""
    drawn = [
        value for line in axes.lines for value in np.asarray(line.get_ydata()).tolist() if math.isfinite(value)
    ]
    if not drawn:
        above = "; a logarithmic axis shows only what is above 0" if plan.y_scale == "log" else ""
        raise FigureRefusal(f"No value of {label_group(group).lower()} can be drawn{above}.")
    axes.set_xscale(plan.x_scale)
    axes.set_yscale(plan.y_scale)
    for axis, scale in ((axes.xaxis, plan.x_scale), (axes.yaxis, plan.y_scale)):
        if scale == "log":
            # A power of ten alone may leave an axis without any number.
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: show_tick(value)))
        axis.set_minor_formatter(NullFormatter())
    metrics = {line.metric for line in lines}
    if plan.y_scale == "linear":
        axes.set_ylim(*choose_range(min(drawn), max(drawn), all(find_metric(name).is_share for name in metrics)))
    axes.set_ylabel(label_group(group) if len(metrics) > 1 else find_metric(lines[0].metric).heading, size=SIZE)
    axes.tick_params(labelsize=SIZE, width=0.6, length=2.5)
    axes.grid(visible=True, linewidth=0.4, color="#dededa")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_linewidth(0.6)
    axes.margins(x=0.01)


class _Legend:
    """The names of a panel's lines, above it, in as many columns as fit."""

    def __init__(self, plan: CurvesPlan, lines: Sequence[Line], width: float) -> None:
        self._plan = plan
        self._metrics = list(dict.fromkeys(line.metric for line in lines))
        widest = text_width([self.name(line) for line in lines], SIZE)
        fitting = max(1, min(len(lines), int((width - 50) / (widest + HANDLE))))
        rows = -(-len(lines) // fitting)
        # No more columns than the rows need: four names form two rows of two.
        self._columns = -(-len(lines) // rows)
        self.height = rows * LEGEND_LINE

    def name(self, line: Line) -> str:
        """Return the run, the metric, or both: what tells the lines of the panel apart."""
        metric = find_metric(line.metric).label
        run = clean_text(self._plan.runs[line.run])
        if len(self._metrics) == 1:
            # The axis names the metric.
            return run or metric
        return metric if len(self._plan.runs) == 1 else f"{run}, {metric}"

    def write(self, axes: Axes) -> None:
        """Write it."""
        # Matplotlib goes down the columns; people read along the rows.
        handles, names = axes.get_legend_handles_labels()
        order = [index for column in range(self._columns) for index in range(column, len(names), self._columns)]
        axes.legend(
            [handles[index] for index in order], [names[index] for index in order],
            loc="lower left", bbox_to_anchor=(0, 1.0), ncols=self._columns, frameon=False, fontsize=SIZE,
            borderaxespad=0.2, borderpad=0, handlelength=3, columnspacing=1.5, labelspacing=0.35,
        )  # fmt: skip
