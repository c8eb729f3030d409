"""Histograms: a row each, with its bins as compressed bytes."""

from collections.abc import Iterable, Sequence

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from api.bins import pack_counts, unpack_counts
from api.db import insert_into
from api.models import HistogramRow
from api.queries.cursors import read_cursor, write_cursor
from api.schemas import HistogramRead, Page
from ganlib.events import HistogramsLogged


def insert_histograms(session: Session, job_id: str, events: Iterable[HistogramsLogged]) -> None:
    """Store histograms; one that comes again for the same iteration takes the place of the earlier one."""
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
    place = (HistogramRow.name, HistogramRow.iteration)
    if cursor is not None:
        query = query.where(tuple_(*place) > tuple_(*read_cursor(cursor, str, int)))
    rows = list(session.scalars(query.order_by(*place).limit(limit + 1)))
    page = rows[:limit]
    more = write_cursor(page[-1].name, page[-1].iteration) if len(rows) > limit else None
    return Page(items=[histogram_read(row) for row in page], next=more)


def list_histogram_iterations(session: Session, job_id: str, name: str) -> list[int]:
    """Return the iterations at which there is a histogram of this name, in order."""
    own = (HistogramRow.job_id == job_id, HistogramRow.name == name)
    return list(session.scalars(select(HistogramRow.iteration).where(*own).order_by(HistogramRow.iteration)))


def list_histograms_at(
    session: Session, job_id: str, names: Sequence[str], iterations: Sequence[int]
) -> list[HistogramRead]:
    """Return the histograms of these names at these iterations, as far as there are any, in order of iteration."""
    wanted = (HistogramRow.name.in_(names), HistogramRow.iteration.in_(iterations))
    query = select(HistogramRow).where(HistogramRow.job_id == job_id, *wanted).order_by(HistogramRow.iteration)
    return [histogram_read(row) for row in session.scalars(query)]


def histogram_read(row: HistogramRow) -> HistogramRead:
    """Show one histogram."""
    # Built without checking each bin again: they were checked when they came.
    return HistogramRead.model_construct(
        name=row.name,
        iteration=row.iteration,
        low=row.low,
        high=row.high,
        counts=unpack_counts(row.counts),
        not_finite=row.not_finite,
    )
