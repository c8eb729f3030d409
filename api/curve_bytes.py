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

import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from api.points import Points

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
