"""TensorBoard's event files: the framing of their records, and what each record holds.

Records are parsed by tensorboard's own protobuf classes. The framing (a length, its checksum, the bytes, their
checksum: TFRecord) is read here, because tensorboard's reader ends at the first damaged record, and computes its
checksums in Python: a minute for a gigabyte of pictures becomes half an hour.
"""

import struct
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ganvas.exchange.histograms import rebin
from ganvas.exchange.records import Attachment, Distribution, Line, Losses, Pictures, Points, Record

_HEAD = struct.Struct("<QI")
_MAX_RECORD = 2**31
_GIF = (b"GIF87a", b"GIF89a")
# What tensorboard knows and a run of Ganvas has no place for.
_LEFT_OUT = {
    "pr_curves",
    "mesh",
    "custom_scalars",
    "graphs",
    "graph_run_metadata",
    "graph_keras_model",
    "projector",
}


@cache
def classes() -> Any:
    """Return what the extra brings: checksum(bytes), Event, HParamsPluginData, to_array(TensorProto)."""
    with warnings.catch_warnings():
        # Of its own use of older libraries.
        warnings.simplefilter("ignore")
        import google_crc32c
        from tensorboard.compat.proto import event_pb2
        from tensorboard.plugins.hparams import plugin_data_pb2
        from tensorboard.util import tensor_util
    return SimpleNamespace(
        checksum=google_crc32c.value,
        Event=event_pb2.Event,
        HParamsPluginData=plugin_data_pb2.HParamsPluginData,
        to_array=tensor_util.make_ndarray,
    )


def read_records(path: Path, losses: Losses) -> Iterator[bytes]:
    """Yield the records of a file; a damaged one is counted and left out, and so is one that is cut off."""
    where = path.name
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            offset = file.tell() - len(head)
            if len(head) < _HEAD.size:
                losses.add("records that are cut off at the end of a file", f"{where} at byte {offset:,}")
                return
            length, checksum = _HEAD.unpack(head)
            if mask(head[:8]) != checksum or length > _MAX_RECORD:
                # Without a length nothing tells where the next record begins.
                losses.add("damaged rests of files", f"{where} from byte {offset:,}")
                return
            content, end = file.read(length), file.read(4)
            if len(end) < 4:
                losses.add("records that are cut off at the end of a file", f"{where} at byte {offset:,}")
                return
            if mask(content) != int.from_bytes(end, "little"):
                losses.add("damaged records", f"{where} at byte {offset:,}")
                continue
            yield content


def mask(content: bytes) -> int:
    """Return TFRecord's checksum: CRC-32C, rotated and shifted."""
    value: int = classes().checksum(content)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read_events(path: Path, losses: Losses) -> Iterator[Any]:
    """Yield the Event messages of a file."""
    parse = classes().Event.FromString
    for number, content in enumerate(read_records(path, losses)):
        try:
            event = parse(content)
        except Exception as error:  # protobuf's DecodeError, whose module differs between its versions.
            losses.add("records that are no events", f"{path.name}, record {number}: {error}")
            continue
        yield event


