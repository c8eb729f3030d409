"""What judges a job, and its best value of that: points of short curves are read, those of all jobs at once."""

import math
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.curves.points import unpack_points
from api.curves.queries import read_stored_curves
from api.server.database.models import CurveChunk, Job
from ganlib.vocabulary import CLASSIFIER_SCORE, FRECHET_DISTANCE, REAL_DISTANCE, Metric

# What a job is judged by: the first of these that was measured.
JUDGES = (FRECHET_DISTANCE, CLASSIFIER_SCORE, REAL_DISTANCE)
# The best value, and the first iteration that has it.
Best = tuple[float, int]


def find_judge(names: Collection[str]) -> Metric | None:
    """Return what judges a job that logs these metrics, or None."""
    return next((metric for metric in JUDGES if metric.name in names), None)


def choose_best(points: Iterable[tuple[int, float]], metric: Metric) -> Best | None:
    """Return the best of these (iteration, value), the first of equals; None where none is finite."""
    sign = -1 if metric.better == "higher" else 1
    finite = [(sign * value, iteration) for iteration, value in points if math.isfinite(value)]
    if not finite:
        return None
    value, iteration = min(finite)
    return sign * value, iteration


def read_bests(session: Session, metrics: Mapping[str, Metric]) -> dict[str, Best]:
    """Return the best value of each job's metric, without jobs that have none. metrics: by job."""
    names = {metric.name for metric in metrics.values()}
    # The newest points of a job that trains are not in chunks yet.
    growing = set(session.scalars(select(Job.id).where(Job.id.in_(metrics), Job.tail_points > 0)))
    columns = (CurveChunk.job_id, CurveChunk.metric, CurveChunk.points)
    chunks = select(*columns).where(CurveChunk.job_id.in_(metrics), CurveChunk.metric.in_(names))
    points: dict[str, list[tuple[int, float]]] = {}
    for job_id, name, packed in session.execute(chunks):
        if name == metrics[job_id].name and job_id not in growing:
            chunk = unpack_points(packed)
            points.setdefault(job_id, []).extend(zip(chunk.iterations, chunk.values, strict=True))
    for job_id in growing:
        for curve in read_stored_curves(session, job_id, [metrics[job_id].name]).curves:
            points[job_id] = list(zip(curve.points.iterations, curve.points.values, strict=True))
    found = {job_id: choose_best(own, metrics[job_id]) for job_id, own in points.items()}
    return {job_id: best for job_id, best in found.items() if best is not None}
