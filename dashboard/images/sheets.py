"""Sheets: grids, or a cell of each, drawn side by side into one image. Importing this module loads Pillow."""

import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from api.png import MAX_PNG_BYTES
from api.queries.timeline import GridRow
from api.storage import Blobs
from dashboard.images.darkroom import Sheet
from dashboard.images.decoding import UnreadableImage, decode_png
from dashboard.images.selection import (
    CELL_COLUMNS,
    STRIP_COLUMNS,
    Size,
    cell_size,
    corner_cells,
    largest,
    strip_tile,
    thumbnail_size,
)

logger = logging.getLogger(__name__)

# Measured on grids of noisy CIFAR-10: a tenth of PNG's time and a fifth of its bytes; WebP takes ten times as long
# for a fifth less. Full colour resolution, because a cell of a thumbnail is a few pixels wide.
_JPEG = {"quality": 80, "subsampling": 0}


@dataclass(frozen=True)
class Cut:
    """What a sheet takes from a grid, in its pixels, and the size at which it is shown."""

    box: tuple[int, int, int, int]
    size: Size


def draw_strip(blobs: Blobs, grids: Sequence[GridRow]) -> Sheet:
    """Draw thumbnails of these grids as a JPEG."""
    cuts = [Cut((0, 0, grid.width, grid.height), thumbnail_size(grid)) for grid in grids]
    sheet, is_whole = _paste(blobs, grids, cuts, strip_tile(grids), STRIP_COLUMNS)
    return Sheet(_write(sheet, "JPEG", **_JPEG), "image/jpeg", is_whole)


def draw_corners(blobs: Blobs, grids: Sequence[GridRow]) -> Sheet:
    """Draw the upper left corner of each of these grids as a PNG."""
    return _draw_cuts(blobs, grids, [_cut(grid, 0, 0, *corner_cells(grid)) for grid in grids])


def draw_cells(blobs: Blobs, grids: Sequence[GridRow], row: int, column: int) -> Sheet:
    """Draw one cell of each of these grids as a PNG; row and column count from 0."""
    return _draw_cuts(blobs, grids, [_cut(grid, row, column, 1, 1) for grid in grids])


def _cut(grid: GridRow, row: int, column: int, down: int, across: int) -> Cut:
    left, top = column * grid.cell_width, row * grid.cell_height
    size = cell_size(grid)
    box = (left, top, left + across * grid.cell_width, top + down * grid.cell_height)
    return Cut(box, Size(size.width * across, size.height * down))


def _draw_cuts(blobs: Blobs, grids: Sequence[GridRow], cuts: Sequence[Cut]) -> Sheet:
    sheet, is_whole = _paste(blobs, grids, cuts, largest([cut.size for cut in cuts]), CELL_COLUMNS)
    return Sheet(_write(sheet, "PNG", compress_level=3), "image/png", is_whole)


def _paste(
    blobs: Blobs, grids: Sequence[GridRow], cuts: Sequence[Cut], tile: Size, most_columns: int
) -> tuple[Image.Image, bool]:
    columns = min(most_columns, len(grids))
    sheet = Image.new("L", (columns * tile.width, -(-len(grids) // columns) * tile.height))
    is_whole = True
    for place, (cut, image) in enumerate(zip(cuts, _read_images(blobs, grids), strict=True)):
        if image is None:
            is_whole = False
            continue
        if image.mode != "L" and sheet.mode == "L":
            sheet = sheet.convert(image.mode)
        # By areas, so that of every pixel a part is seen and cells stay apart.
        piece = image.crop(cut.box).resize((cut.size.width, cut.size.height), Image.Resampling.BOX)
        sheet.paste(piece, (place % columns * tile.width, place // columns * tile.height))
    return sheet, is_whole


def _read_images(blobs: Blobs, grids: Sequence[GridRow]) -> Iterator[Image.Image | None]:
    """Decode one file after the other, so that never more than one of them is in memory."""
    for grid in grids:
        try:
            with blobs.open(grid.sha256) as file:
                yield decode_png(file.read(MAX_PNG_BYTES + 1))
        except (FileNotFoundError, UnreadableImage) as error:
            logger.warning("The grid %s cannot be shown: %s", grid.sha256, error)
            yield None


def _write(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
