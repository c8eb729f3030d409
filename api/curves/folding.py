"""Curves of several jobs as one: the mean over the jobs at each iteration, and how far they lie apart."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from sqlalchemy.orm import Session

from api.curves.columns import Columns
from api.curves.points import Points, cut_points, reduce_points
from api.curves.queries import ALL, CurveWindow, read_stored_curves


@dataclass(frozen=True)
class FoldedPoint:
    """Mean over `count` jobs at an iteration; deviation: their standard deviation with n - 1, None of one job."""

    iteration: int
    mean: float
    deviation: float | None
    count: int

    @property
    def low(self) -> float:
        """The lower edge of the band."""
        return self.mean - (self.deviation or 0.0)

    @property
    def high(self) -> float:
        """The upper edge of the band."""
        return self.mean + (self.deviation or 0.0)


@dataclass(frozen=True)
class FoldedCurve:
    """One metric of several jobs; `total` points of theirs are in it."""

    name: str
    points: Sequence[FoldedPoint]
    total: int

    def to_bands(self) -> Columns:
        """Return it as bands that reach a deviation below and above the mean."""
        values = [[getattr(point, part) for point in self.points] for part in ("mean", "low", "high")]
        # As many as the rows, they would be the points of one curve.
        total = max(self.total, len(self.points) + 1)
        return Columns(self.name, total, values, [point.iteration for point in self.points])


def read_points(
    session: Session, job_ids: Sequence[str], names: Sequence[str] | None = None, window: CurveWindow = ALL
) -> tuple[dict[str, list[Points]], int]:
    """Return each metric's curves of these jobs, and the id of the newest event in them; raises JobNotFound."""
    stored = [read_stored_curves(session, job_id, names, None, window) for job_id in job_ids]
    found: dict[str, list[Points]] = {}
    for each in stored:
        for curve in each.curves:
            found.setdefault(curve.name, []).append(curve.points)
    return found, max((each.last_event_id for each in stored), default=0)


def read_folded(
    session: Session,
    job_ids: Sequence[str],
    names: Sequence[str] | None = None,
    limit: int | None = None,
    window: CurveWindow = ALL,
) -> tuple[list[FoldedCurve], int]:
    """Return the jobs' metrics as mean curves, and the id of the newest event in them; raises JobNotFound.

    limit: how many iterations a curve has at most; without it all that some job has.
    """
    found, last_event_id = read_points(session, job_ids, names, window)
    order = sorted(found) if names is None else [name for name in dict.fromkeys(names) if name in found]
    return [fold_curves(name, found[name], limit) for name in order], last_event_id


def thin_folded(curve: FoldedCurve, limit: int) -> FoldedCurve:
    """Keep at most `limit` of the points, with every extreme of the mean, the first and the last."""
    means = Points([point.iteration for point in curve.points], [point.mean for point in curve.points])
    kept = set(reduce_points(means, limit).iterations)
    return FoldedCurve(curve.name, [point for point in curve.points if point.iteration in kept], curve.total)


def fold_curves(name: str, curves: Sequence[Points], limit: int | None = None) -> FoldedCurve:
    """Return the mean of these curves, at no more than `limit` iterations where there is a limit.

    A curve counts from its first to its last finite point; between two points it is taken to go straight from one
    to the other. So jobs that log at other iterations, or end early, are averaged as far as each has come. Where
    there are more iterations than `limit`, each curve is first averaged over stretches of them.
    """
    places = sorted({iteration for curve in curves for iteration in curve.iterations})
    count = min(limit or len(places), len(places))
    ends = [places[(part + 1) * len(places) // count - 1] for part in range(count)]
    rows = zip(*(_follow(curve, ends) for curve in curves), strict=True)
    kept = ([value for value in row if value is not None] for row in rows)
    points = [
        FoldedPoint(iteration, *measure(values), len(values))
        for iteration, values in zip(ends, kept, strict=True)
        if values
    ]
    return FoldedCurve(name, points, sum(map(len, curves)))


def find_mean(curves: Sequence[Points], at: int | None = None) -> float | None:
    """Return the mean at the last iteration up to this one, or at the last of all, that some curve has."""
    cut = [cut_points(curve, 0, at) for curve in curves]
    last = max((curve.iterations[-1] for curve in cut if len(curve)), default=None)
    if last is None:
        return None
    points = fold_curves("", [*map(partial(_cut_around, last=last), curves)]).points
    return next((point.mean for point in reversed(points) if point.iteration <= last), None)


def _cut_around(curve: Points, last: int) -> Points:
    """Return the two points of a curve between which this iteration lies."""
    place = bisect_right(curve.iterations, last)
    return Points(curve.iterations[max(0, place - 1) : place + 1], curve.values[max(0, place - 1) : place + 1])


def measure(values: Sequence[float]) -> tuple[float, float | None]:
    """Return mean and standard deviation (n - 1, None for n = 1) of one finite value or more."""
    count, scale = len(values), max(map(abs, values)) or 1.0
    # Scaled, so that the sum of large numbers, and the squares of small ones, stay numbers.
    mean = math.fsum(value / scale for value in values) / count
    squares = math.fsum((value / scale - mean) ** 2 for value in values)
    return scale * mean, scale * math.sqrt(squares / (count - 1)) if count > 1 else None


def _follow(curve: Points, ends: Sequence[int]) -> list[float | None]:
    """Return the curve at the end of each stretch: its mean in it, or on its way between two of its points."""
    sums: dict[int, list[float]] = {}
    for iteration, value in zip(curve.iterations, curve.values, strict=True):
        if math.isfinite(value):
            sums.setdefault(bisect_left(ends, iteration), []).append(value)
    known = sorted(sums)
    means = {place: measure(values)[0] for place, values in sums.items()}
    found: list[float | None] = [None] * len(ends)
    for place, mean in means.items():
        found[place] = mean
    for place, after in pairwise(known):
        for between in range(place + 1, after):
            share = (ends[between] - ends[place]) / (ends[after] - ends[place])
            found[between] = (1 - share) * means[place] + share * means[after]
    return found
