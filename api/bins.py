"""A histogram's bins as compressed bytes, and histograms brought onto common bins."""

import struct
import zlib
from collections.abc import Sequence

from ganlib.events import BIN_COUNT, Histogram

# So far outside that the difference of two places stays a number.
_FAR = 1e12
_LAYOUT = struct.Struct(f"<{BIN_COUNT}I")


def pack_counts(counts: Sequence[int]) -> bytes:
    """Compress the bins of one histogram, most of which are empty or small: some 80 bytes."""
    return zlib.compress(_LAYOUT.pack(*counts), 6)


def unpack_counts(packed: bytes) -> tuple[int, ...]:
    """Read what pack_counts wrote."""
    return _LAYOUT.unpack(zlib.decompress(packed))


def rebin(histogram: Histogram, low: float, high: float, rows: int) -> list[float]:
    """Return which share of the histogram's values, 0 to 1, lies in each of `rows` equal bins from low to high.

    A bin's values are taken as evenly spread over it. What lies below low or above high counts to the first or
    last row; NaN and infinite values count to none, though to the whole.
    """
    shares = [0.0] * rows
    total = sum(histogram.counts) + histogram.not_finite
    for place, count in enumerate(histogram.counts):
        if count:
            start, end = (_find_row(_edge(histogram, at), low, high, rows) for at in (place, place + 1))
            _spread(shares, start, end, count / total)
    return shares


def _edge(histogram: Histogram, place: int) -> float:
    """Return where the bin of this place begins."""
    part = place / BIN_COUNT
    return histogram.low * (1 - part) + histogram.high * part


def _find_row(value: float, low: float, high: float, rows: int) -> float:
    # Halved before they are subtracted: the range may be wider than the largest float.
    row = (value / 2 - low / 2) / (high / 2 - low / 2) * rows
    return min(max(row, -_FAR), _FAR)


def _spread(shares: list[float], start: float, end: float, share: float) -> None:
    """Add a share to the rows between start and end, to each by how much of that stretch it has."""
    last = len(shares) - 1
    bottom, top = min(max(start, 0.0), last), min(max(end, 0.0), len(shares))
    begin, stop = int(bottom), min(int(top), last)
    if begin >= stop:
        shares[begin] += share
        return
    length = end - start
    for row in range(begin, stop + 1):
        # The outermost rows have what lies beyond them, too.
        lower = start if row == 0 else max(start, row)
        upper = end if row == last else min(end, row + 1)
        shares[row] += share * max(0.0, upper - lower) / length
