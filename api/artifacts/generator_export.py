"""Exports a generator's weights from a checkpoint by copying bytes, without decoding tensors.

Both are safetensors files: the length of the header (uint64, little-endian), the header as JSON (each tensor's
type, shape and offsets after the header), and the tensors' bytes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from ganlib.techniques import TECHNIQUES

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 16_777_216
_PIECE_BYTES = 262_144
_METADATA = "__metadata__"


class NoGenerator(Exception):
    """The file is not a safetensors file, or has no such weights."""


@dataclass(frozen=True)
class GeneratorFile:
    """The header of a new file, and the spans of the checkpoint (first byte, number of bytes) that follow it.

    begin: offset of the tensors in the checkpoint.
    """

    begin: int
    header: bytes
    spans: list[tuple[int, int]]

    @property
    def size(self) -> int:
        """Size of the new file in bytes."""
        return len(self.header) + sum(size for _, size in self.spans)

    def read(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield the new file's bytes from the checkpoint, which `extract_generator` has read up to its tensors."""
        yield self.header
        place = self.begin
        for start, size in self.spans:
            _skip(file, start - place)
            place = start + size
            while size > 0 and (piece := file.read(min(size, _PIECE_BYTES))):
                size -= len(piece)
                yield piece


def find_weights_prefix(spec: Mapping[str, Any]) -> str:
    """Return what the names of those weights begin with that draw the run's sample grids.

    That is the generator itself, or its moving average where a technique keeps one.
    """
    averages = [
        index
        for index, part in enumerate(spec.get("techniques") or [])
        if part.get("technique") in TECHNIQUES and TECHNIQUES[part["technique"]].draws_samples
    ]
    return f"technique.{averages[-1]}." if averages else "generator."


def extract_generator(
    file: BinaryIO, prefix: str, facts: Mapping[str, str], file_bytes: int | None = None
) -> GeneratorFile:
    """Find the weights whose names begin with `prefix`, which is removed; `facts` becomes metadata.

    file_bytes: size of the checkpoint. Raises NoGenerator, also for tensors that overlap or lie beyond the file,
    so that the new file is never larger than the checkpoint.
    """
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if not 2 <= length <= _MAX_HEADER_BYTES:
        raise NoGenerator
    try:
        header: dict[str, Any] = json.loads(file.read(length))
        found = {
            name.removeprefix(prefix): (tensor["dtype"], tensor["shape"], _check_span(*tensor["data_offsets"]))
            for name, tensor in header.items()
            if name.startswith(prefix)
        }
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        raise NoGenerator from None
    room = None if file_bytes is None else file_bytes - _LENGTH_BYTES - length
    if not found or not _lie_apart((span for _, _, span in found.values()), room):
        raise NoGenerator
    return _join(found, _LENGTH_BYTES + length, facts)


def _skip(file: BinaryIO, size: int) -> None:
    """Skip bytes, also of a network stream."""
    if file.seekable():
        file.seek(size, 1)
        return
    while size > 0 and (piece := file.read(min(size, _PIECE_BYTES))):
        size -= len(piece)


def _check_span(start: Any, end: Any) -> tuple[int, int]:
    if type(start) is not int or type(end) is not int or not 0 <= start <= end:
        raise ValueError("not a span of a file")
    return start, end


def _lie_apart(spans: Iterable[tuple[int, int]], room: int | None) -> bool:
    """Return whether no byte belongs to two tensors, and all lie in the file."""
    place = 0
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if start < place:
            return False
        place = end
    return room is None or place <= room


def _join(
    found: Mapping[str, tuple[str, list[int], tuple[int, int]]], begin: int, facts: Mapping[str, str]
) -> GeneratorFile:
    """Lay out the tensors one after another, in the order of the checkpoint."""
    written: dict[str, Any] = {_METADATA: {"ganvas": json.dumps(dict(facts), sort_keys=True)}}
    spans, place = [], 0
    for name, (dtype, shape, (start, end)) in sorted(found.items(), key=lambda item: item[1][2]):
        written[name] = {"dtype": dtype, "shape": shape, "data_offsets": [place, place + end - start]}
        spans.append((begin + start, end - start))
        place += end - start
    text = json.dumps(written, separators=(",", ":")).encode()
    # In the format, tensors begin at a multiple of 8.
    text += b" " * (-len(text) % 8)
    return GeneratorFile(begin, len(text).to_bytes(_LENGTH_BYTES, "little") + text, spans)
