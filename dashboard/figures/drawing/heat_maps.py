"""Histograms over iterations as heat maps, as figure 4.4 of Winkler (2018): the darker, the larger the share."""

from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dashboard.figures.drawing.canvas import POINTS_PER_MM, clean_text, drawing, make_figure, save_figure
from dashboard.figures.drawing.plans import HeatMapsPlan, HeatPanel
from dashboard.web.formats import show_tick

SIZE = 7.0
PANEL_HEIGHT, MARGIN = 96.0, 40.0
SHARES = (0.01, 0.1, 0.5, 1.0)
DARKEST = 255


def draw_heat_maps(plan: HeatMapsPlan, files: Sequence[bytes], out: BinaryIO) -> None:
    """Write the figure; a row for each run, and below it the legend of shares."""
    with drawing():
        width = plan.page.width_mm * POINTS_PER_MM
        height = PANEL_HEIGHT * len(plan.runs) + MARGIN
        dots = plan.page.dpi if plan.page.form == "png" else 72
        figure = make_figure(plan.page, round(width * dots / 72), round(height * dots / 72), dots)
        figure.set_layout_engine("constrained", w_pad=3 / 72, h_pad=3 / 72)
        axes: Any = figure.subplots(len(plan.runs), plan.columns, sharex=True, sharey=True, squeeze=False)
        shades = ListedColormap(np.linspace(1, 0, DARKEST + 1)[:, None].repeat(3, axis=1))
        shown = None
        for panel in plan.panels:
            shown = _draw(axes[panel.row][panel.column], plan, panel, files[panel.file], shades)
        _finish(axes, plan)
        if shown is not None:
            bar = figure.colorbar(shown, ax=axes.ravel().tolist(), shrink=0.8, aspect=30)
            # Brightness is the cube root of a share, so that one value in a thousand still shows.
            places = [DARKEST * share ** (1 / 3) for share in SHARES]
            bar.set_ticks(places, labels=[f"{share:.0%}" for share in SHARES])
            bar.set_label("share of values", size=SIZE)
            bar.ax.tick_params(labelsize=SIZE, width=0.6, length=2.5)
            bar.outline.set_linewidth(0.6)
        save_figure(figure, plan.page, plan.about, out)


def _draw(axes: Axes, plan: HeatMapsPlan, panel: HeatPanel, data: bytes, shades: ListedColormap) -> Any:
    image = np.frombuffer(data, np.uint8).reshape(panel.height, panel.width)
    extent = (panel.first, panel.last, plan.low, plan.high)
    return axes.imshow(
        image, cmap=shades, vmin=0, vmax=DARKEST, aspect="auto", interpolation="none", extent=extent
    )


def _finish(axes: Any, plan: HeatMapsPlan) -> None:
    # One axis for all: a run that ended early leaves the rest of its row blank.
    axes[0][0].set_xlim(min(panel.first for panel in plan.panels), max(panel.last for panel in plan.panels))
    words = {panel.column: panel.word for panel in plan.panels}
    drawn = {(panel.row, panel.column) for panel in plan.panels}
    for row, run in enumerate(plan.runs):
        for column in range(plan.columns):
            one: Axes = axes[row][column]
            one.tick_params(labelsize=SIZE, width=0.6, length=2.5)
            one.spines[:].set_linewidth(0.6)
            one.xaxis.set_major_locator(MaxNLocator(5))
            one.xaxis.set_major_formatter(FuncFormatter(lambda value, _: show_tick(value)))
            one.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _show_value(plan, value)))
            if row == 0:
                one.set_title(words.get(column, ""), size=SIZE)
            if (row, column) not in drawn:
                one.text(0.5, 0.5, "no histograms", size=SIZE, ha="center", va="center", transform=one.transAxes)
        label = clean_text(run)
        axes[row][0].set_ylabel(f"{label}\n{plan.values}" if label else plan.values, size=SIZE, parse_math=False)
    for one in axes[-1]:
        one.set_xlabel("iteration", size=SIZE)


def _show_value(plan: HeatMapsPlan, value: float) -> str:
    if not plan.is_power:
        return show_tick(value)
    return f"1e{value:+03.0f}" if value == int(value) else ""
