"""Histograms: compressed bins, common bins for drawing, and their rows."""

import struct
import zlib
from collections.abc import Iterable, Sequence

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from api.curves.schemas import HistogramRead
from api.server.database.cursors import read_cursor, read_page
from api.server.database.engine import insert_into
from api.server.database.models import HistogramRow
from api.server.http.schemas import Page
from ganlib.events import BIN_COUNT, Histogram, HistogramsLogged

# Far outside, but the difference of two such rows stays finite.
_FAR = 1e12
_LAYOUT = struct.Struct(f"<{BIN_COUNT}I")


def pack_counts(counts: Sequence[int]) -> bytes:
    """Compress the bins of one histogram to about 80 bytes: most are empty or small."""
    return zlib.compress(_LAYOUT.pack(*counts), 6)


def unpack_counts(packed: bytes) -> tuple[int, ...]:
    """Read the output of pack_counts."""
    return _LAYOUT.unpack(zlib.decompress(packed))


def rebin(histogram: Histogram, low: float, high: float, rows: int) -> list[float]:
    """Return the share of the histogram's values, 0 to 1, in each of `rows` equal bins from low to high.

    Values are assumed to be spread evenly over a bin. Values below low or above high count to the first or last
    row; NaN and infinities count to no row, but to the total.
    """
    shares = [0.0] * rows
    total = sum(histogram.counts) + histogram.not_finite
    for place, count in enumerate(histogram.counts):
        if count:
            start, end = (_find_row(_edge(histogram, at), low, high, rows) for at in (place, place + 1))
            _spread(shares, start, end, count / total)
    return shares


def _edge(histogram: Histogram, place: int) -> float:
    """Return the lower edge of a bin."""
    part = place / BIN_COUNT
    return histogram.low * (1 - part) + histogram.high * part


def _find_row(value: float, low: float, high: float, rows: int) -> float:
    # Halved before subtraction: the range may exceed the largest float.
    row = (value / 2 - low / 2) / (high / 2 - low / 2) * rows
    return min(max(row, -_FAR), _FAR)


def _spread(shares: list[float], start: float, end: float, share: float) -> None:
    """Distribute a share over the rows between start and end, in proportion to their overlap."""
    last = len(shares) - 1
    bottom, top = min(max(start, 0.0), last), min(max(end, 0.0), len(shares))
    begin, stop = int(bottom), min(int(top), last)
    if begin >= stop:
        shares[begin] += share
        return
    length = end - start
    for row in range(begin, stop + 1):
        # The outermost rows include the values beyond them.
        lower = start if row == 0 else max(start, row)
        upper = end if row == last else min(end, row + 1)
        shares[row] += share * max(0.0, upper - lower) / length


def insert_histograms(session: Session, job_id: str, events: Iterable[HistogramsLogged]) -> None:
    """Store histograms; a repeated one of the same iteration replaces the earlier one."""
    rows = {
        (name, event.iteration): {
            "job_id": job_id,
            "name": name,
            "iteration": event.iteration,
            "low": histogram.low,
            "high": histogram.high,
            "not_finite": histogram.not_finite,
            "counts": pack_counts(histogram.counts),
        }
        for event in events
        for name, histogram in event.histograms.items()
    }
    if not rows:
        return
    insert_rows = insert_into(session, HistogramRow).values(list(rows.values()))
    given = insert_rows.excluded
    changed = {column: given[column] for column in ("low", "high", "not_finite", "counts")}
    session.execute(
        insert_rows.on_conflict_do_update(index_elements=["job_id", "name", "iteration"], set_=changed)
    )


def list_histograms(
    session: Session, job_id: str, names: Sequence[str] | None = None, limit: int = 1000, cursor: str | None = None
) -> Page[HistogramRead]:
    """Return one page of a job's histograms, by name and then in order of iteration."""
    query = select(HistogramRow).where(HistogramRow.job_id == job_id)
    if names is not None:
        query = query.where(HistogramRow.name.in_(names))
    key = (HistogramRow.name, HistogramRow.iteration)
    if cursor is not None:
        query = query.where(tuple_(*key) > tuple_(*read_cursor(cursor, str, int)))
    return read_page(session, query.order_by(*key), limit, histogram_read, lambda row: (row.name, row.iteration))


def list_histogram_names(session: Session, job_id: str) -> list[str]:
    """Return the names of a job's histograms, in order."""
    query = select(HistogramRow.name).where(HistogramRow.job_id == job_id).distinct()
    return list(session.scalars(query.order_by(HistogramRow.name)))


def list_histogram_iterations(session: Session, job_id: str, name: str) -> list[int]:
    """Return the iterations at which there is a histogram of this name, in order."""
    own = (HistogramRow.job_id == job_id, HistogramRow.name == name)
    return list(session.scalars(select(HistogramRow.iteration).where(*own).order_by(HistogramRow.iteration)))


def list_histograms_at(
    session: Session, job_id: str, names: Sequence[str], iterations: Sequence[int]
) -> list[HistogramRead]:
    """Return the existing histograms of these names at these iterations, in order of iteration."""
    wanted = (HistogramRow.name.in_(names), HistogramRow.iteration.in_(iterations))
    query = select(HistogramRow).where(HistogramRow.job_id == job_id, *wanted).order_by(HistogramRow.iteration)
    return [histogram_read(row) for row in session.scalars(query)]


def histogram_read(row: HistogramRow) -> HistogramRead:
    """Return the schema of a histogram."""
    # Built without validation: the bins were validated when they were posted.
    return HistogramRead.model_construct(
        name=row.name,
        iteration=row.iteration,
        low=row.low,
        high=row.high,
        counts=unpack_counts(row.counts),
        not_finite=row.not_finite,
    )
