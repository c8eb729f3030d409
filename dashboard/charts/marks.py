"""Marks along an axis: the stretch from where something began to where it ended, in a lane of its own kind."""

from collections.abc import Sequence
from dataclasses import dataclass

# The heights of a lane and of the marks in it, in pixels.
LANE, THICKNESS = 9, 6
# A mark that ends where it began can still be seen and pointed at; as a percentage.
LEAST_WIDTH = 0.6
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
    """A span as it is drawn: left end and width as percentages, and its top below that of the lanes in pixels."""

    x: str
    width: str
    y: int
    since: float
    ended: float | None
    tone: str
    text: str
    href: str

    @property
    def height(self) -> int:
        """The height of the mark, in pixels."""
        return THICKNESS

    @property
    def bottom(self) -> int:
        """The lower end of its lane, in pixels."""
        return self.y + LANE


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
                x=f"{100 * (start - first) / length:.2f}%",
                width=f"{max(LEAST_WIDTH, 100 * (end - start) / length):.2f}%",
                y=LANE * min(lanes[span.kind], MOST_LANES - 1),
                since=span.since,
                ended=span.ended,
                tone=span.tone,
                text=span.text,
                href=span.href,
            )
        )
    return placed
