"""PNG with the standard library alone: what a run writes, and reads again (ISO/IEC 15948)."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from ganlib.errors import GanlibError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Colour type by channels: grey, RGB, RGBA.
COLOURS = {1: 0, 3: 2, 4: 6}
# Larger pictures are compressed less, so that a grid is on the disk within a tenth of a second.
_LARGE_BYTES = 2 * 1024 * 1024


class PngUnreadable(GanlibError):
    """The bytes are no PNG of this module."""

    code = "png_unreadable"


@dataclass(frozen=True)
class Pixels:
    """One picture: `content` holds height × width × channels bytes, row by row."""

    height: int
    width: int
    channels: int
    content: bytes


def lay_out(cells: Sequence[Pixels], rows: int, columns: int) -> Pixels:
    """Lay cells of one size out row by row without gaps; places that are left over are black."""
    height, stride = cells[0].height, cells[0].width * cells[0].channels
    blank = bytes(height * stride)
    contents = [cell.content for cell in cells] + [blank] * (rows * columns - len(cells))
    lines = [
        content[line * stride : (line + 1) * stride]
        for row in range(rows)
        for line in range(height)
        for content in contents[row * columns : (row + 1) * columns]
    ]
    return Pixels(rows * height, columns * cells[0].width, cells[0].channels, b"".join(lines))


def cut(grid: Pixels, rows: int, columns: int, gap: int = 0) -> list[Pixels]:
    """Cut a grid into its cells, row by row; `gap` pixels lie around and between them."""
    height, width = (grid.height - gap) // rows - gap, (grid.width - gap) // columns - gap
    stride, cell_stride = grid.width * grid.channels, width * grid.channels
    cells = []
    for row in range(rows):
        for column in range(columns):
            top, left = gap + row * (height + gap), (gap + column * (width + gap)) * grid.channels
            starts = (line * stride + left for line in range(top, top + height))
            lines = [grid.content[start : start + cell_stride] for start in starts]
            cells.append(Pixels(height, width, grid.channels, b"".join(lines)))
    return cells


def encode_png(pixels: Pixels) -> bytes:
    """Return the picture as PNG, 8 bits a channel."""
    stride = pixels.width * pixels.channels
    lines = (pixels.content[start : start + stride] for start in range(0, len(pixels.content), stride))
    raw = b"".join(part for line in lines for part in (b"\0", line))
    header = struct.pack(">IIBBBBB", pixels.width, pixels.height, 8, COLOURS[pixels.channels], 0, 0, 0)
    packed = zlib.compress(raw, 1 if len(raw) > _LARGE_BYTES else 6)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def decode_png(content: bytes) -> Pixels:
    """Read what `encode_png` wrote; raises PngUnreadable for any other PNG."""
    try:
        width, height, depth, colour = struct.unpack_from(">IIBB", content, 16)
        channels = {colour: channels for channels, colour in COLOURS.items()}[colour]
        length = struct.unpack_from(">I", content, 33)[0]
        is_ours = content.startswith(_SIGNATURE) and depth == 8 and content[37:41] == b"IDAT"
        raw = zlib.decompress(content[41 : 41 + length])
    except (struct.error, KeyError, zlib.error) as error:
        raise PngUnreadable(f"This is no PNG of a run: {error}") from None
    stride = width * channels + 1
    if not is_ours or len(raw) != height * stride or any(raw[::stride]):
        raise PngUnreadable("This is no PNG of a run.")
    lines = [raw[start + 1 : start + stride] for start in range(0, len(raw), stride)]
    return Pixels(height, width, channels, b"".join(lines))


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
