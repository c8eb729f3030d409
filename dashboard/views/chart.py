"""How a chart is drawn without a script: an inline SVG of plain attributes.

The axis fits the values as they usually are, so that one spike does not flatten the rest; what lies beyond is
drawn at the edge and named.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.formats import show_count, show_number, show_tick
from dashboard.views.common import DISCRIMINATOR_LOSS, GENERATOR_LOSS

CHART_METRICS = (GENERATOR_LOSS, DISCRIMINATOR_LOSS)
CHART_POINTS, MEASURE_POINTS = 600, 200
# The plot's own coordinates; the page stretches them to its width and height.
WIDTH, HEIGHT = 1000, 300
SPIKE_REACH = 3
TICKS = 4
# An axis ends here, and is at least so wide: beyond that, what it is divided by is no float any more.
FURTHEST, NARROWEST = 1e300, 1e-300


@dataclass(frozen=True)
class TickView:
    """One grid line: its place as a percentage from the top, and its value."""

    at: str
    label: str


def usual_range(values: list[float]) -> tuple[float, float]:
    """Return the axis that fits the values but not their spikes, with a little room, from 0 where that is near.

    A spike lies further from the middle half of the values than three times that half is wide.
    """
    if not values:
        return 0.0, 1.0
    ordered = sorted(min(max(value, -FURTHEST), FURTHEST) for value in values)
    lower, upper = ordered[len(ordered) // 4], ordered[-1 - len(ordered) // 4]
    reach = SPIKE_REACH * (upper - lower)
    low, high = max(ordered[0], lower - reach), min(ordered[-1], upper + reach)
    if max(high - low, abs(high)) < NARROWEST:
        low = high = 0.0
    room = 0.08 * (high - low or abs(high) or 1.0)
    return (0.0 if 0 <= low <= high / 2 or low == high > 0 else low - room), high + room


def describe_beyond(values: list[float], low: float, high: float) -> str:
    """Say how many values the axis leaves out."""
    beyond = [value for value in values if not low <= value <= high]
    if not beyond:
        return ""
    most = max(beyond)
    furthest = f"up to {show_number(most)}" if most > high else f"down to {show_number(min(beyond))}"
    return f"{show_count(len(beyond))} point{'s' if len(beyond) > 1 else ''} beyond the axis, {furthest}"


def nice_ticks(low: float, high: float) -> list[float]:
    """Return about four round values inside the range: multiples of 1, 2 or 5 times a power of ten."""
    step = (high - low) / TICKS
    power = 10 ** math.floor(math.log10(step))
    nice = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)
    first, last = math.ceil(low / nice - 1e-9), math.floor(high / nice + 1e-9)
    return [index * nice for index in range(first, last + 1)]


def tick_at(value: float, low: float, high: float) -> TickView:
    """Return the grid line of this value on an axis from low to high."""
    at = 100 * (high - value) / (high - low)
    return TickView(f"{at:.2f}%", show_tick(value))


def draw_path(places: Sequence[float], values: Sequence[float], length: float, low: float, high: float) -> str:
    """Return the path of points on an axis that is so long; a gap where a value is no finite number."""
    parts, pen_down = [], False
    for place, value in zip(places, values, strict=True):
        if not math.isfinite(value):
            pen_down = False
            continue
        x = WIDTH * place / length
        y = HEIGHT * (high - min(max(value, low), high)) / (high - low)
        parts.append(f"{'L' if pen_down else 'M'}{x:.1f} {y:.1f}")
        pen_down = True
    return "".join(parts)
