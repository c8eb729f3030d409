"""Reads of attempts, their provenance, and their uncommitted changes."""

from hashlib import sha256
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.attempts.schemas import AttemptRead, DiffRead, ProvenanceRead
from api.errors import DiffNotFound
from api.server.database.models import Attempt
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
