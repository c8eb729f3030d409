"""The small curves of the list's rows: the losses of many runs as one picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from api.curves.points import Stretch
from ganlib.vocabulary import Player

SPARK_WIDTH, SPARK_HEIGHT = 120, 28
# Columns of a sparkline.
SPARK_COLUMNS = 60
# The share of the values on either side that counts as spikes and is cut off.
SPARK_CUT = 0.02
# The opacity of the band from the lowest to the highest values.
SPARK_BAND = 0.25


@dataclass(frozen=True)
class SparklineView:
    """A small curve of a row. symbol: begins its name in the file of all sparklines."""

    metric: str
    player: Player
    symbol: str


def list_sparklines(losses: Mapping[str, Player]) -> list[SparklineView]:
    """Return a run's sparklines: the players' losses, or the first and second one of nobody's."""
    return [
        SparklineView(name, player, player[:1] or "mn"[place])
        for place, (name, player) in enumerate(losses.items())
    ]


def draw_sparklines(
    outlines: Mapping[str, Mapping[str, Sequence[Stretch]]],
    losses: Mapping[str, Mapping[str, Player]],
    lengths: Mapping[str, int],
) -> str:
    """Return the losses of many runs as one SVG document: a symbol for each curve, without colours of its own.

    A curve is the line of its means in a band from its lowest to its highest values. lengths: of the runs' axes.
    """
    symbols = [
        _write_symbol(f"{each.symbol}-{job_id}", *drawn[each.metric])
        for job_id, curves in outlines.items()
        if (drawn := _draw_sparkline(curves, lengths.get(job_id, 1)))
        for each in list_sparklines(losses[job_id])
        if each.metric in drawn
    ]
    return f"<svg xmlns='http://www.w3.org/2000/svg'>{''.join(symbols)}</svg>"


def _write_symbol(name: str, line: str, band: str) -> str:
    return (
        f"<symbol id={quoteattr(name)} viewBox='0 0 {SPARK_WIDTH} {SPARK_HEIGHT}' preserveAspectRatio='none'>"
        f"<path d='{line}' fill='none' vector-effect='non-scaling-stroke'/>"
        f"<path d='{band}' fill='currentColor' fill-opacity='{SPARK_BAND}' stroke='none'/></symbol>"
    )


def _draw_sparkline(curves: Mapping[str, Sequence[Stretch]], length: int) -> dict[str, tuple[str, str]]:
    bounds = sorted(value for curve in curves.values() for part in curve for value in (part.low, part.high))
    if not bounds:
        return {}
    cut = int(len(bounds) * SPARK_CUT)
    low, high = bounds[cut], bounds[-1 - cut]
    columns = {name: _thin(curve, length) for name, curve in curves.items()}
    return {name: _draw_curve(each, low, high) for name, each in columns.items() if each}


def _thin(curve: Sequence[Stretch], length: int) -> list[tuple[float, float, float, float]]:
    """Return (position from 0 to 1, lowest, highest, mean) for each column of the picture that has values."""
    columns: dict[int, list[Stretch]] = {}
    for part in curve:
        middle = part.first / 2 + part.last / 2
        columns.setdefault(min(SPARK_COLUMNS - 1, int(middle / length * SPARK_COLUMNS)), []).append(part)
    return [
        (
            (column + 0.5) / SPARK_COLUMNS,
            min(part.low for part in parts),
            max(part.high for part in parts),
            sum(part.mean / len(parts) for part in parts),
        )
        for column, parts in sorted(columns.items())
    ]


def _draw_curve(columns: Sequence[tuple[float, float, float, float]], low: float, high: float) -> tuple[str, str]:
    """Return the path through the means, and around the band from the lowest to the highest values."""
    # Halved first: the range may be wider than the largest float.
    reach = (high / 2 - low / 2) or 1.0

    def place(position: float, value: float) -> str:
        up = min(1.0, max(0.0, (value / 2 - low / 2) / reach))
        return f"{position * SPARK_WIDTH:.1f},{1 + (SPARK_HEIGHT - 2) * (1 - up):.1f}"

    means = [place(position, mean) for position, _, _, mean in columns]
    tops = [place(position, highest) for position, _, highest, _ in columns]
    bottoms = [place(position, lowest) for position, lowest, _, _ in columns]
    # A single point is a line to itself, which its round end shows as a dot.
    line = " ".join(means if len(means) > 1 else 2 * means)
    return f"M{line}", f"M{' '.join([*tops, *bottoms[::-1]])}Z"
