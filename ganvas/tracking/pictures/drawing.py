"""Grids and single pictures as PNG, drawn from what was captured in the loop."""

from dataclasses import dataclass
from math import isqrt
from typing import Any

from ganvas.tracking.pictures.capture import Captured, Range
from ganvas.tracking.pictures.png import Cells, cut, encode_png, lay_out

# What the service takes.
MOST_SIDE, MOST_PIXELS, MOST_PNG_BYTES = 256, 16_000_000, 8 * 1024 * 1024
# Others have to be said.
_GAPS = (0, 2)


@dataclass(frozen=True)
class Shape:
    """Rows and columns of a grid. gap: pixels between the cells of one picture that holds it; None: not one."""

    rows: int
    columns: int
    gap: int | None = None


@dataclass(frozen=True)
class Sheet:
    """A grid as PNG. notes: what a person should know of how it was drawn."""

    png: bytes
    rows: int
    columns: int
    cell_width: int
    cell_height: int
    notes: list[str]


def read_shape(captured: Captured, rows: Any, columns: Any, padding: Any) -> Shape:
    """Return the shape of a grid as it was asked for; raises TypeError or ValueError."""
    for name, given in (("rows", rows), ("columns", columns), ("padding", padding)):
        if given is not None and (not isinstance(given, int) or given < (name != "padding")):
            raise TypeError(f"{name} must be a whole number above 0, such as 8; not {given!r}.")
    count = captured.count
    if count == 1 and (rows or 1) * (columns or 1) > 1:
        return _read_ready(captured, rows or 1, columns or 1, padding)
    if padding is not None:
        raise ValueError("padding belongs to one picture that holds a grid: say its rows and columns too.")
    if rows is None and columns is None:
        return Shape(*choose_shape(count))
    rows = rows or -(-count // columns)
    columns = columns or -(-count // rows)
    if rows * columns < count:
        raise ValueError(f"{count} images do not fit into {rows} × {columns} cells; leave one of the two out.")
    return Shape(rows, columns)


def choose_shape(count: int) -> tuple[int, int]:
    """Return rows and columns for so many cells: full rows where a shape of at most 5 to 2 has them."""
    root = isqrt(count)
    for rows in range(root, 0, -1):
        if count % rows == 0:
            if count // rows <= 2.5 * rows:
                return rows, count // rows
            break
    columns = root if root * root == count else root + 1
    return -(-count // columns), columns


def _read_ready(captured: Captured, rows: int, columns: int, padding: int | None) -> Shape:
    """Return the shape of one picture that holds a grid; torchvision's make_grid leaves gaps of 2 pixels."""
    for gap in _GAPS if padding is None else (padding,):
        height, width = captured.height - gap, captured.width - gap
        if height % rows == 0 and width % columns == 0 and min(height // rows, width // columns) > gap:
            return Shape(rows, columns, gap)
    raise ValueError(
        f"a picture of {captured.height} × {captured.width} pixels cannot be cut into {rows} rows and {columns} "
        "columns; say how many there are, and padding= where gaps lie between them."
    )


class Painter:
    """Draws what was captured, on the writer's thread; remembers how floats were read."""

    def __init__(self) -> None:
        self._range: Range | None = None

    def draw_sheet(self, captured: Captured, said: Range | None, shape: Shape) -> Sheet:
        """Return a grid as PNG, without the last rows or columns where it would be too large for a service."""
        notes: list[str] = []
        cells = self.draw_cells(captured, said, notes)
        if shape.gap is not None:
            cells = cut(cells, shape.rows, shape.columns, shape.gap)
        rows, columns = _fit(cells, shape)
        png = encode_png(_lay_out(cells, shape.columns, rows, columns))
        while len(png) > MOST_PNG_BYTES and rows * columns > 1:
            rows, columns = (rows, columns // 2) if columns > rows else (rows // 2, columns)
            png = encode_png(_lay_out(cells, shape.columns, rows, columns))
        if (rows, columns) != (shape.rows, shape.columns):
            notes.append(
                f"The grid of {shape.rows} × {shape.columns} cells is too large for one picture: "
                f"{rows} × {columns} of them are kept."
            )
        return Sheet(png, rows, columns, cells.width, cells.height, notes)

    def draw_cells(self, captured: Captured, said: Range | None, notes: list[str]) -> Cells:
        """Return the pictures as bytes; adds to `notes` as what floats are read, where that is new."""
        drawn = captured.draw(said, self._range)
        if said is None and drawn.range is not None and drawn.found is not None and drawn.range != self._range:
            self._range = drawn.range
            low, high = drawn.found
            notes.append(
                f"Pictures hold values from {low:.3g} to {high:.3g}: {drawn.range[0]:g} is drawn black and "
                f"{drawn.range[1]:g} white. If that is wrong, say range=(black, white) once."
            )
        return drawn.cells


def _fit(cells: Cells, shape: Shape) -> tuple[int, int]:
    rows, columns = min(shape.rows, MOST_SIDE), min(shape.columns, MOST_SIDE)
    while rows * columns * cells.height * cells.width > MOST_PIXELS and rows * columns > 1:
        rows, columns = (rows, columns - 1) if columns > rows else (rows - 1, columns)
    return rows, columns


def _lay_out(cells: Cells, width: int, rows: int, columns: int) -> Cells:
    """Lay out the first rows and columns of cells that stand `width` in a row."""
    places = (row * width + column for row in range(rows) for column in range(columns))
    return lay_out(cells.pick([place for place in places if place < cells.count]), rows, columns)
