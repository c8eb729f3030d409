"""Runs along the axis of a comparison; `compare/scripts/compare-timelines.js` does the same for grids."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from typing import Any

from api.jobs.schemas import JobRead
from api.samples.queries import GridRow
from dashboard.charts.chart import Axis, describe_position
from dashboard.compare.requests import Comparison, write_position
from dashboard.timeline.view import stamp


@dataclass(frozen=True)
class Track:
    """One run along an axis: the position of each of its grids, rising."""

    job: JobRead
    grids: Sequence[GridRow]
    axis: Axis

    @property
    def batch_size(self) -> int | None:
        """Images of the training set that an iteration shows the discriminator at once; None if nobody said it."""
        return find_batch_size(self.job.origin, self.job.spec)

    @cached_property
    def origin(self) -> float:
        """The start of the run's time: its first claim, or an older grid that it took over from an earlier run."""
        began = stamp(self.job.started_at or self.job.created_at)
        return min(began, stamp(self.grids[0].created_at)) if self.grids else began

    @cached_property
    def positions(self) -> list[float]:
        """The position of each grid on the axis."""
        if self.axis == "time":
            return list(accumulate((self._seconds(grid.created_at) for grid in self.grids), max))
        return [float(grid.iteration * self.scale) for grid in self.grids]

    @property
    def scale(self) -> int:
        """The length of an iteration on an axis that counts."""
        return (self.batch_size or 1) if self.axis == "images" else 1

    def find(self, at: float) -> int | None:
        """Return the index of the newest grid at this position or before; None where the run has none yet."""
        index = bisect_right(self.positions, at) - 1
        return index if index >= 0 else None

    def length(self, now: datetime) -> float:
        """Return the position that the run itself has reached."""
        if self.axis == "time":
            end = self.job.ended_at or (now if self.job.state == "running" else None)
            return max([*self.positions[-1:], self._seconds(end) if end and self.job.started_at else 0.0])
        return float(self.job.iteration * self.scale)

    def positions_of(self, iterations: Sequence[int], now: datetime) -> list[float]:
        """Return the positions of points of a curve; between grids, time is as if it passed evenly."""
        if self.axis != "time":
            return [float(iteration * self.scale) for iteration in iterations]
        known = self._clock(now)
        return [_between(known, iteration) for iteration in iterations]

    def iteration_at(self, at: float, now: datetime) -> float:
        """Return the iteration that the run had reached at this position."""
        if self.axis != "time":
            return at / self.scale
        return _between([(seconds, iteration) for iteration, seconds in self._clock(now)], at)

    def _clock(self, now: datetime) -> list[tuple[float, float]]:
        """Return iterations with their seconds, as far as they are known."""
        known = [(0.0, 0.0), *((float(g.iteration), at) for g, at in zip(self.grids, self.positions, strict=True))]
        return [*known, (max(float(self.job.iteration), known[-1][0]), max(self.length(now), known[-1][1]))]

    def _seconds(self, moment: datetime) -> float:
        return max(0.0, round(stamp(moment) - self.origin, 1))


def find_batch_size(origin: str, spec: Mapping[str, Any]) -> int | None:
    """Return how many images of the training set an iteration shows at once, None if this spec does not say."""
    said = spec if origin == "ganlib" else spec.get("config") or {}
    size = said.get("batch_size")
    return size if isinstance(size, int) and size > 0 else None


def _between(known: Sequence[tuple[float, float]], wanted: float) -> float:
    """Return the second number for a first one, interpolated between known pairs."""
    right = min(max(1, bisect_right(known, wanted, key=lambda each: each[0])), len(known) - 1)
    (first, low), (last, high) = known[right - 1], known[right]
    share = min(1.0, (wanted - first) / (last - first)) if last > first else 1.0
    return low + share * (high - low)


def all_positions(tracks: Sequence[Track]) -> list[float]:
    """Return every position at which some run has a grid, rising."""
    return sorted({position for track in tracks for position in track.positions})


def last_common(tracks: Sequence[Track]) -> float | None:
    """Return the last position to which all runs that have grids have come, or None without a grid."""
    ends = [track.positions[-1] for track in tracks if track.grids]
    return min(ends) if ends else None


UNITS = {"iteration": "Iteration", "images": "Images seen", "time": "Seconds since the start"}


@dataclass(frozen=True)
class StepsView:
    """The position, and links to others (empty where there are none). `value`: the position in an address."""

    has_grids: bool
    unit: str
    value: str
    at_word: str
    first_href: str
    previous_href: str
    next_href: str
    common_href: str
    newest_href: str


def build_steps(asked: Comparison, tracks: Sequence[Track], at: float | None) -> StepsView:
    """Return the comparison's position, and links to the next positions at which some run has a grid."""
    positions = all_positions(tracks)
    unit = UNITS[asked.axis]
    if not positions or at is None:
        return StepsView(False, unit, "", "", "", "", "", "", "")
    before, after = bisect_left(positions, at) - 1, bisect_right(positions, at)
    common = last_common(tracks)
    return StepsView(
        has_grids=True,
        unit=unit,
        value=write_position(at),
        at_word=describe_position(asked.axis, at),
        first_href=asked.href(at=positions[0]) if at != positions[0] else "",
        previous_href=asked.href(at=positions[before]) if before >= 0 else "",
        next_href=asked.href(at=positions[after]) if after < len(positions) else "",
        common_href=asked.href(at=None) if at != common else "",
        newest_href=asked.href(at=positions[-1]) if at < positions[-1] else "",
    )
