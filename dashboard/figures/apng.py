"""An animated PNG, frame by frame: lossless, and larger than a GIF or a video."""

import io
import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

from PIL import Image

from dashboard.figures.frames import Frames

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def write_apng(frames: Frames, fps: float, texts: dict[str, str], out: BinaryIO) -> None:
    """Write an endless animation; a viewer that knows no animation shows the first frame.

    texts: what the file says of itself, by keyword.
    """
    delay = (1 / Fraction(fps)).limit_denominator(1000)
    out.write(_SIGNATURE)
    number = 0
    for place, frame in enumerate(frames):
        chunks = list(_read_chunks(frame))
        if place == 0:
            out.write(_chunk(b"IHDR", next(data for kind, data in chunks if kind == b"IHDR")))
            out.write(_chunk(b"acTL", struct.pack(">II", len(frames), 0)))
            for keyword, text in texts.items():
                # International text, uncompressed, of no named language.
                out.write(_chunk(b"iTXt", keyword.encode("ascii") + b"\0\0\0\0\0" + text.encode()))
        control = struct.pack(">IIIIIHHBB", number, *frames.size, 0, 0, delay.numerator, delay.denominator, 0, 0)
        out.write(_chunk(b"fcTL", control))
        number += 1
        for data in (data for kind, data in chunks if kind == b"IDAT"):
            if place == 0:
                out.write(_chunk(b"IDAT", data))
            else:
                out.write(_chunk(b"fdAT", struct.pack(">I", number) + data))
                number += 1
    out.write(_chunk(b"IEND", b""))


def _read_chunks(frame: Image.Image) -> Iterator[tuple[bytes, bytes]]:
    file = io.BytesIO()
    frame.save(file, "PNG")
    data, start = file.getvalue(), len(_SIGNATURE)
    while start < len(data):
        (length,) = struct.unpack(">I", data[start : start + 4])
        yield data[start + 4 : start + 8], data[start + 8 : start + 8 + length]
        start += length + 12


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
