"""Curves for drawing: each stretch of iterations as its mean, lowest and highest value, and how that travels.

Little-endian; every column begins at a multiple of 8:

| bytes | what |
| --- | --- |
| 4 | `GVB1` |
| 4 | number of curves, uint32 |
| 8 | last event id, uint64: where a stream goes on |

and then each curve:

| bytes | what |
| --- | --- |
| 4 | length of the name in bytes, uint32 |
| 4 | number n of stretches that follow, uint32 |
| 8 | number of points that are stored in the window, uint64 |
| length | the name in UTF-8, zeros up to a multiple of 8 |
| 8 n | means, IEEE float64; NaN and infinities as they are |
| 8 n | lowest values, only where n is less than the number of points |
| 8 n | highest values, likewise |
| 4 n | last iteration of each stretch in rising order, uint32, zeros up to a multiple of 8 |
"""

import math
import struct
from array import array
from dataclasses import dataclass

from api.curve_bytes import StoredCurves, column_bytes, padded
from api.points import Points

MEDIA_TYPE = "application/vnd.ganvas.bands"
_MAGIC = b"GVB1"
_HEAD = struct.Struct("<4sIQ")
_CURVE_HEAD = struct.Struct("<IIQ")


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
    """Divide a curve into at most `limit` stretches of equally many points; each point alone where they suffice.

    Of the NaN and infinities in a stretch, the first is a stretch of its own and the others are left out.
    """
    values, count = points.values, len(points)
    found = Bands(array("I"), array("d"), array("d"), array("d"))
    # A sum of finite values is finite, or overflows; then half as many stretches leave room for what is not.
    buckets = min(count, limit if math.isfinite(sum(values)) else max(1, limit // 2))
    for bucket in range(buckets):
        start, end = bucket * count // buckets, (bucket + 1) * count // buckets
        part = values[start:end]
        mean = sum(part) / len(part)
        if math.isfinite(mean):
            _add(found, points.iterations[end - 1], mean, min(part), max(part))
        else:
            _add_special(found, Points(points.iterations[start:end], part))
    return found


def write_bands(stored: StoredCurves, limit: int) -> bytes:
    """Write curves as described above, each in at most `limit` stretches."""
    parts = [_HEAD.pack(_MAGIC, len(stored.curves), stored.last_event_id)]
    for curve in stored.curves:
        name, bands = curve.name.encode(), reduce_to_bands(curve.points, limit)
        parts.append(_CURVE_HEAD.pack(len(name), len(bands), curve.total))
        parts += padded(name)
        columns = [bands.means] if len(bands) == curve.total else [bands.means, bands.lows, bands.highs]
        for column in columns:
            parts += padded(column_bytes("d", column))
        parts += padded(column_bytes("I", bands.iterations))
    return b"".join(parts)


def _add_special(found: Bands, part: Points) -> None:
    pairs = list(zip(part.iterations, part.values, strict=True))
    finite = [pair for pair in pairs if math.isfinite(pair[1])]
    special = next((pair for pair in pairs if not math.isfinite(pair[1])), None)
    # Halves are added up: the sum of large numbers may be no float.
    bands = [
        (finite[-1][0], 2 * sum(v / 2 / len(finite) for _, v in finite), *_extremes(finite)) if finite else None,
        (special[0], special[1], special[1], special[1]) if special else None,
    ]
    for band in sorted(band for band in bands if band is not None):
        _add(found, *band)


def _extremes(pairs: list[tuple[int, float]]) -> tuple[float, float]:
    return min(value for _, value in pairs), max(value for _, value in pairs)


def _add(found: Bands, iteration: int, mean: float, low: float, high: float) -> None:
    found.iterations.append(iteration)
    # A mean is found by rounding; it lies between the extremes all the same.
    found.means.append(min(max(mean, low), high) if math.isfinite(mean) else mean)
    found.lows.append(low)
    found.highs.append(high)
