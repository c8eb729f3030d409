"""Outlines of many jobs' losses at once, for lists."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.models import CurveChunk, Job
from api.outlines import OUTLINED, Stretch, unpack_outline
from api.queries.curves import read_curves

# As many points of a curve that is still growing are read for its outline.
POINTS = 64
Outlines = dict[str, dict[str, list[Stretch]]]


def read_outlines(session: Session, job_ids: Sequence[str]) -> Outlines:
    """Return the outlines of both losses by job and metric; jobs without losses are left out."""
    found: Outlines = {}
    columns = (CurveChunk.job_id, CurveChunk.metric, CurveChunk.first_iteration, CurveChunk.last_iteration)
    query = select(*columns, CurveChunk.outline).where(
        CurveChunk.job_id.in_(job_ids), CurveChunk.metric.in_(OUTLINED)
    )
    # Newest points lie in no chunk yet, and chunks of earlier versions have no outline.
    growing = set(session.scalars(select(Job.id).where(Job.id.in_(job_ids), Job.tail_points > 0)))
    for job_id, metric, first, last, outline in session.execute(query.order_by(CurveChunk.first_iteration)):
        if outline is None:
            growing.add(job_id)
        else:
            stretches = found.setdefault(job_id, {}).setdefault(metric, [])
            stretches.extend(unpack_outline(outline, first, last))
    for job_id in growing:
        curves = read_curves(session, job_id, list(OUTLINED), POINTS).curves
        found[job_id] = {curve.name: _outline(curve.iterations, curve.values) for curve in curves}
    return found


def _outline(iterations: Sequence[int], values: Sequence[float]) -> list[Stretch]:
    points = zip(iterations, values, strict=True)
    return [Stretch(at, at, value, value) for at, value in points if abs(value) < float("inf")]
