"""The frames of a movie: enlarged cells, and the iteration on a strip of film below them."""

from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw, ImageFont

from dashboard.figures.drawing.plans import (
    MAX_MOVIE_PIXELS,
    Crop,
    FigureOversize,
    FigureRefusal,
    MoviePlan,
    Shot,
    cells_size,
)
from dashboard.timeline.sheets import UnreadableImage, decode_png


def read_cells(data: bytes, shot: Shot, crop: Crop | None) -> Image.Image:
    """Return the chosen cells of a stored grid in RGB, at the resolution in which they were stored."""
    try:
        image = decode_png(data)
    except UnreadableImage as error:
        raise FigureRefusal(f"The grid of iteration {shot.iteration:,} is damaged.") from error
    grid = shot.grid
    width, height = grid.cell_width, grid.cell_height
    if image.width < grid.columns * width or image.height < grid.rows * height:
        raise FigureRefusal(f"The grid of iteration {shot.iteration:,} is smaller than its event says.")
    shown = Image.new("RGB", cells_size(grid, crop))
    if crop is None:
        shown.paste(image, (0, 0))
        return shown
    for index, (row, column) in enumerate(crop.cells):
        at_row, at_column = divmod(index, crop.columns)
        cell = image.crop((column * width, row * height, (column + 1) * width, (row + 1) * height))
        shown.paste(cell, (at_column * width, at_row * height))
    return shown


def enlarge(image: Image.Image, scale: int) -> Image.Image:
    """Return the image with each pixel as a square of scale × scale."""
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


FILM, FILM_INK = "#0b0b0b", "#ecece8"
# How a palette is divided among a grid and the strip below it.
CELL_COLOURS, STRIP_COLOURS = 240, 16
# The offset of the colour type in a PNG, and the type of grey without alpha.
_COLOUR_TYPE, _GREY = 25, 0


class Frames:
    """A movie's frames, all of one size and mode: grey (L) where every grid is, else RGB.

    is_even: whether width and height are made even, as video requires.
    """

    def __init__(self, plan: MoviePlan, files: Sequence[bytes], is_even: bool) -> None:
        self._plan, self._files = plan, files
        sizes = [cells_size(shot.grid, plan.crop) for shot in plan.shots]
        width, height = (max(side) for side in zip(*sizes, strict=True))
        self.scale = max(1, plan.side // max(width, height))
        self._cells = (width * self.scale, height * self.scale)
        self._strip = max(18, self._cells[0] // 16) if plan.is_labelled else 0
        full = (self._cells[0], self._cells[1] + self._strip)
        self.size = tuple(side + side % 2 for side in full) if is_even else full
        pixels = self.size[0] * self.size[1] * len(plan.shots)
        if pixels > MAX_MOVIE_PIXELS:
            raise FigureOversize(
                f"{len(plan.shots):,} frames of {self.size[0]} × {self.size[1]} pixels are more than are drawn; "
                "ask for a smaller size, fewer cells, or fewer frames (every=)."
            )
        self.mode = "L" if all(file[_COLOUR_TYPE] == _GREY for file in files) else "RGB"

    def __len__(self) -> int:
        return len(self._plan.shots)

    def __iter__(self) -> Iterator[Image.Image]:
        for shot in self._plan.shots:
            frame = Image.new(self.mode, self.size, FILM)
            frame.paste(enlarge(self._read(shot), self.scale), (0, 0))
            if self._strip:
                frame.paste(self._draw_strip(shot), (0, self._cells[1]))
            yield frame

    def with_palettes(self) -> Iterator[Image.Image]:
        """Yield the frames in 256 colours at most: grey ones as they are, others with a palette of their own.

        Up to 240 colours of a grid stay exact; of more, the best 240 are chosen. Pixels are not dithered, because
        each would become a pattern.
        """
        if self.mode == "L":
            yield from self
            return
        for shot in self._plan.shots:
            cells = self._read(shot).quantize(CELL_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            colours = (cells.getpalette() or [])[: 3 * CELL_COLOURS]
            greys = [round(255 * step / (STRIP_COLOURS - 1)) for step in range(STRIP_COLOURS) for _ in range(3)]
            frame = Image.new("P", self.size, CELL_COLOURS)
            frame.putpalette(colours + [0] * (3 * CELL_COLOURS - len(colours)) + greys)
            frame.paste(enlarge(cells, self.scale), (0, 0))
            if self._strip:
                steps = self._draw_strip(shot).point(_to_step)
                frame.paste(steps, (0, self._cells[1]))
            yield frame

    def _read(self, shot: Shot) -> Image.Image:
        return read_cells(self._files[shot.file], shot, self._plan.crop).convert(self.mode)

    @staticmethod
    def _name(shot: Shot) -> str:
        return f"iteration {shot.iteration:,}"

    def _draw_strip(self, shot: Shot) -> Image.Image:
        strip = Image.new("L", (self.size[0], self.size[1] - self._cells[1]), FILM)
        font = ImageFont.load_default(max(10, round(self._strip * 0.6)))
        left = self._strip // 3
        # All frames of a narrow movie show the number alone.
        is_narrow = left + font.getlength(self._name(self._plan.shots[-1])) > strip.width
        text = f"{shot.iteration:,}" if is_narrow else self._name(shot)
        ImageDraw.Draw(strip).text((left, self._strip // 2), text, FILM_INK, font, anchor="lm")
        return strip


def _to_step(grey: int) -> int:
    """Return where the palette of a frame holds this grey."""
    return CELL_COLOURS + round(grey * (STRIP_COLOURS - 1) / 255)
