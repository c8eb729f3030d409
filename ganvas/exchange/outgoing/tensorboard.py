"""A run as one of TensorBoard's event files."""

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

from ganvas.exchange.incoming.event_files import classes, mask
from ganvas.exchange.outgoing.folders import whole_folder
from ganvas.exchange.outgoing.runs import ExportedRun, is_picture_of_series, series_of

SAMPLES = "samples"


def write_tensorboard(run: ExportedRun, home: Path) -> Path:
    """Write an event file, and files/ where they are asked for; returns the run's folder.

    Scalars are tensors of 32 bits where these hold the value, else of 64, and are read back as they are. Sample
    grids are the images `samples`, other pictures those of their series, settings are hyperparameters.
    A scalar has the time at which it was logged, all else that at which the run began.
    """
    with whole_folder(home / run.folder_name, run.job.id, "tensorboard") as folder:
        seconds = int(run.began_at.timestamp())
        with (folder / f"events.out.tfevents.{seconds}.ganvas.{run.job.id}").open("wb") as file:
            _write_events(run, file)
        if run.with_files:
            run.files = [each for each in run.files if not is_picture_of_series(each)]
            run.save_files(folder / "files")
    return home / run.folder_name


def _write_events(run: ExportedRun, file: BinaryIO) -> None:
    wall_time = run.began_at.timestamp()
    write_record(file, classes().Event(wall_time=wall_time, file_version="brain.Event:2"))
    for step, value, at in _make_values(run):
        event = classes().Event(wall_time=at or wall_time, step=step)
        event.summary.value.append(value)
        write_record(file, event)


def write_record(file: BinaryIO, message: Any) -> None:
    """Write a message as a TFRecord."""
    content: bytes = message.SerializeToString()
    length = struct.pack("<Q", len(content))
    file.write(length + struct.pack("<I", mask(length)) + content + struct.pack("<I", mask(content)))


def _make_values(run: ExportedRun) -> Iterator[tuple[int, Any, float | None]]:
    """Yield the step, the value and, where it is known, its time."""
    yield from ((0, value, None) for value in _make_settings(run))
    for tag, step, number, at in run.points():
        yield step, _make_scalar(tag, number), at.timestamp()
    for name, histograms in run.histograms.items():
        for histogram in histograms:
            yield histogram.iteration, _make_histogram(name, histogram), None
    for sample in run.samples:
        size = (sample.columns * sample.cell_width, sample.rows * sample.cell_height)
        yield sample.iteration, _make_image(SAMPLES, run.read(sample.sha256), size), None
    for file in run.files:
        if is_picture_of_series(file):
            png = run.read(file.sha256)
            size = (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big"))
            yield file.iteration, _make_image(series_of(file), png, size), None


@cache
def _writing() -> Any:
    from tensorboard.compat.proto import summary_pb2
    from tensorboard.plugins.hparams import summary_v2 as hparams
    from tensorboard.plugins.text.summary_v2 import text_pb

    return SimpleNamespace(
        Value=summary_pb2.Summary.Value,
        scalar=summary_pb2.DATA_CLASS_SCALAR,
        hparams=hparams.hparams_pb,
        text=text_pb,
    )


def _make_settings(run: ExportedRun) -> Iterator[Any]:
    settings = {
        name: value if isinstance(value, (bool, int, float, str)) else str(value)
        for name, value in flatten(run.config).items()
        if value is not None
    }
    if settings:
        yield from (
            _writing().hparams(settings, trial_id=run.job.id, start_time_secs=run.began_at.timestamp()).value
        )
    if run.job.note:
        yield from _writing().text("note", run.job.note).value


def flatten(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by their dotted names."""
    flat: dict[str, Any] = {}
    for name, part in value.items():
        if isinstance(part, dict) and part:
            flat |= flatten(part, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = part
    return flat


def _make_scalar(tag: str, number: float) -> Any:
    value = _writing().Value(tag=tag)
    value.metadata.plugin_data.plugin_name = "scalars"
    value.metadata.data_class = _writing().scalar
    value.tensor.tensor_shape.SetInParent()
    if number != number or _as_single(number) == number:
        value.tensor.dtype = 1
        value.tensor.float_val.append(number)
    else:
        value.tensor.dtype = 2
        value.tensor.double_val.append(number)
    return value


def _as_single(number: float) -> float | None:
    try:
        return float(struct.unpack("<f", struct.pack("<f", number))[0])
    except OverflowError:
        return None


def _make_histogram(name: str, histogram: Any) -> Any:
    value = _writing().Value(tag=name)
    width = (histogram.high - histogram.low) / len(histogram.counts)
    limits = [histogram.low + width * (index + 1) for index in range(len(histogram.counts))]
    limits[-1] = histogram.high
    value.histo.min, value.histo.max = histogram.low, histogram.high
    value.histo.num = sum(histogram.counts)
    value.histo.bucket_limit.extend(limits)
    value.histo.bucket.extend(histogram.counts)
    return value


def _make_image(tag: str, png: bytes, size: tuple[int, int]) -> Any:
    value = _writing().Value(tag=tag)
    value.image.width, value.image.height = size
    # Colour type of the PNG's header: grey, RGB, palette, grey with alpha, RGBA.
    value.image.colorspace = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(png[25], 3)
    value.image.encoded_image_string = png
    return value
