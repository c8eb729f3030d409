"""Lineage of jobs: the job that one was made from, and the jobs made from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from api.server.database.models import Job

MADE_SHOWN = 5


@dataclass(frozen=True)
class Relative:
    """A job that another one was made from, or that was made from it."""

    id: str
    name: str
    spec: dict[str, Any]
    is_retry: bool
    is_deleted: bool


@dataclass(frozen=True)
class Lineage:
    """The parent of a job, the newest few jobs made from it, and their number.

    parent: None for a job that was made from no other, or from one that is purged.
    """

    parent: Relative | None
    made: Sequence[Relative]
    made_count: int


def read_lineage(session: Session, job: Job) -> Lineage:
    """Return the parent of this job and the jobs made from it, without deleted ones."""
    columns = select(Job.id, Job.name, Job.spec, Job.retry_of, Job.deleted_at)
    parents = _read(session, columns.where(Job.id == job.made_from)) if job.made_from else []
    is_made = (Job.made_from == job.id, Job.deleted_at.is_(None))
    newest = columns.where(*is_made).order_by(Job.created_at.desc(), Job.id.desc()).limit(MADE_SHOWN)
    count = session.scalar(select(func.count()).select_from(Job).where(*is_made)) or 0
    return Lineage(parents[0] if parents else None, _read(session, newest) if count else [], count)


def _read(session: Session, query: Select[Any]) -> list[Relative]:
    rows = session.execute(query)
    return [
        Relative(row.id, row.name, row.spec, row.retry_of is not None, row.deleted_at is not None) for row in rows
    ]
