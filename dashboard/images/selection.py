"""Which grids a sheet shows, where each lies on it, and what its address is; static/js/strips.js says the same.

A sheet is one image made of many: thumbnails of consecutive grids, or one cell through the whole timeline. Its
address holds a digest of its members' files, so what an address shows never changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from api.queries.timeline import GridRow

STRIP_COLUMNS = 4
# A strip of 16 is made in some 40 ms, so that the first look at it waits for no more than that.
STRIP_FRAMES = 16
CELL_COLUMNS = 20
CELL_FRAMES = 200
THUMBNAIL_SIDE = 128
# Of a grid's upper left corner: a whole grid would be noise at the size of a stamp.
CORNER_CELLS = 2
LARGEST_CELL = 96
# Drawn otherwise, sheets need other addresses: raise this then.
VERSION = 1
_PRIME = 2**44 - 17


@dataclass(frozen=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int


def digest_of(files: Sequence[str]) -> str:
    """Return a digest of these sha256 in their order, simple enough to be found in a script without a library."""
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


def choose(grids: Sequence[GridRow], most: int) -> list[GridRow]:
    """Return at most so many grids, evenly spread, the first and the last among them."""
    return [grids[index] for index in evenly_spaced(len(grids), most)]


def alike(grids: Sequence[GridRow], wanted: GridRow) -> list[GridRow]:
    """Return the grids whose cells are of the same latents as the wanted grid's, in the same places."""
    return [grid for grid in grids if grid.layout == wanted.layout]


def thumbnail_size(grid: GridRow) -> Size:
    """Return the size of a grid's thumbnail: every cell as large as the next, and none larger than it is."""
    scale = min(1.0, THUMBNAIL_SIDE / max(grid.width, grid.height))
    return Size(
        grid.columns * max(1, int(grid.cell_width * scale)), grid.rows * max(1, int(grid.cell_height * scale))
    )


def strip_tile(grids: Sequence[GridRow]) -> Size:
    """Return the place of one thumbnail on a strip: multiples of 8, so that no JPEG block holds two of them."""
    size = largest([thumbnail_size(grid) for grid in grids])
    return Size(-(-size.width // 8) * 8, -(-size.height // 8) * 8)


def cell_size(grid: GridRow) -> Size:
    """Return the size of one cell on a sheet: as it is, or divided by a whole number where it is large."""
    factor = -(-max(grid.cell_width, grid.cell_height) // LARGEST_CELL)
    return Size(max(1, grid.cell_width // factor), max(1, grid.cell_height // factor))


def corner_cells(grid: GridRow) -> tuple[int, int]:
    """Return how many rows and columns of cells a corner shows."""
    return min(grid.rows, CORNER_CELLS), min(grid.columns, CORNER_CELLS)


def largest(sizes: Sequence[Size]) -> Size:
    """Return the size that holds each of these."""
    return Size(max(size.width for size in sizes), max(size.height for size in sizes))
