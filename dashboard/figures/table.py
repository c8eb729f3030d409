"""Curves as a table for other programs: one point a row, every point, every digit."""

import csv
import io
from collections.abc import Iterable, Iterator

from api.points import Points

HEADINGS = ("run", "name", "metric", "iteration", "value")
ROWS_AT_ONCE = 5000
# A spreadsheet takes a text that begins with one of these for a formula, and runs it.
_FORMULAS = ("=", "+", "-", "@")


def write_table(curves: Iterable[tuple[str, str, str, Points]]) -> Iterator[bytes]:
    """Yield the CSV of (run id, run name, metric, points); what is no finite number is nan, inf or -inf."""
    yield _write([HEADINGS])
    for run, name, metric, points in curves:
        fixed = (defuse(run), defuse(name), defuse(metric))
        for start in range(0, len(points), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            pairs = zip(points.iterations[part], points.values[part], strict=True)
            yield _write((*fixed, str(iteration), repr(float(value))) for iteration, value in pairs)


def defuse(text: str) -> str:
    """Return the text so that a spreadsheet shows it and computes nothing."""
    line = " ".join(text.split())
    return f"'{line}" if line.startswith(_FORMULAS) else line


def _write(rows: Iterable[Iterable[str]]) -> bytes:
    part = io.StringIO()
    csv.writer(part, lineterminator="\n").writerows(rows)
    return part.getvalue().encode()
