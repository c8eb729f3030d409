"""Reads and writes of curves: points are folded from event batches into compressed chunks, a metric at a time.

Reading a curve joins its chunks with the points of the batches that are not folded yet (the tail).
"""

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol, TypeVar, TypeVarTuple

from sqlalchemy import Select, delete, func, insert, select, tuple_, update
from sqlalchemy.orm import Session, aliased

from api.curves.columns import StoredCurve, StoredCurves
from api.curves.points import (
    Points,
    Stretch,
    cut_points,
    join_points,
    pack_outline,
    pack_points,
    reduce_points,
    reduce_to_bands,
    unpack_outline,
    unpack_points,
)
from api.curves.schemas import Curve, CurvesRead
from api.errors import JobNotFound
from api.events.log import unpack_body
from api.server.database.models import CurveChunk, EventBatch, Job, LatestValue

# A longer tail is folded.
TAIL_BATCHES = 200
TAIL_POINTS = 2048
CHUNK_POINTS = 4096
# The largest iteration that the tables hold.
LAST_ITERATION = 2**31 - 1
# Databases limit the number of parameters of a statement.
_METRICS_PER_STATEMENT = 500
_CHUNKS_AT_ONCE = 32

# Points by metric: iteration → value. A later value of an iteration replaces the earlier one.
Tail = dict[str, dict[int, float]]
# The outline of a growing curve has this many parts.
OUTLINE_BANDS = 64
Outlines = dict[str, dict[str, list[Stretch]]]
Item = TypeVar("Item")
Columns = TypeVarTuple("Columns")


@dataclass(frozen=True)
class CurveWindow:
    """The iterations from `first` up to `last`, both included; without `last` up to the end."""

    first: int = 0
    last: int | None = None


ALL = CurveWindow()


def read_curves(
    session: Session,
    job_id: str,
    names: Sequence[str] | None = None,
    points: int | None = None,
    window: CurveWindow = ALL,
) -> CurvesRead:
    """Return the job's curves by name; at most `points` points each, with every extreme among them."""
    stored = read_stored_curves(session, job_id, names, points, window)
    # Built without validation: the numbers were validated when they were posted.
    curves = [
        Curve.model_construct(
            name=curve.name,
            iterations=list(curve.points.iterations),
            values=list(curve.points.values),
            total=curve.total,
        )
        for curve in stored.curves
    ]
    return CurvesRead(curves=curves, last_event_id=stored.last_event_id)


def read_stored_curves(
    session: Session,
    job_id: str,
    names: Sequence[str] | None = None,
    points: int | None = None,
    window: CurveWindow = ALL,
) -> StoredCurves:
    """Return the curves of `read_curves` as columns, without checking or copying each number."""
    listing = list_curves(session, job_id, names, window)
    return StoredCurves(list(iterate_curves(session, listing, points)), listing.last_event_id)


@dataclass(frozen=True)
class CurveListing:
    """The names of a job's curves in their order, with what it takes to read them one after another."""

    job_id: str
    names: list[str]
    window: CurveWindow
    tail: Tail
    last_event_id: int


def list_curves(
    session: Session, job_id: str, names: Sequence[str] | None = None, window: CurveWindow = ALL
) -> CurveListing:
    """Return the existing ones of these curves, or all; raises JobNotFound."""
    job = session.execute(select(Job.folded_event_id, Job.last_event_id).where(Job.id == job_id)).one_or_none()
    if job is None:
        raise JobNotFound(job_id=job_id)
    tail = _read_tail(session, job_id, job.folded_event_id)
    stored = set(session.scalars(_find_chunks(select(CurveChunk.metric).distinct(), job_id, window)))
    known = stored | set(tail)
    selected = sorted(known) if names is None else [name for name in names if name in known]
    return CurveListing(job_id, selected, window, tail, job.last_event_id)


def iterate_curves(session: Session, listing: CurveListing, points: int | None = None) -> Iterator[StoredCurve]:
    """Yield the listed curves, each read when its turn comes, so that no more than one is in memory.

    points: at most so many of each, with every extreme among them.
    """
    window = listing.window
    query = select(CurveChunk.points).order_by(CurveChunk.first_iteration)
    for name in listing.names:
        chunks = session.scalars(_find_chunks(query, listing.job_id, window).where(CurveChunk.metric == name))
        joined = join_points(map(unpack_points, chunks.yield_per(_CHUNKS_AT_ONCE)))
        tail = listing.tail.get(name)
        if tail:
            joined = merge_points(joined, tail)
        if window != ALL:
            joined = cut_points(joined, window.first, window.last)
        yield StoredCurve(name, joined if points is None else reduce_points(joined, points), len(joined))


