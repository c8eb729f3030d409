"""Writes the event files of this folder.

Needs torch, tensorboard 2.21 and tensorboardX 2.6: `python make_tensorboard.py`. The tests need none of the three.
"""

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tensorboardX
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto
from torch.utils.tensorboard import SummaryWriter

HERE = Path(__file__).parent / "tensorboard"
STEPS = range(0, 1000, 100)
random = np.random.default_rng(7)


def draw(step: int, cells: int = 1) -> np.ndarray[Any, Any]:
    """Return uint8 images (cells, H, W, 3) that differ from step to step."""
    return np.random.default_rng(step).integers(0, 256, (cells, 8, 8, 3), dtype=np.uint8)


def write_with(writer: Any) -> None:
    """Log with the common interface of torch.utils.tensorboard and tensorboardX."""
    writer.add_text("notes", "Hinge loss, *batch* 64.", 0)
    for step in STEPS:
        writer.add_scalar("Loss/D(x)", 1 / (step + 3), step, walltime=1.7e9 + step)
        writer.add_scalar("loss_G", math.exp(-step / 300), step, walltime=1.7e9 + step)
        writer.add_image("samples", draw(step)[0], step, dataformats="HWC", walltime=1.7e9 + step)
    writer.add_scalar("not finite", math.nan, 1)
    writer.add_scalar("not finite", math.inf, 2)
    writer.add_scalar("not finite", -math.inf, 3)
    writer.add_histogram("weights", random.normal(size=2000), 500)
    writer.add_image("real", draw(1)[0], 900, dataformats="HWC")
    writer.add_scalars("score", {"real": 0.75, "fake": 0.25}, 900)
    writer.add_hparams({"lr": 2e-4, "loss": "hinge", "augment": True, "seed": 7}, {"best/fid": 12.5})
    writer.close()


def write_tensors(folder: Path) -> None:
    """Log tensors, as TensorFlow 2 does: scalars of 32 and 64 bits, several images in one step, histograms."""
    writer = EventFileWriter(str(folder))

    def add(step: int, value: summary_pb2.Summary.Value) -> None:
        event = event_pb2.Event(wall_time=1.7e9 + step, step=step)
        event.summary.value.append(value)
        writer.add_event(event)

    for step in STEPS:
        add(step, scalar_pb("loss", 1 / (step + 3)).value[0])
        double = summary_pb2.Summary.Value(tag="loss64", tensor=make_tensor_proto(np.float64(1 / (step + 3))))
        double.metadata.plugin_data.plugin_name = "scalars"
        add(step, double)
        pngs = [encode(image) for image in draw(step, 4)]
        images = summary_pb2.Summary.Value(tag="samples", tensor=make_tensor_proto([b"8", b"8", *pngs]))
        images.metadata.plugin_data.plugin_name = "images"
        add(step, images)
    add(500, histogram_pb("weights", random.normal(size=2000)).value[0])
    writer.close()


def encode(image: np.ndarray[Any, Any]) -> bytes:
    """Return a PNG of uint8 pixels (H, W, 3)."""
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    shutil.rmtree(HERE, ignore_errors=True)
    write_with(SummaryWriter(str(HERE / "torch")))
    write_with(tensorboardX.SummaryWriter(str(HERE / "tensorboardX")))
    write_tensors(HERE / "tensors")
