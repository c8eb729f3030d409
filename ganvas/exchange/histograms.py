"""Distributions of other trackers in Ganvas' 64 equal bins."""

import math
from collections.abc import Sequence
from itertools import accumulate

from ganlib.events import BIN_COUNT, Histogram

_MAX_COUNT = 2**32 - 1


def rebin(edges: Sequence[tuple[float, float]], counts: Sequence[float]) -> Histogram | None:
    """Return buckets (left, right) with their counts as 64 equal bins over the same range; None without any.

    A bucket's values are taken as evenly spread over it. Whole counts keep their sum, and 64 equal buckets stay as
    they are. Buckets without width at the same place as their neighbours' edge fall into the bin that holds it.
    """
    buckets = [
        (*sorted((float(left), float(right))), float(count))
        for (left, right), count in zip(edges, counts, strict=True)
        if count > 0 and math.isfinite(left) and math.isfinite(right)
    ]
    if not buckets:
        return _rebin_empty(edges)
    low, high = _find_range(edges, buckets)
    if _is_even(edges, low, high):
        return _make(low, high, [float(count) for count in counts])
    bins = [0.0] * BIN_COUNT
    width = (high - low) / BIN_COUNT
    for left, right, count in buckets:
        _spread(bins, (left - low) / width, (right - low) / width, count)
    return _make(low, high, bins)


def _rebin_empty(edges: Sequence[tuple[float, float]]) -> Histogram | None:
    # All values may have been NaN; an empty distribution over a known range is one.
    finite = [edge for pair in edges for edge in pair if math.isfinite(edge)]
    return _make(min(finite), max(finite), [0.0] * BIN_COUNT) if finite and min(finite) < max(finite) else None


def _find_range(edges: Sequence[tuple[float, float]], buckets: Sequence[tuple[float, ...]]) -> tuple[float, float]:
    # Empty buckets at the ends belong to the range only if all are equal: others are the writer's own raster.
    if _is_even(edges, edges[0][0], edges[-1][1]):
        return float(edges[0][0]), float(edges[-1][1])
    low, high = min(bucket[0] for bucket in buckets), max(bucket[1] for bucket in buckets)
    if low < high:
        return low, high
    # As a trainer of Ganvas does it: equal values lie in the middle of a range of their own size.
    reach = abs(low) / 2 or 0.5
    return low - reach, high + reach


def _is_even(edges: Sequence[tuple[float, float]], low: float, high: float) -> bool:
    if len(edges) != BIN_COUNT or not low < high or not math.isfinite(high - low):
        return False
    width = (high - low) / BIN_COUNT
    return all(
        abs(left - (low + index * width)) <= width * 1e-4
        and abs(right - (low + (index + 1) * width)) <= width * 1e-4
        for index, (left, right) in enumerate(edges)
    )


def _spread(bins: list[float], left: float, right: float, count: float) -> None:
    first = min(max(int(left), 0), BIN_COUNT - 1)
    if right - left < 1e-9:
        bins[first] += count
        return
    last = min(max(int(right), first), BIN_COUNT - 1)
    for index in range(first, last + 1):
        overlap = min(right, index + 1) - max(left, index)
        bins[index] += count * max(overlap, 0.0) / (right - left)


def _make(low: float, high: float, bins: Sequence[float]) -> Histogram:
    # Rounding the running sum keeps the total.
    sums = [round(total) for total in accumulate(bins)]
    counts = [min(later - earlier, _MAX_COUNT) for earlier, later in zip([0, *sums], sums, strict=False)]
    return Histogram(low=low, high=high, counts=tuple(counts))
