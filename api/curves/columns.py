"""The wire formats of curves: columns of fixed width that any language reads without parsing.

Both formats share one container, little-endian, whose columns begin at multiples of 8:

| bytes | content |
| --- | --- |
| 4 | `GVC1` (points), `GVT1` (points with times) or `GVB1` (bands) |
| 4 | number of curves, uint32 |
| 8 | last event id, uint64: a stream continues after it |

and then for each curve:

| bytes | content |
| --- | --- |
| 4 | length of the name in bytes, uint32 |
| 4 | number n of rows that follow, uint32 |
| 8 | number of stored points, uint64 |
| length | the name in UTF-8, zeros up to a multiple of 8 |
| 8 n each | columns of values, IEEE float64, NaN and infinities as they are |
| 4 n | iterations in rising order, uint32, zeros up to a multiple of 8 |

Points have one column of values, and a second one of times (seconds since 1970) where these are asked for. Bands
have means, lows and highs, and each iteration is the last of its band; a curve whose bands are its points (n
equals the number of stored points) has means alone.
"""

import json
import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TypeVar

from api.curves.points import Points, reduce_to_bands

MEDIA_TYPE = "application/vnd.ganvas.curves"
BANDS_MEDIA_TYPE = "application/vnd.ganvas.bands"
_MAGIC = b"GVC1"
_TIMED_MAGIC = b"GVT1"
_BANDS_MAGIC = b"GVB1"
_HEAD = struct.Struct("<4sIQ")
_NUMBERS_AT_ONCE = 8192
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
    """Curves by name, and the id of the event after which a stream continues without gap or repeat."""

    curves: list[StoredCurve]
    last_event_id: int


@dataclass(frozen=True)
class Columns:
    """One curve of the container: its columns of values and their iterations; total: of the points behind them."""

    name: str
    total: int
    values: Sequence[Sequence[float]]
    iterations: Sequence[int]


def write_curves(stored: StoredCurves) -> bytes:
    """Write curves as points."""
    return b"".join(stream_curves(stored.curves, len(stored.curves), stored.last_event_id))


def stream_curves(
    curves: Iterable[StoredCurve], count: int, last_event_id: int, *, timed: bool = False
) -> Iterator[bytes]:
    """Yield the output of write_curves piece by piece; `count` is the number of curves.

    timed: with a second column, the times that each of the curves has.
    """
    columns = (
        Columns(
            each.name,
            each.total,
            [each.points.values] if each.points.times is None else [each.points.values, each.points.times],
            each.points.iterations,
        )
        for each in curves
    )
    return _stream_container(_TIMED_MAGIC if timed else _MAGIC, columns, count, last_event_id)


def write_bands(stored: StoredCurves, limit: int) -> bytes:
    """Write curves as bands, at most `limit` of each."""
    return b"".join(stream_bands(stored.curves, len(stored.curves), stored.last_event_id, limit))


def stream_bands(curves: Iterable[StoredCurve], count: int, last_event_id: int, limit: int) -> Iterator[bytes]:
    """Yield the output of write_bands piece by piece; `count` is the number of curves."""
    columns = (_to_bands(curve, limit) for curve in curves)
    return _stream_container(_BANDS_MAGIC, columns, count, last_event_id)


def write_columns(curves: Sequence[Columns], last_event_id: int) -> bytes:
    """Write means, lows and highs as bands, whatever they were made of."""
    return b"".join(_stream_container(_BANDS_MAGIC, curves, len(curves), last_event_id))


def stream_json(curves: Iterable[StoredCurve], last_event_id: int) -> Iterator[bytes]:
    """Yield the JSON of `CurvesRead` piece by piece, without an object for each number."""
    yield b'{"curves":['
    for place, curve in enumerate(curves):
        yield f'{"," if place else ""}{{"name":{json.dumps(curve.name)},"iterations":['.encode()
        yield from _stream_numbers(curve.points.iterations, str)
        yield b'],"values":['
        yield from _stream_numbers(curve.points.values, _show_float)
        if curve.points.times is not None:
            yield b'],"times":['
            yield from _stream_numbers(curve.points.times, _show_time)
        yield f'],"total":{curve.total}}}'.encode()
    yield f'],"last_event_id":{last_event_id}}}'.encode()


def _stream_numbers(numbers: Sequence[Number], show: Callable[[Number], str]) -> Iterator[bytes]:
    for start in range(0, len(numbers), _NUMBERS_AT_ONCE):
        part = ",".join(map(show, numbers[start : start + _NUMBERS_AT_ONCE]))
        yield f"{',' if start else ''}{part}".encode()


def _show_float(value: float) -> str:
    return repr(value) if isfinite(value) else f'"{value}"'


def _show_time(time: float) -> str:
    return repr(time) if isfinite(time) else "null"


def read_curves(data: bytes) -> StoredCurves:
    """Read the output of stream_curves without creating an object for each point; raises ValueError."""
    view = memoryview(data)
    try:
        magic, curve_count, last_event_id = _HEAD.unpack_from(view)
        if magic not in (_MAGIC, _TIMED_MAGIC):
            raise ValueError("these are not curves of version 1")
        position, curves = _HEAD.size, []
        for _ in range(curve_count):
            name_length, count, total = _CURVE_HEAD.unpack_from(view, position)
            position += _CURVE_HEAD.size
            name, position = _take(view, position, name_length)
            values, position = _take(view, position, 8 * count)
            times = None
            if magic == _TIMED_MAGIC:
                column, position = _take(view, position, 8 * count)
                times = _read_column(array("d"), column)
            iterations, position = _take(view, position, 4 * count)
            points = Points(_read_column(array("I"), iterations), _read_column(array("d"), values), times)
            curves.append(StoredCurve(str(name, "utf-8"), points, total))
    except struct.error:
        raise ValueError("these curves end too early") from None
    return StoredCurves(curves, last_event_id)


def _to_bands(curve: StoredCurve, limit: int) -> Columns:
    bands = reduce_to_bands(curve.points, limit)
    values = [bands.means] if len(bands) == curve.total else [bands.means, bands.lows, bands.highs]
    return Columns(curve.name, curve.total, values, bands.iterations)


def _stream_container(magic: bytes, curves: Iterable[Columns], count: int, last_event_id: int) -> Iterator[bytes]:
    yield _HEAD.pack(magic, count, last_event_id)
    for curve in curves:
        name = curve.name.encode()
        yield _CURVE_HEAD.pack(len(name), len(curve.iterations), curve.total) + _padded(name)
        for column in curve.values:
            yield _padded(_column_bytes("d", column))
        yield _padded(_column_bytes("I", curve.iterations))


def _padded(data: bytes) -> bytes:
    """Return the bytes, and the zeros that fill them up to a multiple of 8."""
    return data + bytes(-len(data) % 8)


def _take(view: memoryview, position: int, length: int) -> tuple[memoryview, int]:
    end = position + length
    if end > len(view):
        raise ValueError("these curves end too early")
    return view[position:end], end + -length % 8


def _column_bytes(kind: str, numbers: Sequence[int] | Sequence[float]) -> bytes:
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
