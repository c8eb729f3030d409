"""The signals of a run so far, as rules see them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

# Rules look back no further, so that a checkpoint's share of it stays small.
MOST_POINTS = 64
_EARLY_ITERATIONS, _EARLY_SHARE = 500, 0.4


@dataclass(frozen=True)
class Point:
    """All that was measured at one iteration, by the metric's name."""

    iteration: int
    values: dict[str, float]


@dataclass
class History:
    """The newest points, oldest first, of a run of `iterations`; `facts` are those of its spec that rules need.

    point_count: of all points so far. lowest, highest: of each signal's finite values so far.
    """

    iterations: int
    sample_count: int = 64
    facts: dict[str, bool | int | float | str] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    point_count: int = 0
    lowest: dict[str, float] = field(default_factory=dict)
    highest: dict[str, float] = field(default_factory=dict)

    def add(self, point: Point) -> None:
        """Append a point and forget the oldest where there are too many."""
        self.points.append(point)
        self.point_count += 1
        for name, value in point.values.items():
            if math.isfinite(value):
                self.lowest[name] = min(value, self.lowest.get(name, value))
                self.highest[name] = max(value, self.highest.get(name, value))
        del self.points[:-MOST_POINTS]

    def value(self, name: str) -> float | None:
        """Return the newest point's value of a signal, None where it has none or one that is not finite."""
        found = self.points[-1].values.get(name) if self.points else None
        return found if found is not None and math.isfinite(found) else None

    def last(self, name: str, count: int) -> list[float]:
        """Return the finite values of a signal at the newest `count` points, oldest first."""
        recent: Sequence[Point] = self.points[-count:]
        found = [point.values[name] for point in recent if name in point.values]
        return [value for value in found if math.isfinite(value)]

    def is_early(self) -> bool:
        """Whether samples may still be alike because nothing is learnt yet: the first 500 iterations, or 40 %."""
        at = self.points[-1].iteration if self.points else 0
        return at < min(_EARLY_ITERATIONS, _EARLY_SHARE * self.iterations)
