"""Outlines of curves: lowest and highest value of a few equal parts, so that a list draws without reading points.

Every chunk of the two losses carries one of at most 32 parts, as pairs of little-endian float32. A part without a
finite value is a pair of NaN.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

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
