"""Points of a curve as compressed columns, and curves made smaller without losing an extreme."""

import itertools
import math
import struct
import sys
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import sub

_VERSION = 1
_ITERATION_BYTES = 4
_VALUE_BYTES = 8


@dataclass(frozen=True)
class Points:
    """Points of one metric in rising order of iteration; values are float64, NaN and infinities included."""

    iterations: Sequence[int]
    values: Sequence[float]

    def __len__(self) -> int:
        return len(self.iterations)


def pack_points(points: Points) -> bytes:
    """Compress: differences of iterations, and values, each split into planes of equally placed bytes.

    Neighbouring values share their sign, exponent and first digits, so such planes compress well.
    """
    steps = array("I", map(sub, points.iterations, itertools.chain((0,), points.iterations)))
    columns = _shuffle(_little_endian(steps)) + _shuffle(_little_endian(array("d", points.values)))
    # Level 6 saves one byte in a hundred, and takes three times as long.
    return bytes((_VERSION,)) + zlib.compress(columns, 3)


def unpack_points(packed: bytes) -> Points:
    """Read what pack_points wrote."""
    if packed[0] != _VERSION:
        raise ValueError(f"points of version {packed[0]} are not known")
    columns = zlib.decompress(packed[1:])
    count = len(columns) // (_ITERATION_BYTES + _VALUE_BYTES)
    steps, values = array("I"), array("d")
    steps.frombytes(_unshuffle(columns[: count * _ITERATION_BYTES], _ITERATION_BYTES))
    values.frombytes(_unshuffle(columns[count * _ITERATION_BYTES :], _VALUE_BYTES))
    _little_endian(steps)
    return Points(_add_up(steps), _little_endian(values))


def _add_up(steps: "array[int]") -> "array[int]":
    """Return the running sums. A trainer logs at a fixed cadence, so mostly one step is all there is to know."""
    if len(steps) > 1 and steps[1:-1] == steps[2:]:
        return array("I", range(steps[0], steps[0] + steps[1] * len(steps), steps[1]))
    return array("I", itertools.accumulate(steps))


def join_points(parts: Iterable[Points]) -> Points:
    """Put consecutive parts after one another."""
    iterations, values = array("I"), array("d")
    for part in parts:
        iterations.extend(part.iterations)
        values.extend(part.values)
    return Points(iterations, values)


def cut_points(points: Points, first: int, last: int | None) -> Points:
    """Keep the points from iteration `first` up to `last`, both included; to the end without it."""
    start = bisect_left(points.iterations, first)
    end = len(points) if last is None else bisect_right(points.iterations, last)
    return Points(points.iterations[start:end], points.values[start:end])


def reduce_points(points: Points, limit: int) -> Points:
    """Keep at most `limit` points (at least 5): the first, the last, and each bucket's lowest and highest.

    Of a bucket that holds NaN or infinities the first of these is kept as well.
    """
    count = len(points)
    if count <= limit:
        return points
    # A sum of finite values is finite, or overflows; then the careful way costs a little time and is right too.
    has_special = not math.isfinite(sum(points.values))
    buckets = (max(limit, 5) - 2) // (3 if has_special else 2)
    kept = [0]
    for bucket in range(buckets):
        start = 1 + bucket * (count - 2) // buckets
        end = 1 + (bucket + 1) * (count - 2) // buckets
        if start < end:
            part = points.values[start:end]
            kept.extend(start + index for index in (_special_extremes(part) if has_special else _extremes(part)))
    kept.append(count - 1)
    return Points([points.iterations[i] for i in kept], [points.values[i] for i in kept])


def _extremes(part: Sequence[float]) -> list[int]:
    return sorted({part.index(min(part)), part.index(max(part))})


def _special_extremes(part: Sequence[float]) -> list[int]:
    finite = [value for value in part if math.isfinite(value)]
    kept = {part.index(min(finite)), part.index(max(finite))} if finite else set()
    special = next((index for index, value in enumerate(part) if not math.isfinite(value)), None)
    return sorted(kept if special is None else kept | {special})


def _little_endian(column: "array[int] | array[float]") -> "array[int] | array[float]":
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _shuffle(column: "array[int] | array[float]") -> bytes:
    data = column.tobytes()
    return b"".join(data[plane :: column.itemsize] for plane in range(column.itemsize))


def _unshuffle(data: bytes, width: int) -> bytearray:
    count = len(data) // width
    column = bytearray(len(data))
    for plane in range(width):
        column[plane::width] = data[plane * count : (plane + 1) * count]
    return column


OUTLINED = ("loss/generator", "loss/discriminator")
PARTS = 32
_LARGEST = 3.4e38


@dataclass(frozen=True)
class Stretch:
    """Part of a curve: from one iteration to another, the lowest and the highest value."""

    first: float
    last: float
    low: float
    high: float


def pack_outline(metric: str, values: Sequence[float]) -> bytes | None:
    """Return the outline of a chunk's values, None for a metric that no list draws."""
    if metric not in OUTLINED or not values:
        return None
    size = math.ceil(len(values) / PARTS)
    bounds: list[float] = []
    for start in range(0, len(values), size):
        part = [value for value in values[start : start + size] if math.isfinite(value)]
        bounds += (_narrow(min(part)), _narrow(max(part))) if part else (math.nan, math.nan)
    return struct.pack(f"<{len(bounds)}f", *bounds)


def unpack_outline(outline: bytes, first: int, last: int) -> list[Stretch]:
    """Return the parts of a chunk that begins and ends at these iterations; those without a value are left out."""
    bounds = struct.unpack(f"<{len(outline) // 4}f", outline)
    count = len(bounds) // 2
    width = (last - first) / max(1, count)
    return [
        Stretch(first + place * width, first + (place + 1) * width, bounds[2 * place], bounds[2 * place + 1])
        for place in range(count)
        if math.isfinite(bounds[2 * place]) and math.isfinite(bounds[2 * place + 1])
    ]


def _narrow(value: float) -> float:
    """Bring a float64 into the range of float32."""
    return min(max(value, -_LARGEST), _LARGEST)
