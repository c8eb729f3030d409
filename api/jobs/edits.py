"""Edits of jobs: tags and notes, delete and restore, retry. None of them changes the state of an ended job."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from api.artifacts.storage import Blobs
from api.attempts.claims import find_resume_point
from api.curves.queries import discard_points
from api.errors import JobStateConflict, RequestInvalid, SpecRefused
from api.events.findings.reports import copy_reports
from api.events.log import insert_service_events, log_line_event
from api.jobs.queries import get_job, insert_job, lock_job, update_job
from api.jobs.schemas import JobEdit
from api.server.database.clock import database_now
from api.server.database.mlflow_tables import MlflowFile, MlflowModel
from api.server.database.models import (
    GANLIB,
    Checkpoint,
    CurveChunk,
    HistogramRow,
    Job,
    LatestValue,
    NeighbourGrid,
    RunFile,
    Sample,
)
from api.server.http.schemas import TERMINAL_STATES
from ganlib.errors import SpecInvalid
from ganlib.spec.parse import parse_spec

MAX_TAGS = 32
RETRIED_STATES = ("failed", "cancelled")


def edit_job(session: Session, job_id: str, edit: JobEdit) -> Job:
    """Change a job's tags and note; raises JobNotFound, and RequestInvalid for too many tags."""
    job = lock_job(session, job_id)
    tags = job.tags if edit.tags is None else edit.tags
    kept = [tag for tag in (*tags, *edit.add_tags) if tag not in edit.remove_tags]
    changed: dict[str, Any] = {
        "tags": list(dict.fromkeys(kept)),
        "note": job.note if edit.note is None else edit.note,
    }
    if len(changed["tags"]) > MAX_TAGS:
        problem = {
            "field": "tags",
            "given": str(len(changed["tags"])),
            "message": f"must be at most {MAX_TAGS} tags",
        }
        raise RequestInvalid(f"A job has at most {MAX_TAGS} tags; remove some.", problems=[problem])
    if (job.tags, job.note) == (changed["tags"], changed["note"]):
        return job
    return _update_and_record(session, [Job.id == job_id], {"kind": "job_edited", **changed}, **changed) or job


def move_first(session: Session, job_id: str) -> Job:
    """Let a queued job be taken before all others that wait; raises JobNotFound, JobStateConflict for others.

    Its spec stays as it was submitted: only the order of the queue changes.
    """
    job = lock_job(session, job_id)
    if job.state != "queued":
        raise JobStateConflict(f"The job is {job.state}; only one that waits can be moved.", state=job.state)
    waiting = select(func.max(Job.priority)).where(Job.state == "queued", Job.id != job_id)
    highest = session.scalar(waiting)
    first = job.priority if highest is None else max(job.priority, highest + 1)
    session.execute(update(Job).where(Job.id == job_id, Job.state == "queued").values(priority=first))
    session.refresh(job)
    insert_service_events(session, job, log_line_event(job, "Moved to the front of the queue."))
    return job


def delete_job(session: Session, job_id: str) -> Job:
    """Hide an ended job from every list; raises JobStateConflict for a queued or running one, and JobNotFound.

    Its rows and files stay until `purge_job`.
    """
    lock_job(session, job_id)
    conditions = [Job.id == job_id, Job.state.in_(TERMINAL_STATES), Job.deleted_at.is_(None)]
    deleted = _update_and_record(session, conditions, {"kind": "job_deleted"}, deleted_at=database_now())
    if deleted is not None:
        return deleted
    job = get_job(session, job_id)
    if job.deleted_at is None:
        message = f"The job is {job.state}; cancel it first (`ganvas cancel {job.id}`), then delete it."
        raise JobStateConflict(message, state=job.state)
    return job


def restore_job(session: Session, job_id: str) -> Job:
    """Restore a deleted job; a job that is not deleted does not change. Raises JobNotFound."""
    conditions = [Job.id == job_id, Job.deleted_at.is_not(None)]
    restored = _update_and_record(session, conditions, {"kind": "job_restored"}, deleted_at=None)
    return restored or get_job(session, job_id)


def list_purgeable(session: Session, kept_seconds: float, limit: int = 100) -> list[str]:
    """Return the ids of jobs that were deleted longer ago than this."""
    query = select(Job.id).where(_was_deleted_before(kept_seconds)).order_by(Job.deleted_at).limit(limit)
    return list(session.scalars(query))


