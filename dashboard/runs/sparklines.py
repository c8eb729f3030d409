"""Both losses of many runs as one SVG document: each curve a symbol, which a page of the list draws by its name.

Strokes are the page's: what is drawn here has none of its own.
"""

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import quoteattr

from api.curves.points import OUTLINED, Stretch

WIDTH, HEIGHT = 120, 28
# As many columns of a sparkline are told apart.
COLUMNS = 60
# Spikes beyond this share of all values on either side are cut off, so that the rest can be seen.
CUT = 0.02
SYMBOLS = {"loss/generator": "g", "loss/discriminator": "d"}


def draw_sparklines(outlines: Mapping[str, Mapping[str, Sequence[Stretch]]]) -> str:
    """Return the document; each run's curves fill their width, from its first iteration to its newest."""
    symbols = [
        f"<symbol id={quoteattr(f'{SYMBOLS[metric]}-{job_id}')} viewBox='0 0 {WIDTH} {HEIGHT}' "
        f"preserveAspectRatio='none'><path d='{path}' fill='none' vector-effect='non-scaling-stroke'/></symbol>"
        for job_id, curves in outlines.items()
        for metric, path in _draw_run(curves).items()
    ]
    return f"<svg xmlns='http://www.w3.org/2000/svg'>{''.join(symbols)}</svg>"


def _draw_run(curves: Mapping[str, Sequence[Stretch]]) -> dict[str, str]:
    bounds = sorted(value for curve in curves.values() for part in curve for value in (part.low, part.high))
    if not bounds:
        return {}
    cut = int(len(bounds) * CUT)
    low, high = bounds[cut], bounds[-1 - cut]
    first = min(part.first for curve in curves.values() for part in curve)
    last = max(part.last for curve in curves.values() for part in curve)
    paths = {name: _draw_curve(_thin(curves.get(name, ()), first, last), low, high) for name in OUTLINED}
    return {name: path for name, path in paths.items() if path}


def _thin(curve: Sequence[Stretch], first: float, last: float) -> list[tuple[float, float, float]]:
    """Return (place from 0 to 1, lowest, highest) for each column of the picture that has values."""
    columns: dict[int, tuple[float, float]] = {}
    for part in curve:
        middle = (part.first + part.last) / 2 - first
        place = min(COLUMNS - 1, int(middle / max(1.0, last - first) * COLUMNS))
        low, high = columns.get(place, (part.low, part.high))
        columns[place] = (min(low, part.low), max(high, part.high))
    return [((place + 0.5) / COLUMNS, *columns[place]) for place in sorted(columns)]


def _draw_curve(columns: Sequence[tuple[float, float, float]], low: float, high: float) -> str:
    """Return a path through each column's lowest and highest value, alternately from below and from above."""
    # Halved first: the range may be wider than the largest float.
    reach = (high / 2 - low / 2) or 1.0
    points: list[str] = []
    for number, (place, lowest, highest) in enumerate(columns):
        pair = (lowest, highest) if number % 2 else (highest, lowest)
        for value in pair if highest > lowest else pair[:1]:
            up = min(1.0, max(0.0, (value / 2 - low / 2) / reach))
            points.append(f"{place * WIDTH:.1f},{1 + (HEIGHT - 2) * (1 - up):.1f}")
    if len(points) == 1:
        points.append(points[0])
    return f"M{' '.join(points)}" if points else ""
