"""An MP4 that slides and browsers play: H.264 in yuv420p, its index in front."""

import shutil
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from dashboard.figures.frames import Frames

# Quantiser: below 18 an eye sees no difference.
QUALITY = "14"


def write_mp4(frames: Frames, fps: float, texts: dict[str, str], out: BinaryIO) -> None:
    """Write the video; `frames` must be of even width and height. texts: what the file says of itself."""
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
