"""Tables for a terminal: aligned columns, and colour where a terminal shows it (click leaves it out elsewhere)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from unicodedata import combining, east_asian_width

import click

STATE_COLOURS = {
    "queued": "bright_black",
    "running": "cyan",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
}
TONE_COLOURS = {"serious": "red", "warning": "yellow", "note": "blue", "good": "green"}
_GAP = "  "


@dataclass(frozen=True)
class Cell:
    """A text and its colour; the width of a column is that of its texts."""

    text: str
    colour: str | None = None
    bold: bool = False

    def paint(self, width: int, align: Literal["<", ">"]) -> str:
        """Return the text, padded to this many columns of the terminal."""
        padding = " " * max(0, width - measure(self.text))
        text = click.style(self.text, fg=self.colour, bold=self.bold or None) if self.text else ""
        return padding + text if align == ">" else text + padding


def show_state(state: str) -> Cell:
    """Return a run's state in its colour."""
    return Cell(state, STATE_COLOURS.get(state))


def show_verdict(verdict: Any) -> Cell:
    """Return a verdict in the colour of its tone."""
    from ganlib.runtime.terminal import strip_controls

    return Cell(strip_controls(verdict.text), TONE_COLOURS.get(verdict.tone))


def measure(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(0 if combining(sign) else 2 if east_asian_width(sign) in "WF" else 1 for sign in text)


def cut(text: str, width: int) -> str:
    """Return the text in at most so many columns, with an ellipsis where it was longer."""
    if measure(text) <= width:
        return text
    while text and measure(text) >= width:
        text = text[:-1]
    return f"{text}…"


def render_table(
    headings: Sequence[str], rows: Sequence[Sequence[Cell | str]], right: Collection[str] = ()
) -> str:
    """Return the lines of a table. right: headings of the columns that are aligned there, such as numbers."""
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    head = [Cell(heading, bold=True) for heading in headings]
    widths = [max(measure(row[place].text) for row in [head, *cells]) for place in range(len(headings))]
    lines = []
    for row in [head, *cells]:
        parts = [
            cell.paint(width, ">" if heading in right else "<")
            for cell, width, heading in zip(row, widths, headings, strict=True)
        ]
        lines.append(_GAP.join(parts).rstrip())
    return "\n".join(lines)
