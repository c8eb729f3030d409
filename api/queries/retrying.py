"""Failed and cancelled jobs once more: a new job, because a job that has ended stays as it is."""

from typing import Any

from sqlalchemy import func, insert, literal, select, update
from sqlalchemy.orm import Session

from api.errors import JobStateConflict, SpecRefused
from api.models import Checkpoint, CurveChunk, HistogramRow, Job, LatestValue, NeighbourGrid, Sample
from api.queries.attempts import find_resume_point
from api.queries.batches import insert_service_events, say
from api.queries.curves import discard_points
from api.queries.jobs import get_job, insert_job
from api.storage import Blobs
from ganlib.errors import SpecInvalid
from ganlib.spec import parse_spec

RETRIED_STATES = ("failed", "cancelled")


def retry_job(
    session: Session,
    job_id: str,
    attempts_allowed: int,
    blobs: Blobs | None,
    idempotency_key: str | None = None,
) -> Job:
    """Store a queued job with the spec of one that failed or was cancelled; it goes on from the newest checkpoint.

    What the earlier one recorded up to there is the new one's history. blobs: where checkpoints lie; without it,
    or without a checkpoint, the new job begins at the beginning. idempotency_key: however often it comes, there is
    one new job. Raises JobNotFound, JobStateConflict, and
    SpecRefused when this version no longer takes the spec.
    """
    source = get_job(session, job_id)
    if source.state not in RETRIED_STATES:
        message = f"The job is {source.state}; only one that failed or was cancelled can be tried again."
        raise JobStateConflict(message, state=source.state)
    try:
        spec = parse_spec(source.spec)
    except SpecInvalid as error:
        raise SpecRefused.from_problems(error.problems) from None
    job, is_new = insert_job(session, spec, attempts_allowed, idempotency_key, retry_of=source.id)
    if not is_new:
        return job
    resume = find_resume_point(session, source.id, blobs.exists) if blobs is not None else None
    if resume is None:
        text = f"This repeats job {source.id} from the beginning."
    else:
        _copy_history(session, source, job, resume.iteration)
        text = f"This goes on with job {source.id} from iteration {resume.iteration}."
    insert_service_events(session, job, say(job, text))
    return job


def _copy_history(session: Session, source: Job, job: Job, iteration: int) -> None:
    """Give the job what the other one recorded up to this iteration; an attempt 0 is one of the other job."""
    for table in (Sample, NeighbourGrid, Checkpoint, HistogramRow):
        kept = [table.job_id == source.id, table.iteration <= iteration]
        _copy_rows(session, table, kept, job.id)
    for points in (CurveChunk, LatestValue):
        _copy_rows(session, points, [points.job_id == source.id], job.id)
    newest = select(func.max(Sample.id)).where(Sample.job_id == job.id).scalar_subquery()
    values = {"iteration": iteration, "latents_sha256": source.latents_sha256, "newest_sample_id": newest}
    session.execute(update(Job).where(Job.id == job.id).values(values))
    # Its tail was folded when it ended, so the chunks hold all points; those after the checkpoint come again.
    discard_points(session, job, iteration)


def _copy_rows(session: Session, table: Any, conditions: list[Any], job_id: str) -> None:
    replaced = {"job_id": literal(job_id), "attempt": literal(0)}
    columns = [column for column in table.__table__.columns if not (column.name == "id" and column.primary_key)]
    # Rows keep their order, and with it the order of their new ids.
    order = list(table.__table__.primary_key.columns)
    cells: list[Any] = [replaced.get(column.name, column) for column in columns]
    chosen = select(*cells).where(*conditions).order_by(*order)
    session.execute(insert(table).from_select([column.name for column in columns], chosen))
