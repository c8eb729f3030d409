"""Pictures of other trackers as PNG: one as it is, several as a grid of cells."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

# Loaded by the functions that need it: a plain install has no Pillow, and says so.
if TYPE_CHECKING:
    from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"
MAX_SIDE, MAX_CELLS, MAX_PIXELS = 4096, 256 * 256, 16_000_000
MAX_BYTES = 8 * 1_048_576


class PictureRefused(ValueError):
    """The picture cannot be a grid; the message says why."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A PNG of rows × columns cells."""

    png: bytes
    rows: int
    columns: int
    cell_width: int
    cell_height: int


def make_grid(images: Sequence[bytes], columns: int | None = None) -> Grid:
    """Return encoded images as one grid, row by row; raises PictureRefused.

    A single PNG stays byte for byte; other pictures keep their pixels. Smaller images lie at the top left of black
    cells. columns: without it the grid is as square as can be, as wide as high or wider.
    """
    if len(images) == 1:
        return _one_cell(images[0])
    from PIL import Image

    pictures = [_decode(image) for image in images]
    width, height = max(each.width for each in pictures), max(each.height for each in pictures)
    columns = min(columns or math.ceil(math.sqrt(len(pictures))), len(pictures))
    rows = math.ceil(len(pictures) / columns)
    _check_size(width, height, rows, columns)
    mode = _common_mode(pictures)
    sheet = Image.new(mode, (columns * width, rows * height))
    for index, picture in enumerate(pictures):
        place = (index % columns * width, index // columns * height)
        sheet.paste(picture if picture.mode == mode else picture.convert(mode), place)
    return Grid(_encode(sheet), rows, columns, width, height)


def _one_cell(image: bytes) -> Grid:
    width, height, png = to_png(image)
    _check_size(width, height, 1, 1)
    return Grid(png, 1, 1, width, height)


def to_png(image: bytes) -> tuple[int, int, bytes]:
    """Return (width, height, PNG) of an encoded image; raises PictureRefused."""
    if is_small_png(image):
        return int.from_bytes(image[16:20], "big"), int.from_bytes(image[20:24], "big"), image
    picture = _decode(image)
    return picture.width, picture.height, _encode(picture)


def is_small_png(image: bytes) -> bool:
    """Return whether this is a PNG with a whole header, no larger than a service takes."""
    return image.startswith(PNG) and image[12:16] == b"IHDR" and 33 < len(image) <= MAX_BYTES and image.endswith(
        b"IEND\xaeB`\x82"
    )  # fmt: skip


def _decode(image: bytes) -> "Image.Image":
    from PIL import Image

    try:
        with Image.open(io.BytesIO(image)) as opened:
            opened.load()
            picture: Image.Image = opened.copy()
    except Exception as error:  # Pillow's plugins raise whatever their parsers do.
        raise PictureRefused(f"it cannot be decoded: {error}") from error
    # Palettes of single pictures stay; a sheet needs one meaning of a pixel.
    return picture.convert("RGBA" if "transparency" in picture.info else "RGB") if picture.mode == "P" else picture


def _common_mode(pictures: Sequence["Image.Image"]) -> str:
    modes = {picture.mode for picture in pictures}
    if len(modes) == 1 and modes <= {"1", "L", "LA", "RGB", "RGBA", "I;16"}:
        return modes.pop()
    return "RGBA" if modes & {"LA", "RGBA", "PA"} else "RGB"


def _check_size(width: int, height: int, rows: int, columns: int) -> None:
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise PictureRefused(
            f"it has {width} × {height} pixels; a cell of a grid has at most {MAX_SIDE:,} each way"
        )
    if rows > 256 or columns > 256 or rows * columns * width * height > MAX_PIXELS:
        raise PictureRefused(f"{rows} × {columns} images of {width} × {height} pixels are more than a grid holds")


def _encode(picture: "Image.Image") -> bytes:
    if picture.mode not in ("1", "L", "LA", "RGB", "RGBA", "P", "I;16"):
        picture = picture.convert("RGB")
    buffer = io.BytesIO()
    # Level 1: thousands of grids are imported at a time, and noise hardly shrinks.
    picture.save(buffer, format="PNG", compress_level=1)
    if buffer.tell() > MAX_BYTES:
        raise PictureRefused(f"it has {buffer.tell():,} bytes; the limit is {MAX_BYTES:,}")
    return buffer.getvalue()
