"""What people do with jobs beside running them: tags, a note, deleting, and bringing back.

None of it is state: a job that has ended stays as it ended.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, literal, select, update
from sqlalchemy.orm import Session

from api.artifacts.storage import Blobs
from api.attempts.claims import find_resume_point
from api.curves.queries import discard_points
from api.errors import JobStateConflict, RequestInvalid, SpecRefused
from api.events.log import insert_service_events, say
from api.jobs.queries import get_job, insert_job
from api.jobs.schemas import JobEdit
from api.server.database.clock import database_now
from api.server.database.models import (
    Checkpoint,
    CurveChunk,
    HistogramRow,
    Job,
    LatestValue,
    NeighbourGrid,
    Sample,
)
from api.server.http.schemas import TERMINAL_STATES
from ganlib.errors import SpecInvalid
from ganlib.spec.job import parse_spec

MAX_TAGS = 32


def edit_job(session: Session, job_id: str, edit: JobEdit) -> Job:
    """Change a job's tags and note; raises JobNotFound, and RequestInvalid for too many tags."""
    get_job(session, job_id)
    locked = select(Job).where(Job.id == job_id).with_for_update()
    job = session.scalars(locked, execution_options={"populate_existing": True}).one()
    tags = job.tags if edit.tags is None else edit.tags
    left = [tag for tag in (*tags, *edit.add_tags) if tag not in edit.remove_tags]
    changed: dict[str, Any] = {
        "tags": list(dict.fromkeys(left)),
        "note": job.note if edit.note is None else edit.note,
    }
    if len(changed["tags"]) > MAX_TAGS:
        problem = {"field": "tags", "given": str(len(changed["tags"])), "message": f"at most {MAX_TAGS} are kept"}
        raise RequestInvalid(f"A job has at most {MAX_TAGS} tags; remove some.", problems=[problem])
    if (job.tags, job.note) == (changed["tags"], changed["note"]):
        return job
    return _write(session, [Job.id == job_id], {"kind": "job_edited", **changed}, **changed) or job


def delete_job(session: Session, job_id: str) -> Job:
    """Take an ended job out of every list; raises JobStateConflict for one that waits or runs, and JobNotFound.

    Its rows and files stay until `purge_job`.
    """
    conditions = [Job.id == job_id, Job.state.in_(TERMINAL_STATES), Job.deleted_at.is_(None)]
    deleted = _write(session, conditions, {"kind": "job_deleted"}, deleted_at=database_now())
    if deleted is not None:
        return deleted
    job = get_job(session, job_id)
    if job.deleted_at is None:
        message = f"The job is {job.state}; cancel it first (`ganvas cancel {job.id}`), then delete it."
        raise JobStateConflict(message, state=job.state)
    return job


def restore_job(session: Session, job_id: str) -> Job:
    """Bring a deleted job back into the lists; one that is there stays as it is. Raises JobNotFound."""
    conditions = [Job.id == job_id, Job.deleted_at.is_not(None)]
    restored = _write(session, conditions, {"kind": "job_restored"}, deleted_at=None)
    return restored or get_job(session, job_id)


def list_purged(session: Session, kept_seconds: float, limit: int = 100) -> list[str]:
    """Return the ids of jobs that were deleted longer ago than this."""
    query = select(Job.id).where(_was_deleted_before(kept_seconds)).order_by(Job.deleted_at).limit(limit)
    return list(session.scalars(query))


def purge_job(session: Session, job_id: str, kept_seconds: float) -> list[str]:
    """Delete all rows of a job that was deleted longer ago than this; returns the sha256 of what it named.

    The caller deletes those files that nothing else names. A job that came back meanwhile stays.
    """
    locked = select(Job).where(Job.id == job_id, _was_deleted_before(kept_seconds)).with_for_update()
    job = session.scalars(locked).one_or_none()
    if job is None:
        return []
    names: set[str] = {job.latents_sha256} if job.latents_sha256 else set()
    for table in (Sample, NeighbourGrid, Checkpoint):
        names |= set(session.scalars(select(table.sha256).where(table.job_id == job_id)))
    # Every other table's rows go with the job's.
    session.execute(delete(Job).where(Job.id == job_id))
    return sorted(names)


def _was_deleted_before(kept_seconds: float) -> ColumnElement[bool]:
    return Job.deleted_at <= database_now(-kept_seconds)


def _write(
    session: Session, conditions: Iterable[ColumnElement[bool]], event: dict[str, Any], **values: Any
) -> Job | None:
    """Change the job if the conditions hold, and tell its streams; None where they do not."""
    changed = update(Job).where(*conditions).values(values).returning(Job)
    options = {"synchronize_session": False, "populate_existing": True}
    job = session.scalars(changed, execution_options=options).one_or_none()
    if job is not None:
        insert_service_events(session, job, event)
    return job


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
