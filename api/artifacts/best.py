"""The best judged checkpoint of a job, which is kept beside the newest ones."""

from bisect import bisect_right
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.curves.queries import Tail, iterate_curves, list_curves
from api.server.database.models import Checkpoint, LatestValue
from ganlib.evaluation.best import BEST_METRICS, choose_best
from ganlib.vocabulary import Metric


def find_best_checkpoint(session: Session, job_id: str, arriving: Tail | None = None) -> int | None:
    """Return the iteration of the best stored checkpoint; None for a job that is not judged.

    arriving: points that are not stored yet.
    """
    logged = set(
        session.scalars(
            select(LatestValue.metric).where(
                LatestValue.job_id == job_id, LatestValue.metric.in_([metric.name for metric in BEST_METRICS])
            )
        )
    )
    metric = next((metric for metric in BEST_METRICS if metric.name in logged), None)
    if metric is None:
        return None
    stored = select(Checkpoint.iteration).where(Checkpoint.job_id == job_id, Checkpoint.stored)
    checkpoints = list(session.scalars(stored))
    return choose_best(metric, _read_figures(session, job_id, metric, checkpoints, arriving or {}))


def _read_figures(
    session: Session, job_id: str, metric: Metric, checkpoints: Sequence[int], arriving: Tail
) -> dict[int, float]:
    points: dict[int, float] = {}
    if checkpoints:
        for curve in iterate_curves(session, list_curves(session, job_id, [metric.name])):
            points.update(zip(curve.points.iterations, curve.points.values, strict=True))
    points |= arriving.get(metric.name, {})
    known = sorted(points)
    places = {iteration: bisect_right(known, iteration) for iteration in checkpoints}
    return {iteration: points[known[place - 1]] for iteration, place in places.items() if place}
