"""Marks along an axis: the stretch from where something began to where it ended, in a lane of its own kind."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# The height of a lane in pixels.
LANE = 9
MOST_LANES = 6


@dataclass(frozen=True)
class Span:
    """A stretch of an axis and what is said of it; without `ended` it lasts to the end of the axis.

    kind: spans of one kind share a lane. tone: the colour, a tone of a verdict or `best`. href: where it leads.
    """

    kind: str
    since: float
    ended: float | None
    tone: str
    text: str
    href: str


@dataclass(frozen=True)
class SpanView:
    """A span as it is drawn: both ends as percentages, and its middle below the top of the lanes in pixels."""

    start: str
    end: str
    y: float
    since: float
    ended: float | None
    tone: str
    text: str
    href: str

    @property
    def bottom(self) -> int:
        """The lower end of its lane, in pixels."""
        return math.ceil(self.y + LANE / 2)


def place_spans(spans: Sequence[Span], first: float, last: float) -> list[SpanView]:
    """Return the spans on an axis from first to last, as far as they lie on it; kinds keep their order."""
    lanes = {kind: index for index, kind in enumerate(dict.fromkeys(span.kind for span in spans))}
    length = max(last - first, 1)
    placed = []
    for span in spans:
        start, end = max(span.since, first), min(last if span.ended is None else span.ended, last)
        if start > last or end < first:
            continue
        placed.append(
            SpanView(
                start=f"{100 * (start - first) / length:.2f}%",
                end=f"{100 * (max(start, end) - first) / length:.2f}%",
                y=LANE * (min(lanes[span.kind], MOST_LANES - 1) + 0.5),
                since=span.since,
                ended=span.ended,
                tone=span.tone,
                text=span.text,
                href=span.href,
            )
        )
    return placed
