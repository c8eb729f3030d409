"""A GIF, frame by frame: Pillow would hold all of them at once."""

import io
import struct
from typing import BinaryIO

from PIL import Image

from dashboard.figures.frames import Frames

_EXTENSION, _COMMENT, _CONTROL, _IMAGE, _TRAILER = b"!", b"\xfe", b"\xf9", b",", b";"
_TABLE_FLAG = 0x80


def write_gif(frames: Frames, fps: float, comment: str, out: BinaryIO) -> None:
    """Write an endless GIF. Each frame brings its own palette."""
    out.write(b"GIF89a" + struct.pack("<HHBBB", *frames.size, 0x70, 0, 0))
    out.write(_EXTENSION + b"\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")
    out.write(_EXTENSION + _COMMENT + _to_blocks(comment.encode()))
    shown = 0
    for number, frame in enumerate(frames.with_palettes(), 1):
        # A GIF counts in hundredths of a second; what is rounded off one frame goes to the next.
        ends = round(100 * number / fps)
        out.write(_EXTENSION + _CONTROL + struct.pack("<BBHBB", 4, 0, ends - shown, 0, 0))
        out.write(_encode(frame))
        shown = ends
    out.write(_TRAILER)


def _encode(frame: Image.Image) -> bytes:
    """Return the frame as an image block with its own colours, cut out of a GIF of one frame."""
    file = io.BytesIO()
    frame.save(file, "GIF", interlace=0, optimize=False)
    data = file.getvalue()
    size_code = data[10] & 7
    colours_end = 13 + 3 * 2 ** (size_code + 1)
    start = _skip_extensions(data, colours_end)
    descriptor = bytearray(data[start : start + 10])
    if descriptor[9] & _TABLE_FLAG:
        return data[start:-1]
    descriptor[9] |= _TABLE_FLAG | size_code
    return bytes(descriptor) + data[13:colours_end] + data[start + 10 : -1]


def _skip_extensions(data: bytes, start: int) -> int:
    while data[start : start + 1] == _EXTENSION:
        start += 2
        while data[start]:
            start += 1 + data[start]
        start += 1
    if data[start : start + 1] != _IMAGE:
        raise ValueError("Pillow wrote another GIF than expected")
    return start


def _to_blocks(data: bytes) -> bytes:
    parts = [data[start : start + 255] for start in range(0, len(data), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"
