"""Pictures and curves made of characters: a grid in half blocks, a curve as a sparkline."""

import io
import math
import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, Literal, TextIO

# How many colours a terminal shows: 24 bits, 256, or too few for a picture.
Depth = Literal["true", "256", "none"]
_BARS = "▁▂▃▄▅▆▇█"
_HALF, _RESET = "▀", "\x1b[0m"
# A cell of a grid is drawn with no fewer pixels than this, as far as it has them.
_LEAST_CELL = 14
_CUBE = (0, 95, 135, 175, 215, 255)
NEEDS_PILLOW = "(Images are drawn here with Pillow: pip install pillow)"


def find_depth(stream: TextIO, environment: Mapping[str, str] = os.environ) -> Depth:
    """Return how many colours the terminal of this stream shows."""
    terminal = environment.get("TERM", "")
    if not stream.isatty() or "NO_COLOR" in environment or terminal in ("", "dumb"):
        return "none"
    try:
        _HALF.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return "none"
    if environment.get("COLORTERM") in ("truecolor", "24bit") or "kitty" in terminal or "direct" in terminal:
        return "true"
    return "256" if "256" in terminal else "none"


def draw_sparkline(values: Sequence[float], width: int) -> str:
    """Return the curve in at most so many characters, each the mean of a stretch; what is not finite is a ×."""
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    edges = [place * len(values) // count for place in range(count + 1)]
    means = [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
    finite = [mean for mean in means if math.isfinite(mean)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    return "".join(_draw_bar(mean, low, high) for mean in means)


def _draw_bar(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return "×"
    top = len(_BARS) - 1
    return _BARS[round((value - low) / (high - low) * top) if high > low else top // 2]


def draw_grid(png: bytes, grid: tuple[int, int], columns: int, rows: int, depth: Depth) -> list[str]:
    """Return the lines of a sample grid in half blocks: each character is two pixels, one above the other.

    grid: its rows and columns of cells; where not all are to be seen at a size that shows something, as many whole
    ones as fit are drawn, from the top left. columns, rows: the room in characters.
    """
    if depth == "none" or columns < 4 or rows < 2:
        return []
    if find_spec("PIL") is None:
        return [NEEDS_PILLOW]
    from PIL import Image

    with Image.open(io.BytesIO(png)) as opened:
        image = opened.convert("RGB")
    image = _crop(image, grid, columns, rows * 2)
    scale = min(columns / image.width, rows * 2 / image.height)
    size = (max(1, int(image.width * scale)), max(2, int(image.height * scale)))
    # A pixel stays one where there is room for several, and many become their mean where there is not.
    image = image.resize(size, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX)
    pixels = image.load()
    return [_draw_line(pixels, row, image.width, image.height, depth) for row in range(0, image.height, 2)]


def _crop(image: Any, grid: tuple[int, int], width: int, height: int) -> Any:
    """Return as many whole cells as can be seen in so many pixels."""
    cell_rows, cell_columns = grid
    cell_width, cell_height = image.width / cell_columns, image.height / cell_rows
    across = min(cell_columns, max(1, int(width / min(cell_width, _LEAST_CELL))))
    down = min(cell_rows, max(1, int(height / min(cell_height, _LEAST_CELL))))
    return image.crop((0, 0, round(across * cell_width), round(down * cell_height)))


def _draw_line(pixels: Any, row: int, width: int, height: int, depth: Depth) -> str:
    parts, before = [], None
    for column in range(width):
        upper = pixels[column, row]
        pair = (upper, pixels[column, row + 1] if row + 1 < height else upper)
        if pair != before:
            parts.append(f"\x1b[{_colour(38, *pair[0], depth)};{_colour(48, *pair[1], depth)}m")
            before = pair
        parts.append(_HALF)
    return "".join([*parts, _RESET])


@cache
def _colour(ground: int, red: int, green: int, blue: int, depth: Depth) -> str:
    if depth == "true":
        return f"{ground};2;{red};{green};{blue}"
    if max(red, green, blue) - min(red, green, blue) < 10:
        grey = round((red + green + blue) / 3)
        index = 16 if grey < 4 else 231 if grey > 246 else 232 + min(23, max(0, round((grey - 8) / 10)))
        return f"{ground};5;{index}"
    near = [min(range(6), key=lambda step: abs(_CUBE[step] - value)) for value in (red, green, blue)]
    return f"{ground};5;{16 + 36 * near[0] + 6 * near[1] + near[2]}"
