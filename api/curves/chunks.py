"""Chunks of curves: consecutive points of one metric, compressed by column, many metrics to a statement."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, delete, func, insert, select, tuple_
from sqlalchemy.orm import Session, aliased

from api.curves.points import Points, join_points, pack_outline, pack_points, unpack_points
from api.server.database.models import CurveChunk

CHUNK_POINTS = 4096
# Metrics to a statement: a database takes only so many parameters.
_SLICE = 500

# The points of some metrics: iteration → value, a metric at a time. A later value of an iteration wins.
Tail = dict[str, dict[int, float]]
Item = TypeVar("Item")


def merge_into_chunks(session: Session, job_id: str, tail: Tail) -> None:
    """Write points into the chunks whose ranges they touch, and into each metric's newest while it has room."""
    for metrics in in_slices(sorted(tail)):
        touched: dict[str, list[Points]] = {}
        keys: list[tuple[str, int]] = []
        first = min(min(tail[metric]) for metric in metrics)
        for metric, first_iteration, packed in session.execute(_find_touched(job_id, metrics, first)):
            touched.setdefault(metric, []).append(unpack_points(packed))
            keys.append((metric, first_iteration))
        for some in in_slices(keys):
            own = tuple_(CurveChunk.metric, CurveChunk.first_iteration).in_(some)
            session.execute(delete(CurveChunk).where(CurveChunk.job_id == job_id, own))
        insert_chunks(
            session,
            job_id,
            {metric: merge_points(join_points(touched.get(metric, ())), tail[metric]) for metric in metrics},
        )


def insert_chunks(session: Session, job_id: str, curves: Mapping[str, Points]) -> None:
    """Store curves, or parts of them that overlap no stored chunk."""
    rows = [_chunk_row(job_id, metric, part) for metric, points in curves.items() for part in _split(points)]
    if rows:
        session.execute(insert(CurveChunk), rows)


def merge_points(points: Points, newer: Mapping[int, float]) -> Points:
    """Return both in order of iteration; of two values for one iteration the newer wins."""
    rising = sort_points(newer)
    if not len(points) or rising.iterations[0] > points.iterations[-1]:
        return join_points((points, rising))
    return sort_points(dict(zip(points.iterations, points.values, strict=True)) | dict(newer))


def sort_points(values: Mapping[int, float]) -> Points:
    """Return points in order of iteration."""
    iterations = sorted(values)
    return Points(iterations, [values[iteration] for iteration in iterations])


def in_slices(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Yield the items, so many at a time as a statement takes."""
    for start in range(0, len(items), _SLICE):
        yield items[start : start + _SLICE]


def _find_touched(job_id: str, metrics: Sequence[str], first: int) -> Select[str, int, bytes]:
    """Return the query of each metric's last chunks: those that end at `first` or later, and one that has room."""
    other = aliased(CurveChunk)
    same = (other.job_id == CurveChunk.job_id, other.metric == CurveChunk.metric)
    newest = select(func.max(other.first_iteration)).where(*same).scalar_subquery()
    has_room = (CurveChunk.count < CHUNK_POINTS) & (CurveChunk.first_iteration == newest)
    return (
        select(CurveChunk.metric, CurveChunk.first_iteration, CurveChunk.points)
        .where(CurveChunk.job_id == job_id, CurveChunk.metric.in_(metrics))
        .where((CurveChunk.last_iteration >= first) | has_room)
        .order_by(CurveChunk.metric, CurveChunk.first_iteration)
    )


def _split(points: Points) -> Iterator[Points]:
    for start in range(0, len(points), CHUNK_POINTS):
        end = start + CHUNK_POINTS
        yield Points(points.iterations[start:end], points.values[start:end])


def _chunk_row(job_id: str, metric: str, points: Points) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "metric": metric,
        "first_iteration": points.iterations[0],
        "last_iteration": points.iterations[-1],
        "count": len(points),
        "points": pack_points(points),
        "outline": pack_outline(metric, points.values),
    }
