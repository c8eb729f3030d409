"""Which job one was made from, and which were made from it."""

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
    """Where a job comes from, the newest few jobs that were made from it, and how many of those there are.

    parent: None where it was made from nothing, or from a job whose days after its deletion are over.
    """

    parent: Relative | None
    made: Sequence[Relative]
    made_count: int


def read_lineage(session: Session, job: Job) -> Lineage:
    """Return where this job comes from and what was made from it; deleted jobs are not counted."""
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
