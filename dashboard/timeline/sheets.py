"""Sheets: grids, or a cell of each, drawn side by side into one image. Importing this module loads Pillow."""

import io
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image

from api.artifacts.png import MAX_PNG_BYTES, MAX_PNG_PIXELS, check_png_header
from api.artifacts.storage import HEAD_BYTES, Blobs
from api.errors import ArtifactRefused
from api.samples.queries import GridRow
from dashboard.timeline.sheet_cache import Sheet
from dashboard.timeline.sheet_layout import Cutout, corner_cells, cut_cells, cut_corners, cut_strip

# Pillow refuses images twice as large; images between are refused here.
Image.MAX_IMAGE_PIXELS = MAX_PNG_PIXELS
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class UnreadableImage(ValueError):
    """A stored file is no whole PNG, or a larger one than may be stored."""


def decode_png(data: bytes) -> Image.Image:
    """Return the pixels of a PNG, as L or RGB; raises UnreadableImage. No other format is ever decoded."""
    if len(data) > MAX_PNG_BYTES:
        raise UnreadableImage("The file is larger than a stored image may be.")
    try:
        check_png_header(data[:HEAD_BYTES])
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            # A second header may give another size than the first one, which was checked.
            if image.width * image.height > MAX_PNG_PIXELS:
                raise UnreadableImage("The image has more pixels than may be stored.")
            return image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
    except (ArtifactRefused, OSError, SyntaxError, ValueError, *_BOMBS) as error:
        raise UnreadableImage("The file is no whole PNG.") from error


logger = logging.getLogger(__name__)

# Measured on grids of noisy CIFAR-10: a tenth of PNG's time and a fifth of its bytes; WebP takes ten times as long
# for a fifth less. Full colour resolution, because a cell of a thumbnail is a few pixels wide.
_JPEG = {"quality": 80, "subsampling": 0}
_PNG = {"compress_level": 3}

Box = tuple[int, int, int, int]


def draw_strip(blobs: Blobs, grids: Sequence[GridRow]) -> Sheet:
    """Draw thumbnails of these grids as a JPEG."""
    boxes = [(0, 0, grid.width, grid.height) for grid in grids]
    sheet, is_whole = _paste(blobs, grids, boxes, cut_strip(grids))
    return Sheet(_write(sheet, "JPEG", **_JPEG), "image/jpeg", is_whole)


def draw_corners(blobs: Blobs, grids: Sequence[GridRow]) -> Sheet:
    """Draw the upper left corner of each of these grids as a PNG."""
    boxes = [_box(grid, 0, 0, *corner_cells(grid)) for grid in grids]
    sheet, is_whole = _paste(blobs, grids, boxes, cut_corners(grids))
    return Sheet(_write(sheet, "PNG", **_PNG), "image/png", is_whole)


def draw_cells(blobs: Blobs, grids: Sequence[GridRow], row: int, column: int) -> Sheet:
    """Draw one cell of each of these grids as a PNG; row and column count from 0."""
    boxes = [_box(grid, row, column) for grid in grids]
    sheet, is_whole = _paste(blobs, grids, boxes, cut_cells(grids))
    return Sheet(_write(sheet, "PNG", **_PNG), "image/png", is_whole)


def _box(grid: GridRow, row: int, column: int, rows: int = 1, columns: int = 1) -> Box:
    left, top = column * grid.cell_width, row * grid.cell_height
    return left, top, left + columns * grid.cell_width, top + rows * grid.cell_height


def _paste(
    blobs: Blobs, grids: Sequence[GridRow], boxes: Sequence[Box], cutouts: Sequence[Cutout]
) -> tuple[Image.Image, bool]:
    """Return the sheet, and whether every grid could be read."""
    sheet = Image.new("L", (cutouts[0].sheet.width, cutouts[0].sheet.height))
    is_whole = True
    for grid, box, cutout, image in zip(grids, boxes, cutouts, _read_images(blobs, grids), strict=True):
        if image is None:
            is_whole = False
            continue
        if image.mode != "L" and sheet.mode == "L":
            sheet = sheet.convert(image.mode)
        if box[2] > image.width or box[3] > image.height:
            # What an event says about its file may be wrong; to cut out what is not there would take its memory.
            logger.warning("The grid of iteration %d is smaller than its event says.", grid.iteration)
            is_whole = False
            continue
        # Averaged by area, so that every pixel counts and cells stay apart.
        piece = image.crop(box).resize((cutout.size.width, cutout.size.height), Image.Resampling.BOX)
        sheet.paste(piece, (cutout.left, cutout.top))
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
