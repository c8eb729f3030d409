"""A timeline as a movie: MP4, GIF and APNG."""

import io
import shutil
import struct
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from PIL import Image

from dashboard.charts.png import SIGNATURE, read_chunks, write_chunk
from dashboard.figures.drawing.frames import Frames
from dashboard.figures.drawing.plans import MoviePlan

# Quantiser: below 18 an eye sees no difference.
QUALITY = "14"


def write_mp4(frames: Frames, fps: float, texts: dict[str, str], out: BinaryIO) -> None:
    """Write the video; `frames` must be of even width and height. texts: the file's description, by name."""
    rate = Fraction(fps).limit_denominator(1000)
    # The index can be put in front only where the file can be opened again.
    with tempfile.TemporaryDirectory(prefix="ganvas-") as folder:
        path = Path(folder) / "movie.mp4"
        with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
            for name, text in texts.items():
                container.metadata[name] = text
            stream = container.add_stream("libx264", rate=rate, options=_OPTIONS)
            stream.width, stream.height = frames.size
            stream.pix_fmt = "yuv420p"
            for image in frames:
                container.mux(
                    stream.encode(av.VideoFrame.from_ndarray(np.asarray(image.convert("RGB")), format="rgb24"))
                )
            container.mux(stream.encode())
        with path.open("rb") as file:
            shutil.copyfileobj(file, out)


# One thread: the same bytes on every machine.
_OPTIONS = {"crf": QUALITY, "preset": "medium", "threads": "1", "tune": "animation"}


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


def write_apng(frames: Frames, fps: float, texts: dict[str, str], out: BinaryIO) -> None:
    """Write an endless animation; a viewer that knows no animation shows the first frame.

    texts: the file's description, by keyword.
    """
    delay = (1 / Fraction(fps)).limit_denominator(1000)
    out.write(SIGNATURE)
    number = 0
    for index, frame in enumerate(frames):
        chunks = list(read_chunks(_to_png(frame)))
        if index == 0:
            out.write(write_chunk(b"IHDR", next(data for kind, data in chunks if kind == b"IHDR")))
            out.write(write_chunk(b"acTL", struct.pack(">II", len(frames), 0)))
            for keyword, text in texts.items():
                # International text, uncompressed, of no named language.
                out.write(write_chunk(b"iTXt", keyword.encode("ascii") + b"\0\0\0\0\0" + text.encode()))
        control = struct.pack(">IIIIIHHBB", number, *frames.size, 0, 0, delay.numerator, delay.denominator, 0, 0)
        out.write(write_chunk(b"fcTL", control))
        number += 1
        for data in (data for kind, data in chunks if kind == b"IDAT"):
            if index == 0:
                out.write(write_chunk(b"IDAT", data))
            else:
                out.write(write_chunk(b"fdAT", struct.pack(">I", number) + data))
                number += 1
    out.write(write_chunk(b"IEND", b""))


def _to_png(frame: Image.Image) -> bytes:
    file = io.BytesIO()
    frame.save(file, "PNG")
    return file.getvalue()


def write_movie(plan: MoviePlan, files: Sequence[bytes], out: BinaryIO) -> None:
    """Write the movie; frames are made and written one after the other. Raises FigureRefusal."""
    frames = Frames(plan, files, is_even=plan.form == "mp4")
    about = plan.about
    match plan.form:
        case "gif":
            write_gif(frames, plan.fps, about.description, out)
        case "png":
            texts = {"Title": about.title, "Description": about.description, "Software": about.software}
            write_apng(frames, plan.fps, texts, out)
        case "mp4":
            write_mp4(frames, plan.fps, {"title": about.title, "comment": about.description}, out)
