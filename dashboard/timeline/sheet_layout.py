"""The layout of sheets: cutouts of grids, corners and cells; `timeline/scripts/thumbnails.js` does the same."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.samples.queries import GridRow

STRIP_COLUMNS = 4
CELL_COLUMNS = 20
THUMBNAIL_SIDE = 128
LARGEST_CELL = 96
# Rows and columns of a corner; a whole grid at that size would be noise.
CORNER_CELLS = 2


@dataclass(frozen=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int


def thumbnail_size(grid: GridRow) -> Size:
    """Return the size of a grid's thumbnail: all cells of one size, and none enlarged."""
    scale = min(1.0, THUMBNAIL_SIDE / max(grid.width, grid.height))
    return Size(
        grid.columns * max(1, int(grid.cell_width * scale)), grid.rows * max(1, int(grid.cell_height * scale))
    )


def cell_size(grid: GridRow) -> Size:
    """Return the size of one cell on a sheet: unchanged, or divided by an integer where it is large."""
    factor = -(-max(grid.cell_width, grid.cell_height) // LARGEST_CELL)
    return Size(max(1, grid.cell_width // factor), max(1, grid.cell_height // factor))


def corner_cells(grid: GridRow) -> tuple[int, int]:
    """Return how many rows and columns of cells a corner shows."""
    return min(grid.rows, CORNER_CELLS), min(grid.columns, CORNER_CELLS)


def largest(sizes: Sequence[Size]) -> Size:
    """Return the size that holds each of these."""
    return Size(max(size.width for size in sizes), max(size.height for size in sizes))


@dataclass(frozen=True)
class Cutout:
    """The position of one member on its sheet, in pixels."""

    sheet: Size
    left: int
    top: int
    size: Size

    @property
    def view_box(self) -> str:
        """As an SVG cuts it out."""
        return f"{self.left} {self.top} {self.size.width} {self.size.height}"


def lay_out(sizes: Sequence[Size], tile: Size, most_columns: int) -> list[Cutout]:
    """Return the positions of members of these sizes: row by row, each in the upper left corner of its tile."""
    columns = min(most_columns, len(sizes))
    sheet = Size(columns * tile.width, -(-len(sizes) // columns) * tile.height)
    return [
        Cutout(sheet, at % columns * tile.width, at // columns * tile.height, size)
        for at, size in enumerate(sizes)
    ]


def cut_strip(grids: Sequence[GridRow]) -> list[Cutout]:
    """Return the positions of the grids' thumbnails: on multiples of 8, so that no JPEG block holds two."""
    sizes = [thumbnail_size(grid) for grid in grids]
    size = largest(sizes)
    return lay_out(sizes, Size(-(-size.width // 8) * 8, -(-size.height // 8) * 8), STRIP_COLUMNS)


def cut_corners(grids: Sequence[GridRow]) -> list[Cutout]:
    """Return the positions of the grids' corners."""
    sizes = []
    for grid in grids:
        (rows, columns), size = corner_cells(grid), cell_size(grid)
        sizes.append(Size(columns * size.width, rows * size.height))
    return lay_out(sizes, largest(sizes), CELL_COLUMNS)


def cut_cells(grids: Sequence[GridRow]) -> list[Cutout]:
    """Return the positions of one cell of each grid."""
    sizes = [cell_size(grid) for grid in grids]
    return lay_out(sizes, largest(sizes), CELL_COLUMNS)


# A strip of 16 takes some 40 ms, which is the wait for the first look at it.
STRIP_FRAMES = 16
CELL_FRAMES = 200
# Raised when sheets are drawn in another way, because then they need other addresses.
VERSION = 1
_PRIME = 2**44 - 17


def digest_of(files: Sequence[str]) -> str:
    """Return a digest of these sha256 in their order, simple enough for a script without a library."""
    digest = VERSION
    for sha256 in files:
        digest = (digest * 31 + int(sha256[:12], 16)) % _PRIME
    return f"{digest:x}"


def name_sheet(grids: Sequence[GridRow]) -> str:
    """Return the part of a sheet's address that names its members: first and last iteration, count, digest."""
    digest = digest_of([grid.sha256 for grid in grids])
    return f"{grids[0].iteration}-{grids[-1].iteration}-{len(grids)}-{digest}"


def evenly_spaced(count: int, most: int) -> list[int]:
    """Return at most `most` indices from the first to the last of `count`, evenly spread."""
    if count <= most:
        return list(range(count))
    return sorted({round(step * (count - 1) / (most - 1)) for step in range(most)})


def spread(count: int, most: int) -> list[int]:
    """Return at most `most` indices, evenly spread; fewer, down to half, where all steps are then equal."""
    even = (shown for shown in range(most, most // 2, -1) if (count - 1) % (shown - 1) == 0)
    return evenly_spaced(count, next(even, most) if count > most else most)


def choose(grids: Sequence[GridRow], most: int) -> list[GridRow]:
    """Return at most so many grids, evenly spread, the first and the last among them."""
    return [grids[index] for index in evenly_spaced(len(grids), most)]


def alike(grids: Sequence[GridRow], wanted: GridRow) -> list[GridRow]:
    """Return the grids whose cells are of the same latents as the wanted grid's, in the same places."""
    return [grid for grid in grids if grid.layout == wanted.layout]
