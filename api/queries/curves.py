"""Curves: points are folded from event batches into compressed chunks, a metric at a time.

Reading a curve joins its chunks with the points of the batches that are not folded yet (the tail).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from api.curve_bytes import StoredCurve, StoredCurves
from api.errors import JobNotFound
from api.models import CurveChunk, EventBatch, Job, LatestValue
from api.points import Points, cut_points, join_points, pack_points, reduce_points, unpack_points
from api.queries.batches import unpack_body
from api.schemas import Curve, CurvesRead
from ganlib.events import MetricsLogged

CHUNK_POINTS = 4096
# A tail that would grow longer than this is folded.
TAIL_BATCHES = 200
TAIL_POINTS = 2048


@dataclass(frozen=True)
class CurveWindow:
    """The iterations from `first` up to `last`, both included; without `last` up to the end."""

    first: int = 0
    last: int | None = None


ALL = CurveWindow()
# The points of some metrics: iteration → value, a metric at a time. A later value of an iteration wins.
Tail = dict[str, dict[int, float]]


def read_curves(
    session: Session,
    job_id: str,
    names: Sequence[str] | None = None,
    points: int | None = None,
    window: CurveWindow = ALL,
) -> CurvesRead:
    """Return the job's curves by name; at most `points` points each, with every extreme among them."""
    stored = read_stored_curves(session, job_id, names, points, window)
    # Built without checking each number again: they were checked when they came.
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
    """Return the same as columns, as they are stored."""
    job = session.execute(select(Job.folded_event_id, Job.last_event_id).where(Job.id == job_id)).one_or_none()
    if job is None:
        raise JobNotFound(job_id=job_id)
    tail = _read_tail(session, job_id, job.folded_event_id)
    chunks = _read_chunks(session, job_id, names, window)
    wanted = (
        sorted({*chunks, *tail}) if names is None else [name for name in names if name in chunks or name in tail]
    )
    curves = [_build_curve(name, chunks.get(name, []), tail.get(name, {}), points, window) for name in wanted]
    return StoredCurves(curves, job.last_event_id)


def fold_tail(session: Session, job: Job, arriving: Iterable[MetricsLogged] = ()) -> None:
    """Move the tail's points into chunks, and those that arrive; the caller holds the job's row."""
    tail = _read_tail(session, job.id, job.folded_event_id)
    for event in arriving:
        for metric, value in event.values.items():
            tail.setdefault(metric, {})[event.iteration] = value
    for metric, values in tail.items():
        _merge_points(session, job.id, metric, values)
    folded = {"folded_event_id": job.last_event_id, "tail_batches": 0, "tail_points": 0}
    session.execute(update(Job).where(Job.id == job.id).values(folded))
    session.refresh(job)


def fold_long_tail(session: Session, job: Job, arriving: Sequence[MetricsLogged]) -> bool:
    """Fold, with what arrives, when reading the tail would become slow otherwise; say whether that was done."""
    points = job.tail_points + sum(len(event.values) for event in arriving)
    if job.tail_batches < TAIL_BATCHES and points < TAIL_POINTS:
        return False
    fold_tail(session, job, arriving)
    return True


def discard_points(session: Session, job: Job, after: int) -> None:
    """Forget every point after this iteration, in curves and newest values; the caller holds the job's row."""
    fold_tail(session, job)
    later = select(CurveChunk).where(CurveChunk.job_id == job.id, CurveChunk.last_iteration > after)
    for chunk in list(session.scalars(later)):
        points = unpack_points(chunk.points)
        kept = {i: v for i, v in zip(points.iterations, points.values, strict=True) if i <= after}
        session.delete(chunk)
        session.flush()
        _insert_chunks(session, job.id, chunk.metric, kept)
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
    """Return the columns of a newest value; what no database column holds alike stands in `flag`."""
    if value != value:
        return {"iteration": iteration, "value": None, "flag": "nan"}
    if value in (float("inf"), float("-inf")):
        return {"iteration": iteration, "value": None, "flag": "inf" if value > 0 else "-inf"}
    return {"iteration": iteration, "value": value, "flag": None}


def _read_tail(session: Session, job_id: str, folded_event_id: int) -> Tail:
    tail: Tail = {}
    query = select(EventBatch.body).where(
        EventBatch.job_id == job_id, EventBatch.id > folded_event_id, EventBatch.first_seq.is_not(None)
    )
    for body in session.scalars(query.order_by(EventBatch.id)):
        for item in unpack_body(body):
            event = item["event"]
            if event["kind"] == "metrics_logged":
                for metric, value in event["values"].items():
                    tail.setdefault(metric, {})[event["iteration"]] = float(value)
    return tail


def _read_chunks(
    session: Session, job_id: str, names: Sequence[str] | None, window: CurveWindow
) -> dict[str, list[Points]]:
    query = select(CurveChunk.metric, CurveChunk.points).where(CurveChunk.job_id == job_id)
    if window.first > 0:
        query = query.where(CurveChunk.last_iteration >= window.first)
    if window.last is not None:
        query = query.where(CurveChunk.first_iteration <= window.last)
    if names is not None:
        query = query.where(CurveChunk.metric.in_(names))
    chunks: dict[str, list[Points]] = {}
    for metric, packed in session.execute(query.order_by(CurveChunk.metric, CurveChunk.first_iteration)):
        chunks.setdefault(metric, []).append(unpack_points(packed))
    return chunks


def _build_curve(
    name: str, chunks: Iterable[Points], tail: Mapping[int, float], limit: int | None, window: CurveWindow
) -> StoredCurve:
    points = join_points(chunks)
    if tail:
        points = _merge(points, tail)
    if window != ALL:
        points = cut_points(points, window.first, window.last)
    return StoredCurve(name, points if limit is None else reduce_points(points, limit), len(points))


def _merge(points: Points, newer: Mapping[int, float]) -> Points:
    rising = _in_order(newer)
    if not len(points) or rising.iterations[0] > points.iterations[-1]:
        return join_points((points, rising))
    return _in_order(dict(zip(points.iterations, points.values, strict=True)) | dict(newer))


def _in_order(values: Mapping[int, float]) -> Points:
    iterations = sorted(values)
    return Points(iterations, [values[iteration] for iteration in iterations])


def _merge_points(session: Session, job_id: str, metric: str, values: dict[int, float]) -> None:
    first = min(values)
    ends_later = CurveChunk.last_iteration >= first
    has_room = CurveChunk.count < CHUNK_POINTS
    own = (CurveChunk.job_id == job_id, CurveChunk.metric == metric)
    newest = select(func.max(CurveChunk.first_iteration)).where(*own).scalar_subquery()
    query = select(CurveChunk).where(*own, ends_later | (has_room & (CurveChunk.first_iteration == newest)))
    merged: dict[int, float] = {}
    for chunk in list(session.scalars(query.order_by(CurveChunk.first_iteration))):
        points = unpack_points(chunk.points)
        merged.update(zip(points.iterations, points.values, strict=True))
        session.delete(chunk)
    session.flush()
    _insert_chunks(session, job_id, metric, merged | values)


def _insert_chunks(session: Session, job_id: str, metric: str, values: Mapping[int, float]) -> None:
    points = _in_order(values)
    for start in range(0, len(points), CHUNK_POINTS):
        part = Points(points.iterations[start : start + CHUNK_POINTS], points.values[start : start + CHUNK_POINTS])
        row = {
            "job_id": job_id,
            "metric": metric,
            "first_iteration": part.iterations[0],
            "last_iteration": part.iterations[-1],
            "count": len(part),
            "points": pack_points(part),
        }
        session.execute(insert(CurveChunk).values(row))
