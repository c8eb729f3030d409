"""Where runs stand on the axis on which they are compared; static/js/compare-tracks.js says the same of grids."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import accumulate

from api.jobs.schemas import JobRead
from api.samples.queries import GridRow
from dashboard.charts.chart import describe_place
from dashboard.compare.requests import Axis, Comparison, write_place
from dashboard.timeline.view import stamp


@dataclass(frozen=True)
class Track:
    """One run along an axis: the place of each of its grids, rising."""

    job: JobRead
    grids: Sequence[GridRow]
    axis: Axis

    @property
    def batch_size(self) -> int:
        """Images of the training set that an iteration shows the discriminator at once."""
        size = self.job.spec.get("batch_size", 1)
        return size if isinstance(size, int) else 1

    @cached_property
    def origin(self) -> float:
        """When the run's time begins: its first claim, or the first grid of what an earlier run left it."""
        began = stamp(self.job.started_at or self.job.created_at)
        return min(began, stamp(self.grids[0].created_at)) if self.grids else began

    @cached_property
    def places(self) -> list[float]:
        """The place of each grid on the axis."""
        if self.axis == "time":
            return list(accumulate((self._seconds(grid.created_at) for grid in self.grids), max))
        return [float(grid.iteration * self.scale) for grid in self.grids]

    @property
    def scale(self) -> int:
        """How many places an iteration is, on an axis that counts."""
        return self.batch_size if self.axis == "images" else 1

    def find(self, at: float) -> int | None:
        """Return which grid is the newest at this place or before; None where the run has none yet."""
        index = bisect_right(self.places, at) - 1
        return index if index >= 0 else None

    def length(self, now: datetime) -> float:
        """Return the place that the run itself has reached."""
        if self.axis == "time":
            end = self.job.ended_at or (now if self.job.state == "running" else None)
            return max([*self.places[-1:], self._seconds(end) if end and self.job.started_at else 0.0])
        return float(self.job.iteration * self.scale)

    def place_iterations(self, iterations: Sequence[int], now: datetime) -> list[float]:
        """Return the places of points of a curve; between grids, time is as if it passed evenly."""
        if self.axis != "time":
            return [float(iteration * self.scale) for iteration in iterations]
        known = self._clock(now)
        return [_between(known, iteration) for iteration in iterations]

    def iteration_at(self, at: float, now: datetime) -> float:
        """Return the iteration that the run had reached at this place."""
        if self.axis != "time":
            return at / self.scale
        return _between([(seconds, iteration) for iteration, seconds in self._clock(now)], at)

    def _clock(self, now: datetime) -> list[tuple[float, float]]:
        """Return iterations with their seconds, as far as they are known."""
        known = [(0.0, 0.0), *((float(g.iteration), at) for g, at in zip(self.grids, self.places, strict=True))]
        return [*known, (max(float(self.job.iteration), known[-1][0]), max(self.length(now), known[-1][1]))]

    def _seconds(self, moment: datetime) -> float:
        return max(0.0, round(stamp(moment) - self.origin, 1))


def _between(known: Sequence[tuple[float, float]], wanted: float) -> float:
    """Return the second number for a wanted first one, from the known pairs to either side of it."""
    right = min(max(1, bisect_right(known, wanted, key=lambda each: each[0])), len(known) - 1)
    (first, low), (last, high) = known[right - 1], known[right]
    share = min(1.0, (wanted - first) / (last - first)) if last > first else 1.0
    return low + share * (high - low)


def all_places(tracks: Sequence[Track]) -> list[float]:
    """Return every place at which some run has a grid, rising."""
    return sorted({place for track in tracks for place in track.places})


def last_common(tracks: Sequence[Track]) -> float | None:
    """Return the last place to which all runs that have grids have come, or None without a grid."""
    ends = [track.places[-1] for track in tracks if track.grids]
    return min(ends) if ends else None


UNITS = {"iteration": "Iteration", "images": "Images seen", "time": "Seconds since the start"}


@dataclass(frozen=True)
class StepsView:
    """The place, and links to others (empty where there is none). `value`: the place as an address says it."""

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
    """Return where the comparison stands; each step leads to the next place at which some run has a grid."""
    places = all_places(tracks)
    unit = UNITS[asked.axis]
    if not places or at is None:
        return StepsView(False, unit, "", "", "", "", "", "", "")
    before, after = bisect_left(places, at) - 1, bisect_right(places, at)
    common = last_common(tracks)
    return StepsView(
        has_grids=True,
        unit=unit,
        value=write_place(at),
        at_word=describe_place(asked.axis, at),
        first_href=asked.href(at=places[0]) if at != places[0] else "",
        previous_href=asked.href(at=places[before]) if before >= 0 else "",
        next_href=asked.href(at=places[after]) if after < len(places) else "",
        common_href=asked.href(at=None) if at != common else "",
        newest_href=asked.href(at=places[-1]) if at < places[-1] else "",
    )
