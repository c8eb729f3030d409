"""Timelines beside each other: rows = runs, columns = iterations, as figure 5.1 of Winkler (2018)."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from dashboard.figures.drawing.canvas import (
    POINTS_PER_MM,
    clean_text,
    drawing,
    make_figure,
    save_figure,
    text_width,
)
from dashboard.figures.drawing.curves import Panels
from dashboard.figures.drawing.frames import enlarge, read_cells
from dashboard.figures.drawing.plans import FigureOversize, Shot, TimelinesPlan, cells_size

# Points. A row's label takes at most this share of the page's width; where a word would be broken, it is smaller.
LABEL_SIZE, NOTE_SIZE = 8.0, 6.0
LABEL_SIZES = (LABEL_SIZE, 7.0, NOTE_SIZE, 5.0)
LINE_HEIGHT = 1.25
GAP, ROW_GAP = 3.0, 5.0
LABEL_SHARE = 0.22
NARROWEST = 6.0
# Above curves below the grids, and beside them for their values.
PANEL_GAP, CURVES_LEFT = 6.0, 40.0
# A letter's width by its height, about right for most letters; lines are measured afterwards.
LETTER_WIDTH = 0.62


@dataclass(frozen=True)
class Sizes:
    """The measures of a page in its dots: so many an inch, so many a point."""

    dots_per_inch: float
    box: float
    label: float
    is_whole: bool

    def dots(self, points: float) -> float:
        """Return a length in dots, whole ones for a PNG."""
        exact = points * self.dots_per_inch / 72
        return round(exact) if self.is_whole else exact


def draw_timelines(plan: TimelinesPlan, files: Sequence[bytes], out: BinaryIO) -> None:
    """Write the figure. Cells keep their pixels: in a PNG each becomes a square of whole dots, never blurred.

    A PNG has at least the requested resolution, raised until every pixel is an integer number of dots wide.
    """
    with drawing():
        letters = fit_labels([row.label for row in plan.rows], plan.page.width_mm)
        labels = [wrap_label(row.label, plan.page.width_mm, letters) for row in plan.rows]
        sizes = _measure(plan, labels, letters)
        images = [[_read(shot, files, plan) for shot in row.shots] for row in plan.rows]
        heights = [_row_height(row, label, letters, sizes) for row, label in zip(images, labels, strict=True)]
        notes = [_has_notes(plan, row.shots) for row in plan.rows]
        top = sizes.dots(LABEL_SIZE * LINE_HEIGHT + 2)
        below = [sizes.dots(NOTE_SIZE * LINE_HEIGHT) if noted else 0.0 for noted in notes]
        gap = sizes.dots(ROW_GAP)
        width = sizes.label + len(plan.iterations) * (sizes.box + sizes.dots(GAP)) - sizes.dots(GAP)
        height = top + sum(heights) + sum(below) + gap * (len(heights) - 1) + sizes.dots(1)
        panels = Panels(plan.curves) if plan.curves else None
        room = sizes.dots(panels.height + PANEL_GAP) if panels else 0.0
        height += room
        figure = make_figure(plan.page, width, height, sizes.dots_per_inch)
        canvas = _Canvas(figure, width, height, sizes)
        canvas.write_columns(plan)
        y = top
        for row, label, shown, tall, note in zip(plan.rows, labels, images, heights, below, strict=True):
            # Beside the images, not beside the notes below them.
            canvas.write_label(label, letters, y, tall)
            canvas.place_row(plan, row.shots, shown, row.blanks, y, tall)
            y += tall + note + gap
        if panels:
            left = max(sizes.label, sizes.dots(CURVES_LEFT)) / width
            points = height * 72 / sizes.dots_per_inch
            panels.draw(
                figure, files, plan.iterations, (left, 0.995, (room - sizes.dots(PANEL_GAP)) / height, points)
            )
        save_figure(figure, plan.page, plan.about, out)


class _Canvas:
    """The figure, addressed in dots from its upper left corner."""

    def __init__(self, figure: Figure, width: float, height: float, sizes: Sizes) -> None:
        self._figure = figure
        # The exact size of the figure, so that images lie on whole dots.
        self._width, self._height = width + 0.001, height + 0.001
        self._sizes = sizes

    def write_columns(self, plan: TimelinesPlan) -> None:
        """Write the iterations above the columns."""
        size = _fitting_size([f"{i:,}" for i in plan.iterations], self._sizes)
        y = self._sizes.dots(LABEL_SIZE)
        if self._sizes.label >= self._sizes.dots(36):
            self._write(0, y, "iteration", NOTE_SIZE, "left", "baseline", "#5d5d59")
        for index, iteration in enumerate(plan.iterations):
            self._write(self._left(index) + self._sizes.box / 2, y, f"{iteration:,}", size, "center", "baseline")

    def write_label(self, label: str, size: float, y: float, tall: float) -> None:
        """Write a row's label beside the middle of its images."""
        if label:
            self._write(0, y + tall / 2, label, size, "left", "center")

    def place_row(
        self,
        plan: TimelinesPlan,
        shots: Sequence[Shot | None],
        images: Sequence[Image.Image | None],
        blanks: Sequence[str],
        y: float,
        tall: float,
    ) -> None:
        """Place a row's images, and below them the iterations that are other than their column's."""
        for index, (shot, image) in enumerate(zip(shots, images, strict=True)):
            left = self._left(index)
            if shot is None or image is None:
                self._write_blank(blanks[index] if blanks else "", left, y + tall / 2)
                continue
            self._place(image, left, y, tall)
            if shot.iteration != plan.iterations[index]:
                middle, below = left + self._sizes.box / 2, y + tall + self._sizes.dots(NOTE_SIZE)
                self._write(middle, below, f"at {shot.iteration:,}", NOTE_SIZE, "center", "baseline", "#5d5d59")

    def _write_blank(self, why: str, left: float, middle: float) -> None:
        """Say in the place of an image why there is none, in as many lines as it needs."""
        room = max(5, int(self._sizes.box * 72 / self._sizes.dots_per_inch / (LETTER_WIDTH * NOTE_SIZE)))
        text = "\n".join(textwrap.wrap(why, room)) or "–"
        size = NOTE_SIZE if why else LABEL_SIZE
        self._write(left + self._sizes.box / 2, middle, text, size, "center", "center", "#5d5d59")

    def _left(self, index: int) -> float:
        return self._sizes.label + index * (self._sizes.box + self._sizes.dots(GAP))

    def _place(self, image: Image.Image, left: float, y: float, tall: float) -> None:
        width, height = shown_size(image, self._sizes)
        if self._sizes.is_whole:
            image = enlarge(image, round(width / image.width))
        x = left + ((self._sizes.box - width) // 2 if self._sizes.is_whole else (self._sizes.box - width) / 2)
        above = (tall - height) // 2 if self._sizes.is_whole else (tall - height) / 2
        bottom = self._height - 0.001 - y - above - height
        box = (x / self._width, bottom / self._height, width / self._width, height / self._height)
        axes = self._figure.add_axes(box)
        axes.set_axis_off()
        axes.imshow(np.asarray(image), interpolation="none", aspect="auto")

    def _write(
        self, x: float, y: float, text: str, size: float, across: str, along: str, colour: str = "#000000"
    ) -> None:
        x, y = x / self._width, 1 - y / self._height
        self._figure.text(
            x, y, text, size=size, ha=across, va=along, color=colour, linespacing=LINE_HEIGHT, parse_math=False
        )


def fit_labels(labels: Sequence[str], width_mm: float) -> float:
    """Return the largest size at which no word of the labels is broken, or else the smallest, in points."""
    longest = max((len(word) for label in labels for word in clean_text(label).split()), default=0)
    return next((size for size in LABEL_SIZES if longest <= _letters(width_mm, size)), LABEL_SIZES[-1])


def wrap_label(label: str, width_mm: float, size: float = LABEL_SIZE) -> str:
    """Return a row's label in lines that take no more than their share of the page."""
    room = _letters(width_mm, size)
    lines = [line for part in label.split("\n") for line in textwrap.wrap(clean_text(part), room)]
    return "\n".join(lines)


def _letters(width_mm: float, size: float) -> int:
    """Return the number of letters that fit a line of a label."""
    return max(6, int(LABEL_SHARE * width_mm * POINTS_PER_MM / (LETTER_WIDTH * size)))


def shown_size(image: Image.Image, sizes: Sizes) -> tuple[float, float]:
    """Return how large the image is drawn: as wide as its box, or what a whole factor makes of it."""
    if not sizes.is_whole:
        return sizes.box, sizes.box * image.height / image.width
    factor = max(1, int(sizes.box) // image.width)
    return image.width * factor, image.height * factor


def _measure(plan: TimelinesPlan, labels: Sequence[str], letters: float) -> Sizes:
    """Divide the page's width among the labels and the columns, and find the resolution."""
    points = plan.page.width_mm * POINTS_PER_MM
    label = text_width(labels, letters)
    label = label + 2 * GAP if label else 0.0
    columns = len(plan.iterations)
    box = (points - label - GAP * (columns - 1)) / columns
    if box < NARROWEST:
        raise FigureOversize(
            f"{columns} columns do not fit a width of {plan.page.width_mm:g} mm; ask for fewer, or a wider page."
        )
    if plan.page.form != "png":
        return Sizes(72, box, label, is_whole=False)
    widest = max(cells_size(shot.grid, plan.crop)[0] for row in plan.rows for shot in row.shots if shot)
    wanted = box * plan.page.dpi / 72
    dots = widest * max(1, math.ceil(wanted / widest - 1e-9))
    sizes = Sizes(plan.page.dpi * dots / wanted, dots, 0.0, is_whole=True)
    return replace(sizes, label=sizes.dots(label))


def _fitting_size(texts: Sequence[str], sizes: Sizes) -> float:
    """Return the size at which the widest heading fits its column."""
    room = sizes.box * 72 / sizes.dots_per_inch + GAP / 2
    return min(LABEL_SIZE, LABEL_SIZE * room / max(text_width(texts, LABEL_SIZE), 1.0))


def _read(shot: Shot | None, files: Sequence[bytes], plan: TimelinesPlan) -> Image.Image | None:
    return read_cells(files[shot.file], shot, plan.crop) if shot else None


def _row_height(images: Sequence[Image.Image | None], label: str, letters: float, sizes: Sizes) -> float:
    """Return the height of the images, or of a label that is higher: rows never run into each other."""
    heights = [shown_size(image, sizes)[1] for image in images if image]
    lines = label.count("\n") + 1
    return max([*heights, sizes.dots(lines * letters * LINE_HEIGHT) if label else 0.0, sizes.dots(2 * LABEL_SIZE)])


def _has_notes(plan: TimelinesPlan, shots: Sequence[Shot | None]) -> bool:
    return any(shot and shot.iteration != wanted for shot, wanted in zip(shots, plan.iterations, strict=True))
