"""Grey pictures as PNG, written by hand: the dashboard loads no imaging library."""

import struct
import zlib
from collections.abc import Sequence

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def write_grey_png(rows: Sequence[bytes]) -> bytes:
    """Return rows of equal length, one byte a pixel from black (0) to white (255), as a PNG."""
    # Size, bit depth 8, colour type 0 (grey), and the only methods that there are (PNG specification, 11.2.2).
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    # Each row begins with its filter, 0: none.
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
