"""PNG files as chunks (PNG specification, third edition, section 5), without a drawing library."""

import struct
import zlib
from collections.abc import Iterator, Sequence

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def write_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk: its length, its kind of four letters, its data and their checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def read_chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and data of each chunk of a whole file; checksums are not checked."""
    start = len(SIGNATURE)
    while start < len(png):
        (length,) = struct.unpack(">I", png[start : start + 4])
        yield png[start + 4 : start + 8], png[start + 8 : start + 8 + length]
        start += length + 12


def write_grey_png(rows: Sequence[bytes]) -> bytes:
    """Return rows of equal length, one byte a pixel from black (0) to white (255), as a PNG."""
    # Size, bit depth 8, colour type 0 (grey), and the only methods that there are (section 11.2.1).
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    # Each row begins with its filter, 0: none.
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return SIGNATURE + b"".join(write_chunk(kind, data) for kind, data in chunks)
