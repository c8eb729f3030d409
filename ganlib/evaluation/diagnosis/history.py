"""The signals of a run so far, as rules see them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ganlib.vocabulary import DISCRIMINATOR_CHANGE, GENERATOR_CHANGE, KIND_SHARE, MOVEMENT

# Rules look back no further, so that a checkpoint's share of it stays small.
MOST_POINTS = 64
_EARLY_ITERATIONS, _EARLY_SHARE = 500, 0.4
# Networks that learn slowly draw few kinds for long, and cells that drift; a collapse leaps from kind to kind, or
# follows on many kinds.
_SLOW_ITERATIONS, _CALM_MOVEMENT, _MANY_SHARE = 2000, 0.3, 0.4
# An update of weights by less of themselves changes nothing that could be seen.
LEAST_CHANGE = 1e-5


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

    def is_early(self, most: int = _EARLY_ITERATIONS, back: int = 0) -> bool:
        """Whether samples may still be alike because nothing is learnt yet: the first 500 iterations, or 40 %.

        most: so many iterations instead of 500. back: asks it of the point so many before the newest one.
        """
        at = self.points[-1 - back].iteration if len(self.points) > back else 0
        return at < min(most, _EARLY_SHARE * self.iterations)

    def may_be_slow(self) -> bool:
        """Whether few kinds may be those of networks that learn slowly: cells drift, and kinds never were many.

        Beyond the first 2,000 iterations nothing counts as slow.
        """
        moves = self.last(MOVEMENT.name, 3)
        if not self.points or self.points[-1].iteration >= _SLOW_ITERATIONS:
            return False
        return max(moves, default=0.0) < _CALM_MOVEMENT and self.highest.get(KIND_SHARE.name, 0.0) < _MANY_SHARE

    def has_still_discriminator(self) -> bool:
        """Whether the discriminator's weights hardly change: what it says is not what it has learnt."""
        return self._is_still(DISCRIMINATOR_CHANGE.name)

    def has_still_generator(self) -> bool:
        """Whether the generator's weights hardly change, so that what it draws is not what it learns."""
        return self._is_still(GENERATOR_CHANGE.name)

    def _is_still(self, change: str) -> bool:
        changes = self.last(change, 3)
        return bool(changes) and max(changes) < LEAST_CHANGE