def read_values_at(
    session: Session, job_id: str, names: Sequence[str], at: float | None = None
) -> dict[str, tuple[int, float]]:
    """Return (iteration, value) of each metric's last point up to this iteration, or of its newest.

    Metrics without such a point are left out; a value may be NaN or infinite.
    """
    last = LAST_ITERATION if at is None else math.floor(min(at, LAST_ITERATION))
    own = (CurveChunk.job_id == job_id, CurveChunk.metric.in_(names), CurveChunk.first_iteration <= last)
    newest = (
        select(CurveChunk.metric, func.max(CurveChunk.first_iteration).label("first_iteration"))
        .where(*own)
        .group_by(CurveChunk.metric)
        .subquery()
    )
    is_newest = (CurveChunk.metric == newest.c.metric) & (CurveChunk.first_iteration == newest.c.first_iteration)
    query = select(CurveChunk.metric, CurveChunk.points).join(newest, is_newest).where(*own)
    found: dict[str, tuple[int, float]] = {}
    for metric, packed in session.execute(query):
        points = cut_points(unpack_points(packed), 0, last)
        found[metric] = (points.iterations[-1], points.values[-1])
    folded = session.scalars(select(Job.folded_event_id).where(Job.id == job_id)).one()
    tail = _read_tail(session, job_id, folded)
    for name in names:
        iteration = max((each for each in tail.get(name, ()) if each <= last), default=-1)
        if iteration >= found.get(name, (0, 0.0))[0]:
            found[name] = (iteration, tail[name][iteration])
    return found


def collect_tail(logged: Iterable[tuple[int, Mapping[str, float | str]]]) -> Tail:
    """Group rows of (iteration, value by metric), in order of arrival, by metric."""
    tail: Tail = {}
    # Consecutive rows with the same metrics, as a loop logs them, are transposed together.
    for metrics, run in groupby(logged, lambda row: tuple(row[1])):
        iterations, values = zip(*((iteration, row.values()) for iteration, row in run), strict=True)
        for metric, column in zip(metrics, zip(*values, strict=True), strict=True):
            tail.setdefault(metric, {}).update(zip(iterations, map(float, column), strict=True))
    return tail


def fold_tail(session: Session, job: Job) -> None:
    """Move the tail's points into chunks; the caller has locked the job's row."""
    merge_into_chunks(session, job.id, _read_tail(session, job.id, job.folded_event_id))
    folded = {"folded_event_id": job.last_event_id, "tail_batches": 0, "tail_points": 0}
    session.execute(update(Job).where(Job.id == job.id).values(folded))
    session.refresh(job)


class JobWithTail(Protocol):
    """A job whose row is locked, with the length of its tail."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def folded_event_id(self) -> int: ...  # noqa: D102
    @property
    def tail_batches(self) -> int: ...  # noqa: D102
    @property
    def tail_points(self) -> int: ...  # noqa: D102


def fold_long_tail(session: Session, job: JobWithTail, arriving: Tail) -> bool:
    """Fold the tail and the arriving points if the tail would become too long; return whether it did.

    The caller then records an empty tail.
    """
    points = job.tail_points + sum(len(values) for values in arriving.values())
    if job.tail_batches < TAIL_BATCHES and points < TAIL_POINTS:
        return False
    tail = _read_tail(session, job.id, job.folded_event_id)
    for metric, values in arriving.items():
        tail.setdefault(metric, {}).update(values)
    merge_into_chunks(session, job.id, tail)
    return True


def discard_points(session: Session, job: Job, after: int) -> None:
    """Delete every later point from curves and newest values; the caller has locked the job's row."""
    fold_tail(session, job)
    later = select(CurveChunk).where(CurveChunk.job_id == job.id, CurveChunk.last_iteration > after)
    for chunk in list(session.scalars(later)):
        points = unpack_points(chunk.points)
        kept = bisect_right(points.iterations, after)
        session.delete(chunk)
        session.flush()
        insert_chunks(session, job.id, {chunk.metric: Points(points.iterations[:kept], points.values[:kept])})
    session.execute(delete(LatestValue).where(LatestValue.job_id == job.id, LatestValue.iteration > after))
    _restore_latest(session, job.id)


def _restore_latest(session: Session, job_id: str) -> None:
    known = select(LatestValue.metric).where(LatestValue.job_id == job_id)
    newest = (
        select(CurveChunk.metric, func.max(CurveChunk.first_iteration).label("first_iteration"))
        .where(CurveChunk.job_id == job_id, CurveChunk.metric.not_in(known))
        .group_by(CurveChunk.metric)
        .subquery()
    )
    query = select(CurveChunk).where(
        CurveChunk.job_id == job_id,
        CurveChunk.metric == newest.c.metric,
        CurveChunk.first_iteration == newest.c.first_iteration,
    )
    for chunk in list(session.scalars(query)):
        points = unpack_points(chunk.points)
        value = latest_columns(points.iterations[-1], points.values[-1])
        session.execute(insert(LatestValue).values(job_id=job_id, metric=chunk.metric, **value))


