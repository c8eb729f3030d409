"""Cells, grids of them, and PNG, with the standard library alone, or with NumPy where the process has it.

NumPy and zlib work without the interpreter's lock, so that the loop goes on beside the writer's thread. PNG is
ISO/IEC 15948; what is written here is also read again.
"""

import struct
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from ganlib.errors import GanlibError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Colour type by channels: grey, RGB, RGBA.
COLOURS = {1: 0, 3: 2, 4: 6}
# Larger pictures are compressed less, so that a grid is on the disk within a tenth of a second.
_LARGE_BYTES = 2 * 1024 * 1024
_GLANCE = 4096


class PngUnreadable(GanlibError):
    """The bytes are no PNG of this module."""

    code = "png_unreadable"


@dataclass(frozen=True)
class Cells:
    """Pictures of one size: `content` holds count × height × width × channels bytes."""

    count: int
    height: int
    width: int
    channels: int
    content: bytes

    @property
    def size(self) -> int:
        """Bytes of one picture."""
        return self.height * self.width * self.channels

    @property
    def is_plain(self) -> bool:
        """Whether all bytes are equal."""
        content, first = self.content, self.content[:1]
        return all(len(part) == part.count(first) for part in (content[:_GLANCE], content))

    def pick(self, indices: Sequence[int]) -> "Cells":
        """Return the pictures of these indices."""
        if list(indices) == list(range(self.count)):
            return self
        parts = [self.content[index * self.size : (index + 1) * self.size] for index in indices]
        return Cells(len(parts), self.height, self.width, self.channels, b"".join(parts))


def lay_out(cells: Cells, rows: int, columns: int) -> Cells:
    """Return one picture of the cells, row by row without gaps; places that are left over are black."""
    content = cells.content + bytes((rows * columns - cells.count) * cells.size)
    height, width, channels = rows * cells.height, columns * cells.width, cells.channels
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        shape = (rows, columns, cells.height, cells.width * channels)
        laid = numpy.frombuffer(content, numpy.uint8).reshape(shape).transpose(0, 2, 1, 3)
        return Cells(1, height, width, channels, numpy.ascontiguousarray(laid).tobytes())
    stride, size = cells.width * channels, cells.size
    lines = [
        content[cell * size + line : cell * size + line + stride]
        for row in range(rows)
        for line in range(0, size, stride)
        for cell in range(row * columns, (row + 1) * columns)
    ]
    return Cells(1, height, width, channels, b"".join(lines))


def cut(grid: Cells, rows: int, columns: int, gap: int = 0) -> Cells:
    """Cut one picture into its cells, row by row; `gap` pixels lie around and between them."""
    height, width = (grid.height - gap) // rows - gap, (grid.width - gap) // columns - gap
    stride, cell_stride = grid.width * grid.channels, width * grid.channels
    lines = []
    for row in range(rows):
        for column in range(columns):
            top, left = gap + row * (height + gap), (gap + column * (width + gap)) * grid.channels
            starts = (line * stride + left for line in range(top, top + height))
            lines += [grid.content[start : start + cell_stride] for start in starts]
    return Cells(rows * columns, height, width, grid.channels, b"".join(lines))


def encode_png(picture: Cells) -> bytes:
    """Return one picture as PNG, 8 bits a channel."""
    raw = _add_filters(picture)
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, COLOURS[picture.channels], 0, 0, 0)
    packed = zlib.compress(raw, 1 if len(raw) > _LARGE_BYTES else 6)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def decode_png(content: bytes) -> Cells:
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
    return Cells(1, height, width, channels, b"".join(lines))


def _add_filters(picture: Cells) -> bytes:
    """Return the picture's lines, each with the byte before it that says that it is not filtered."""
    stride = picture.width * picture.channels
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        raw = numpy.zeros((picture.height, stride + 1), numpy.uint8)
        raw[:, 1:] = numpy.frombuffer(picture.content, numpy.uint8).reshape(picture.height, stride)
        return bytes(raw.tobytes())
    lines = (picture.content[start : start + stride] for start in range(0, len(picture.content), stride))
    return b"".join(part for line in lines for part in (b"\0", line))


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)))
