"""Points of a curve: compressed columns, and reductions that keep every extreme (points, bands, outlines)."""

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

from ganlib.vocabulary.losses import is_loss

_VERSION = 1
_ITERATION_BYTES = 4
_VALUE_BYTES = 8
OUTLINE_PARTS = 32
# Largest float32.
_LARGEST = 3.4e38


@dataclass(frozen=True)
class Points:
    """Points of one metric in rising order of iteration; values are float64, NaN and infinities included.

    times: when each was logged, in seconds since 1970, NaN where it is not known; None unless they were asked for.
    """

    iterations: Sequence[int]
    values: Sequence[float]
    times: Sequence[float] | None = None

    def __len__(self) -> int:
        return len(self.iterations)


def pack_points(points: Points) -> bytes:
    """Compress differences of iterations, and values, each split into planes of bytes of equal significance.

    Neighbouring values share their sign, exponent and first digits, so such planes compress well.
    """
    steps = array("I", map(sub, points.iterations, itertools.chain((0,), points.iterations)))
    columns = _shuffle(_little_endian(steps)) + _shuffle(_little_endian(array("d", points.values)))
    # Level 6 saves 1 % of the bytes and takes three times as long.
    return bytes((_VERSION,)) + zlib.compress(columns, 3)


def unpack_points(packed: bytes) -> Points:
    """Read the output of pack_points."""
    if packed[0] != _VERSION:
        raise ValueError(f"points of version {packed[0]} are not supported")
    columns = zlib.decompress(packed[1:])
    count = len(columns) // (_ITERATION_BYTES + _VALUE_BYTES)
    steps, values = array("I"), array("d")
    steps.frombytes(_unshuffle(columns[: count * _ITERATION_BYTES], _ITERATION_BYTES))
    values.frombytes(_unshuffle(columns[count * _ITERATION_BYTES :], _VALUE_BYTES))
    _little_endian(steps)
    return Points(_add_up(steps), _little_endian(values))


def _add_up(steps: "array[int]") -> "array[int]":
    """Return the running sums. A trainer logs at a fixed cadence, so usually all steps are equal."""
    if len(steps) > 1 and steps[1:-1] == steps[2:]:
        return array("I", range(steps[0], steps[0] + steps[1] * len(steps), steps[1]))
    return array("I", itertools.accumulate(steps))


def join_points(parts: Iterable[Points]) -> Points:
    """Concatenate consecutive parts."""
    iterations, values = array("I"), array("d")
    for part in parts:
        iterations.extend(part.iterations)
        values.extend(part.values)
    return Points(iterations, values)


def cut_points(points: Points, first: int, last: int | None) -> Points:
    """Keep the points from iteration `first` to `last`, both included, or to the end without `last`."""
    start = bisect_left(points.iterations, first)
    end = len(points) if last is None else bisect_right(points.iterations, last)
    return Points(points.iterations[start:end], points.values[start:end])


def reduce_points(points: Points, limit: int) -> Points:
    """Keep at most `limit` points (at least 5): the first, the last, and each bucket's lowest and highest.

    The first NaN or infinity of a bucket is kept as well.
    """
    count = len(points)
    if count <= limit:
        return points
    # A sum of finite values is finite or overflows; after an overflow the slower way is right as well.
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


@dataclass(frozen=True)
class Bands:
    """Stretches of a curve in rising order; `iterations` says where each ends."""

    iterations: "array[int]"
    means: "array[float]"
    lows: "array[float]"
    highs: "array[float]"

    def __len__(self) -> int:
        return len(self.iterations)


def reduce_to_bands(points: Points, limit: int) -> Bands:
    """Divide a curve into at most `limit` stretches of equally many points, or one for each point.

    The first NaN or infinity in a stretch becomes a separate stretch; the others are left out.
    """
    values, count = points.values, len(points)
    bands = Bands(array("I"), array("d"), array("d"), array("d"))
    # A sum of finite values is finite or overflows; half as many stretches leave room for the special ones.
    buckets = min(count, limit if math.isfinite(sum(values)) else max(1, limit // 2))
    for bucket in range(buckets):
        start, end = bucket * count // buckets, (bucket + 1) * count // buckets
        part = values[start:end]
        mean = sum(part) / len(part)
        if math.isfinite(mean):
            _add_band(bands, points.iterations[end - 1], mean, min(part), max(part))
        else:
            _add_special(bands, Points(points.iterations[start:end], part))
    return bands


def _add_special(bands: Bands, part: Points) -> None:
    pairs = list(zip(part.iterations, part.values, strict=True))
    finite = [pair for pair in pairs if math.isfinite(pair[1])]
    special = next((pair for pair in pairs if not math.isfinite(pair[1])), None)
    # Halves are added: the sum of large numbers may overflow.
    added = [
        (finite[-1][0], 2 * sum(v / 2 / len(finite) for _, v in finite), *_value_range(finite))
        if finite
        else None,
        (special[0], special[1], special[1], special[1]) if special else None,
    ]
    for band in sorted(band for band in added if band is not None):
        _add_band(bands, *band)


def _value_range(pairs: list[tuple[int, float]]) -> tuple[float, float]:
    return min(value for _, value in pairs), max(value for _, value in pairs)


def _add_band(bands: Bands, iteration: int, mean: float, low: float, high: float) -> None:
    bands.iterations.append(iteration)
    # Rounding may move a mean beyond the extremes.
    bands.means.append(min(max(mean, low), high) if math.isfinite(mean) else mean)
    bands.lows.append(low)
    bands.highs.append(high)


@dataclass(frozen=True)
class Stretch:
    """Part of a curve: its first and last iteration, its lowest, highest and mean value."""

    first: float
    last: float
    low: float
    high: float
    mean: float


def pack_outline(metric: str, values: Sequence[float]) -> bytes | None:
    """Return the outline of a chunk's values, None for a metric without a sparkline."""
    if not values or not is_loss(metric):
        return None
    size = math.ceil(len(values) / OUTLINE_PARTS)
    numbers: list[float] = []
    for start in range(0, len(values), size):
        part = [value for value in values[start : start + size] if math.isfinite(value)]
        # Divided first: the sum of large values overflows.
        mean = sum(value / len(part) for value in part)
        numbers += map(_clip_to_float32, (min(part), max(part), mean)) if part else (math.nan,) * 3
    return struct.pack(f"<{len(numbers)}f", *numbers)


def unpack_outline(outline: bytes, first: int, last: int, points: int) -> list[Stretch]:
    """Return the parts of a chunk of so many points between these iterations, without empty parts.

    Outlines of earlier versions have no means: there the middle of the lowest and the highest value stands for it.
    """
    numbers = struct.unpack(f"<{len(outline) // 4}f", outline)
    count = math.ceil(points / math.ceil(points / OUTLINE_PARTS))
    columns = len(numbers) // count
    width = (last - first) / count
    parts = [numbers[place * columns : (place + 1) * columns] for place in range(count)]
    return [
        Stretch(first + place * width, first + (place + 1) * width, low, high, *(mean or [low / 2 + high / 2]))
        for place, (low, high, *mean) in enumerate(parts)
        if math.isfinite(low) and math.isfinite(high)
    ]


def _clip_to_float32(value: float) -> float:
    """Clip a float64 to the range of float32."""
    return min(max(value, -_LARGEST), _LARGEST)