def latest_columns(iteration: int, value: float) -> dict[str, float | str | None]:
    """Return the columns of a newest value; NaN and infinities, which SQL lacks, go into `flag`."""
    if value != value:
        return {"iteration": iteration, "value": None, "flag": "nan"}
    if value in (float("inf"), float("-inf")):
        return {"iteration": iteration, "value": None, "flag": "inf" if value > 0 else "-inf"}
    return {"iteration": iteration, "value": value, "flag": None}


def _read_tail(session: Session, job_id: str, folded_event_id: int) -> Tail:
    query = select(EventBatch.body).where(
        EventBatch.job_id == job_id, EventBatch.id > folded_event_id, EventBatch.first_seq.is_not(None)
    )
    bodies = session.scalars(query.order_by(EventBatch.id))
    events = (item["event"] for body in bodies for item in unpack_body(body))
    return collect_tail(
        (event["iteration"], event["values"]) for event in events if event["kind"] == "metrics_logged"
    )


def _find_chunks(query: Select[*Columns], job_id: str, window: CurveWindow) -> Select[*Columns]:
    query = query.where(CurveChunk.job_id == job_id)
    if window.first > 0:
        query = query.where(CurveChunk.last_iteration >= window.first)
    if window.last is not None:
        query = query.where(CurveChunk.first_iteration <= window.last)
    return query


def read_outlines(session: Session, metrics: Mapping[str, Collection[str]]) -> Outlines:
    """Return the outlines of these metrics by job and metric, without jobs that have none. metrics: by job."""
    outlines: Outlines = {}
    columns = (CurveChunk.job_id, CurveChunk.metric, CurveChunk.first_iteration, CurveChunk.last_iteration)
    names = {name for some in metrics.values() for name in some}
    query = select(*columns, CurveChunk.count, CurveChunk.outline).where(
        CurveChunk.job_id.in_(metrics), CurveChunk.metric.in_(names)
    )
    # The newest points are not in chunks yet, and chunks of earlier versions have no outline.
    growing = set(session.scalars(select(Job.id).where(Job.id.in_(metrics), Job.tail_points > 0)))
    for job_id, metric, first, last, count, outline in session.execute(query.order_by(CurveChunk.first_iteration)):
        if metric not in metrics[job_id]:
            continue
        if outline is None:
            growing.add(job_id)
        else:
            stretches = outlines.setdefault(job_id, {}).setdefault(metric, [])
            stretches.extend(unpack_outline(outline, first, last, count))
    for job_id in growing:
        curves = read_stored_curves(session, job_id, list(metrics[job_id])).curves
        outlines[job_id] = {curve.name: _outline(curve.points) for curve in curves}
    return outlines


def _outline(points: Points) -> list[Stretch]:
    bands = reduce_to_bands(points, OUTLINE_BANDS)
    first, parts = points.iterations[0] if points else 0, []
    for last, low, high, mean in zip(bands.iterations, bands.lows, bands.highs, bands.means, strict=True):
        if math.isfinite(mean):
            parts.append(Stretch(first, last, low, high, mean))
        first = last
    return parts


def merge_into_chunks(session: Session, job_id: str, tail: Tail) -> None:
    """Merge points into the chunks that they overlap, and into each metric's newest chunk while it has room."""
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
    """Store curves or parts of curves that overlap no stored chunk."""
    rows = [_chunk_row(job_id, metric, part) for metric, points in curves.items() for part in _split(points)]
    if rows:
        session.execute(insert(CurveChunk), rows)


def merge_points(points: Points, newer: Mapping[int, float]) -> Points:
    """Merge points in order of iteration; a newer value replaces an older one of the same iteration."""
    rising = sort_points(newer)
    if not len(points) or rising.iterations[0] > points.iterations[-1]:
        return join_points((points, rising))
    return sort_points(dict(zip(points.iterations, points.values, strict=True)) | dict(newer))


def sort_points(values: Mapping[int, float]) -> Points:
    """Return points in order of iteration."""
    iterations = sorted(values)
    return Points(iterations, [values[iteration] for iteration in iterations])


def in_slices(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Yield the items in slices that fit into one statement."""
    for start in range(0, len(items), _METRICS_PER_STATEMENT):
        yield items[start : start + _METRICS_PER_STATEMENT]


def _find_touched(job_id: str, metrics: Sequence[str], first: int) -> Select[str, int, bytes]:
    """Return the query of each metric's chunks that end at `first` or later, and of a newest chunk with room."""
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
