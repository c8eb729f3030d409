"""Grids and single pictures as PNG, drawn from what was captured in the loop."""

from dataclasses import dataclass
from math import isqrt
from typing import Any

from ganvas.tracking.pictures.capture import Captured, Drawn, Range
from ganvas.tracking.pictures.png import Cells, cut, encode_png, lay_out

# What the service takes.
MOST_SIDE, MOST_PIXELS, MOST_PNG_BYTES = 256, 16_000_000, 8 * 1024 * 1024
# Others have to be said.
_GAPS = (0, 2)
_LEAST_FLAT_SIDE = 8


@dataclass(frozen=True)
class Shape:
    """Rows and columns of a grid. gap: pixels between the cells of one picture that holds it; None: not one."""

    rows: int
    columns: int
    gap: int | None = None


@dataclass(frozen=True)
class Sheet:
    """A grid as PNG. notes: what a person should know of how it was drawn. not_finite: share of its values."""

    png: bytes
    rows: int
    columns: int
    cell_width: int
    cell_height: int
    notes: list[str]
    not_finite: float = 0.0


def read_shape(
    captured: Captured, rows: Any, columns: Any, padding: Any, known: set[tuple[int, ...]] | None = None
) -> Shape:
    """Return the shape of a grid as it was asked for; raises TypeError or ValueError.

    known: of pictures that hold grids, those whose gaps were looked at before; looking waits for a device.
    """
    for name, given in (("rows", rows), ("columns", columns), ("padding", padding)):
        if given is not None and (not isinstance(given, int) or given < (name != "padding")):
            raise TypeError(f"{name} must be a whole number above 0, such as 8; not {given!r}.")
    count = captured.count
    _check_not_flat(captured, (rows or 1) * (columns or 1))
    if count == 1 and (rows or 1) * (columns or 1) > 1:
        return _read_ready(captured, rows or 1, columns or 1, padding, set() if known is None else known)
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


def _check_not_flat(captured: Captured, cells: int) -> None:
    """Refuse a batch of flat pictures, as an MLP gives them: 16×784 for 16×1×28×28."""
    count, size = (
        (captured.count, captured.width) if captured.layout == "NHW" else (captured.height, captured.width)
    )
    is_batch = captured.height == 1 if captured.layout == "NHW" else captured.layout == "HW" and count != size
    if not is_batch or cells not in (1, count):
        return
    for channels in (1, 3):
        side = isqrt(size // channels)
        if side >= _LEAST_FLAT_SIDE and side * side * channels == size:
            shape = " × ".join(map(str, captured.data.shape))
            raise ValueError(
                f"images of shape {shape} seem to be {count} flat pictures: hand over "
                f"images.reshape({count}, {channels}, {side}, {side}). If that is meant, add a dimension: "
                f"images[{'None' if captured.layout == 'HW' else ':, None'}]."
            )


def _read_ready(
    captured: Captured, rows: int, columns: int, padding: int | None, known: set[tuple[int, ...]]
) -> Shape:
    """Return the shape of one picture that holds a grid; torchvision's make_grid leaves gaps of 2 pixels."""
    for gap in _GAPS if padding is None else (padding,):
        height, width = captured.height - gap, captured.width - gap
        if height % rows or width % columns or min(height // rows, width // columns) <= gap:
            continue
        looked_at = (captured.height, captured.width, rows, columns, gap)
        if gap and looked_at not in known:
            if not captured.has_gaps(
                _list_gaps(captured.height, rows, gap), _list_gaps(captured.width, columns, gap)
            ):
                continue
            known.add(looked_at)
        return Shape(rows, columns, gap)
    raise ValueError(
        f"a picture of {captured.height} × {captured.width} pixels cannot be cut into {rows} rows and {columns} "
        "columns; say how many there are, and padding= where gaps lie between them."
    )


def _list_gaps(side: int, count: int, gap: int) -> list[int]:
    """Return the lines of a picture that lie around and between its cells."""
    return [cell * ((side - gap) // count) + line for cell in range(count + 1) for line in range(gap)]


class Painter:
    """Draws what was captured, on the writer's thread; remembers how floats were read."""

    def __init__(self) -> None:
        self._range: Range | None = None
        # What was said of grids, once.
        self._told: set[str] = set()

    def draw_sheet(self, captured: Captured, said: Range | None, shape: Shape) -> Sheet:
        """Return a grid as PNG, without the last rows or columns where it would be too large for a service."""
        notes: list[str] = []
        drawn = self._draw(captured, said, notes)
        cells = drawn.cells
        self._tell_of_faults(drawn, notes)
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
        return Sheet(png, rows, columns, cells.width, cells.height, notes, drawn.not_finite)

    def draw_cells(self, captured: Captured, said: Range | None, notes: list[str]) -> Cells:
        """Return the pictures as bytes; adds to `notes` as what floats are read, where that is new."""
        return self._draw(captured, said, notes).cells

    def _draw(self, captured: Captured, said: Range | None, notes: list[str]) -> Drawn:
        drawn = captured.draw(said, self._range)
        if said is None and drawn.range is not None and drawn.found is not None and drawn.range != self._range:
            self._range = drawn.range
            low, high = drawn.found
            notes.append(
                f"Pictures hold values from {low:.3g} to {high:.3g}: {drawn.range[0]:g} is drawn black and "
                f"{drawn.range[1]:g} white. If that is wrong, say range=(black, white) once."
            )
        return drawn

    def _tell_of_faults(self, drawn: Drawn, notes: list[str]) -> None:
        """Say, once each, that pictures are not finite, and that they are of one plain colour."""
        fault = ""
        if drawn.not_finite:
            fault = "not finite"
            text = (
                f"{drawn.not_finite:.1%} of the pictures' values are NaN or infinite, and NaN is drawn black. "
                "Look at the losses, and at the generator's weights."
            )
        elif drawn.cells.is_plain:
            fault = "plain"
            colour = {0: "black", 255: "white"}.get(drawn.cells.content[0], "grey")
            text = (
                f"The pictures are plain {colour}. Look at what the generator gives, and whether "
                "range=(black, white) fits it."
            )
        if fault and fault not in self._told:
            self._told.add(fault)
            notes.append(text)


def _fit(cells: Cells, shape: Shape) -> tuple[int, int]:
    rows, columns = min(shape.rows, MOST_SIDE), min(shape.columns, MOST_SIDE)
    while rows * columns * cells.height * cells.width > MOST_PIXELS and rows * columns > 1:
        rows, columns = (rows, columns - 1) if columns > rows else (rows - 1, columns)
    return rows, columns


def _lay_out(cells: Cells, width: int, rows: int, columns: int) -> Cells:
    """Lay out the first rows and columns of cells that stand `width` in a row."""
    places = (row * width + column for row in range(rows) for column in range(columns))
    return lay_out(cells.pick([place for place in places if place < cells.count]), rows, columns)
