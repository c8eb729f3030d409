"""Reads of attempts, their provenance, and their uncommitted changes."""

from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.attempts.schemas import AttemptPosition, AttemptRead, DiffRead, ProvenanceRead
from api.errors import DiffNotFound
from api.events.log import unpack_body
from api.server.database.models import Attempt, EventBatch, Job
from api.server.http.schemas import Reason


def list_attempts(session: Session, job_id: str) -> list[AttemptRead]:
    """Return every attempt of a job, the first one first."""
    query = select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.attempt)
    return [attempt_read(row) for row in session.scalars(query)]


def get_diff(session: Session, job_id: str, attempt: int) -> str:
    """Return an attempt's uncommitted changes; raises DiffNotFound."""
    own = (Attempt.job_id == job_id, Attempt.attempt == attempt)
    provenance = session.scalars(select(Attempt.provenance).where(*own)).one_or_none()
    diff: str = (provenance or {}).get("uncommitted_diff", "")
    if not diff:
        raise DiffNotFound(job_id=job_id, attempt=attempt)
    return diff


def read_position(session: Session, job: Job, attempt: int, before: int | None) -> AttemptPosition:
    """Return how far an attempt is stored. before: how many events its writer holds; `at`: of the last shared."""
    row = session.get(Attempt, (job.id, attempt))
    position = AttemptPosition(newest=job.attempt, next_seq=row.next_seq if row else 0)
    last = position.next_seq - 1 if before is None else min(position.next_seq, before) - 1
    body = session.scalar(
        select(EventBatch.body).where(
            EventBatch.job_id == job.id,
            EventBatch.attempt == attempt,
            EventBatch.first_seq <= last,
            EventBatch.last_seq >= last,
        )
    )
    if body is not None:
        position.at = next(datetime.fromisoformat(each["at"]) for each in unpack_body(body) if each["seq"] == last)
    return position


def count_attempt_ends(session: Session) -> dict[str, int]:
    """Return the number of ended attempts by how they ended."""
    rows = session.execute(
        select(Attempt.end, func.count().label("attempts")).where(Attempt.end.is_not(None)).group_by(Attempt.end)
    )
    return {row.end: row.attempts for row in rows}


def attempt_read(attempt: Attempt) -> AttemptRead:
    """Return the schema of an attempt."""
    return AttemptRead.model_validate(
        {
            **{name: getattr(attempt, name) for name in AttemptRead.model_fields},
            "reason": Reason.model_validate(attempt.reason) if attempt.reason else None,
            "provenance": _provenance_read(attempt),
        }
    )


def _provenance_read(attempt: Attempt) -> ProvenanceRead:
    """Return the provenance with the size of its uncommitted changes instead of the changes."""
    stored: dict[str, Any] = dict(attempt.provenance)
    diff = stored.pop("uncommitted_diff", "")
    shown = _diff_read(diff, f"/jobs/{attempt.job_id}/attempts/{attempt.attempt}/diff") if diff else None
    return ProvenanceRead(**stored, diff=shown)


def _diff_read(diff: str, url: str) -> DiffRead:
    lines = [line for line in diff.splitlines() if not line.startswith(("+++", "---"))]
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    data = diff.encode()
    return DiffRead(added=added, removed=removed, size=len(data), sha256=sha256(data).hexdigest(), url=url)
