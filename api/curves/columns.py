"""Whole curves as bytes: columns of fixed width that any language reads without parsing, a third of their JSON.

Little-endian; every column begins at a multiple of 8, so that a reader may use them where they lie:

| bytes | what |
| --- | --- |
| 4 | `GVC1` |
| 4 | number of curves, uint32 |
| 8 | last event id, uint64: where a stream goes on |

and then each curve:

| bytes | what |
| --- | --- |
| 4 | length of the name in bytes, uint32 |
| 4 | number n of points that follow, uint32 |
| 8 | number of points that are stored, uint64 |
| length | the name in UTF-8, zeros up to a multiple of 8 |
| 8 n | values, IEEE float64, NaN and infinities as they are |
| 4 n | iterations in rising order, uint32, zeros up to a multiple of 8 |
"""

import math
import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from api.curves.points import Points

MEDIA_TYPE = "application/vnd.ganvas.curves"
_MAGIC = b"GVC1"
_HEAD = struct.Struct("<4sIQ")
_CURVE_HEAD = struct.Struct("<IIQ")

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class StoredCurve:
    """One metric's points; `total` counts those that are stored, of which `points` may be a selection."""

    name: str
    points: Points
    total: int


@dataclass(frozen=True)
class StoredCurves:
    """Curves by name, and the event after which a stream goes on without gap or double."""

    curves: list[StoredCurve]
    last_event_id: int


def write_curves(stored: StoredCurves) -> bytes:
    """Write curves as described above."""
    parts = [_HEAD.pack(_MAGIC, len(stored.curves), stored.last_event_id)]
    for curve in stored.curves:
        name = curve.name.encode()
        parts.append(_CURVE_HEAD.pack(len(name), len(curve.points), curve.total))
        parts += padded(name)
        parts += padded(column_bytes("d", curve.points.values))
        parts += padded(column_bytes("I", curve.points.iterations))
    return b"".join(parts)


def read_curves(data: bytes) -> StoredCurves:
    """Read what write_curves wrote, without a Python object a point; raises ValueError for anything else."""
    view = memoryview(data)
    try:
        magic, curve_count, last_event_id = _HEAD.unpack_from(view)
        if magic != _MAGIC:
            raise ValueError("these are not curves of version 1")
        place, curves = _HEAD.size, []
        for _ in range(curve_count):
            name_length, count, total = _CURVE_HEAD.unpack_from(view, place)
            place += _CURVE_HEAD.size
            name, place = _take(view, place, name_length)
            values, place = _take(view, place, 8 * count)
            iterations, place = _take(view, place, 4 * count)
            points = Points(_read_column(array("I"), iterations), _read_column(array("d"), values))
            curves.append(StoredCurve(str(name, "utf-8"), points, total))
    except struct.error:
        raise ValueError("these curves end too early") from None
    return StoredCurves(curves, last_event_id)


def padded(data: bytes) -> Iterable[bytes]:
    """Return the bytes, and the zeros that fill them up to a multiple of 8."""
    return data, bytes(-len(data) % 8)


def _take(view: memoryview, place: int, length: int) -> tuple[memoryview, int]:
    end = place + length
    if end > len(view):
        raise ValueError("these curves end too early")
    return view[place:end], end + -length % 8


def column_bytes(kind: str, numbers: Sequence[int] | Sequence[float]) -> bytes:
    """Return numbers of this type code as little-endian bytes."""
    column = numbers if isinstance(numbers, array) and numbers.typecode == kind else array(kind, numbers)
    if sys.byteorder == "big":
        column = array(kind, column)
        column.byteswap()
    return column.tobytes()


def _read_column(column: "array[Number]", data: memoryview) -> "array[Number]":
    column.frombytes(data)
    if sys.byteorder == "big":
        column.byteswap()
    return column


BANDS_MEDIA_TYPE = "application/vnd.ganvas.bands"
_BANDS_MAGIC = b"GVB1"


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
    parts = [_HEAD.pack(_BANDS_MAGIC, len(stored.curves), stored.last_event_id)]
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