class ValueReader:
    """Turns the values of one run's events into records; it remembers which plugin a tag belongs to."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        # TensorFlow 2 names the plugin with a tag's first value only.
        self._plugins: dict[str, str] = {}
        self.config: dict[str, Any] = {}
        self.status: int | None = None

    def plugin(self, value: Any) -> str:
        """Return the kind of a value: scalars, images, histograms, text, audio, hparams, or another plugin."""
        named = value.metadata.plugin_data.plugin_name
        if named:
            self._plugins.setdefault(value.tag, named)
        kinds = {"simple_value": "scalars", "image": "images", "histo": "histograms", "audio": "audio"}
        held = value.WhichOneof("value")
        if held in kinds:
            return kinds[held]
        known = self._plugins.get(value.tag, "")
        # TensorFlow's examples write single floats as tensors without any plugin.
        is_number = held == "tensor" and not known and value.tensor.dtype in (1, 2, 3, 9)
        return "scalars" if is_number else known

    def read(self, event: Any, value: Any) -> Iterator[Record]:
        """Yield what a value of an event holds."""
        plugin = self.plugin(value)
        if plugin == "hparams":
            self._read_hparams(value)
            return
        if plugin in _LEFT_OUT:
            self._losses.add(f"values of the plugin {plugin}", value.tag)
            return
        try:
            read = {
                "scalars": self._read_scalar, "images": self._read_images, "histograms": self._read_histogram,
                "text": self._read_text, "audio": self._read_audio,
            }[plugin]  # fmt: skip
        except KeyError:
            self._losses.add("values of an unknown kind", value.tag)
            return
        try:
            found = read(event, value)
        except (ValueError, TypeError, IndexError, KeyError) as error:
            self._losses.add("values that cannot be read", f"{value.tag} at step {event.step}: {error}")
            return
        if found is not None:
            yield found

    def _read_scalar(self, event: Any, value: Any) -> Record:
        if value.HasField("simple_value"):
            number = value.simple_value
        else:
            number = classes().to_array(value.tensor).reshape(-1)
            if len(number) != 1:
                raise ValueError(f"a scalar of {len(number)} numbers")
            number = number[0]
        return Points(event.step, {value.tag: float(number)}, event.wall_time)

    def _read_images(self, event: Any, value: Any) -> Record:
        if value.HasField("image"):
            images = (value.image.encoded_image_string,)
        else:
            # Width and height as texts, then the images.
            images = tuple(value.tensor.string_val[2:])
        if not images:
            raise ValueError("no image in it")
        if len(images) == 1 and images[0].startswith(_GIF):
            return Attachment(
                f"videos/{value.tag}/{event.step:08d}.gif", event.step, images[0], "image/gif", event.wall_time
            )
        return Pictures(value.tag, event.step, images, event.wall_time)

    def _read_histogram(self, event: Any, value: Any) -> Record | None:
        if value.HasField("histo"):
            histo = value.histo
            limits = [min(max(limit, histo.min), histo.max) for limit in histo.bucket_limit]
            edges = list(zip([histo.min, *limits], limits, strict=False))
            counts = list(histo.bucket)[: len(edges)]
        else:
            rows = classes().to_array(value.tensor).reshape(-1, 3).tolist()
            edges, counts = [(left, right) for left, right, _ in rows], [count for *_, count in rows]
        histogram = rebin(edges, counts)
        if histogram is None:
            raise ValueError("an empty histogram")
        return Distribution(value.tag, event.step, histogram, event.wall_time)

    def _read_text(self, event: Any, value: Any) -> Record:
        texts = [text.decode(errors="replace") for text in value.tensor.string_val]
        tag = value.tag.removesuffix("/text_summary")
        return Line(event.step, f"{tag}: " + "\n".join(texts), event.wall_time)

    def _read_audio(self, event: Any, value: Any) -> Record:
        sound = value.audio.encoded_audio_string if value.HasField("audio") else value.tensor.string_val[0]
        return Attachment(
            f"audio/{value.tag}/{event.step:08d}.wav", event.step, sound, "audio/wav", event.wall_time
        )

    def _read_hparams(self, value: Any) -> None:
        try:
            data = classes().HParamsPluginData.FromString(value.metadata.plugin_data.content)
        except Exception as error:  # As above: DecodeError.
            self._losses.add("hyperparameters that cannot be read", str(error))
            return
        if data.HasField("session_start_info"):
            for name, setting in data.session_start_info.hparams.items():
                self.config[name] = _plain(setting)
        if data.HasField("session_end_info"):
            self.status = data.session_end_info.status


def _plain(setting: Any) -> Any:
    # google.protobuf.Value: numbers are doubles, whole ones were integers in the writer's script.
    kind = setting.WhichOneof("kind")
    if kind == "number_value":
        number = setting.number_value
        return int(number) if number == int(number) and abs(number) < 2**53 else number
    return getattr(setting, kind) if kind in ("string_value", "bool_value") else None
