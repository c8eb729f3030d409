"""What people do with jobs beside running them: tags, a note, deleting, and bringing back.

None of it is state: a job that has ended stays as it ended.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from api.clock import database_now
from api.errors import JobStateConflict, RequestInvalid
from api.models import Checkpoint, Job, NeighbourGrid, Sample
from api.queries.batches import insert_service_events
from api.queries.jobs import get_job
from api.schemas import TERMINAL_STATES, JobEdit

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