def purge_job(session: Session, job_id: str, kept_seconds: float) -> list[str]:
    """Delete all rows of a job that was deleted longer ago than this; returns the sha256 of its files.

    The caller deletes those files that nothing else uses. A job that was restored meanwhile stays.
    """
    locked = select(Job).where(Job.id == job_id, _was_deleted_before(kept_seconds)).with_for_update()
    job = session.scalars(locked).one_or_none()
    if job is None:
        return []
    names: set[str] = {job.latents_sha256} if job.latents_sha256 else set()
    for table in (Sample, NeighbourGrid, Checkpoint, RunFile):
        names |= set(session.scalars(select(table.sha256).where(table.job_id == job_id)))
    models = select(MlflowModel.id).where(MlflowModel.job_id == job_id)
    in_mlflow = or_(MlflowFile.job_id == job_id, MlflowFile.model_id.in_(models))
    names |= set(session.scalars(select(MlflowFile.sha256).where(in_mlflow)))
    # The rows of all other tables are deleted with the job's.
    session.execute(delete(Job).where(Job.id == job_id))
    return sorted(names)


def _was_deleted_before(kept_seconds: float) -> ColumnElement[bool]:
    return Job.deleted_at <= database_now(-kept_seconds)


def _update_and_record(
    session: Session, conditions: Iterable[ColumnElement[bool]], event: dict[str, Any], **values: Any
) -> Job | None:
    """Change the job if the conditions hold, and record the event; returns None if they do not."""
    job = update_job(session, conditions, **values)
    if job is not None:
        insert_service_events(session, job, event)
    return job


def retry_job(
    session: Session,
    job_id: str,
    attempts_allowed: int,
    blobs: Blobs | None,
    idempotency_key: str | None = None,
) -> tuple[Job, bool]:
    """Store a queued job with the spec of a failed or cancelled one; it resumes from the newest checkpoint.

    Returns it and True, or the job of an earlier call with this key and False.

    The new job copies the records of the earlier one up to that checkpoint. blobs: the store of checkpoints;
    without it, or without a checkpoint, the new job starts from the beginning. idempotency_key: all calls with the
    same key make one job. Raises JobNotFound, JobStateConflict, IdempotencyConflict when the key made another job
    than a retry of this one, and SpecRefused when this version no longer accepts the spec.
    """
    # Locked against a purge, which would delete what is being copied.
    source = lock_job(session, job_id, read=True)
    if source.origin != GANLIB:
        raise JobStateConflict(
            "This run is of a loop that Ganvas does not start; run its own program again.", state=source.state
        )
    if source.state not in RETRIED_STATES:
        message = f"The job is {source.state}; only a failed or cancelled job can be retried."
        raise JobStateConflict(message, state=source.state)
    try:
        spec = parse_spec(source.spec)
    except SpecInvalid as error:
        raise SpecRefused.from_problems(error.problems) from None
    job, is_new = insert_job(session, spec, attempts_allowed, idempotency_key, retry_of=source.id)
    if not is_new:
        return job, False
    resume = find_resume_point(session, source.id, blobs.exists) if blobs is not None else None
    if resume is None:
        text = f"This job repeats job {source.id} from the beginning."
    else:
        _copy_history(session, source, job, resume.iteration)
        text = f"This job continues job {source.id} from iteration {resume.iteration}."
    insert_service_events(session, job, log_line_event(job, text))
    return job, True


def _copy_history(session: Session, source: Job, job: Job, iteration: int) -> None:
    """Copy the source's records up to this iteration; attempt 0 marks records of the source."""
    for table in (Sample, NeighbourGrid, Checkpoint, HistogramRow, RunFile):
        kept = [table.job_id == source.id, table.iteration <= iteration]
        _copy_rows(session, table, kept, job.id)
    for points in (CurveChunk, LatestValue):
        _copy_rows(session, points, [points.job_id == source.id], job.id)
    copy_reports(session, source.id, job.id, iteration)
    newest = select(func.max(Sample.id)).where(Sample.job_id == job.id).scalar_subquery()
    values = {"iteration": iteration, "latents_sha256": source.latents_sha256, "newest_sample_id": newest}
    session.execute(update(Job).where(Job.id == job.id).values(values))
    # The source's tail was folded when it ended, so the chunks hold all points; later ones are trained again.
    discard_points(session, job, iteration)


def _copy_rows(session: Session, table: Any, conditions: list[Any], job_id: str) -> None:
    replaced = {"job_id": literal(job_id), "attempt": literal(0)}
    columns = [column for column in table.__table__.columns if not (column.name == "id" and column.primary_key)]
    # New ids keep the order of the rows.
    order = list(table.__table__.primary_key.columns)
    cells: list[Any] = [replaced.get(column.name, column) for column in columns]
    chosen = select(*cells).where(*conditions).order_by(*order)
    session.execute(insert(table).from_select([column.name for column in columns], chosen))
