"""Uncommitted changes of what ran: a worker sends them with its claim, and they are told apart from the rest."""

from hashlib import sha256
from typing import Any

from api.attempts.schemas import DiffRead, ProvenanceRead
from api.server.database.models import Attempt


def provenance_read(attempt: Attempt) -> ProvenanceRead:
    """Show what ran, with the size of its uncommitted changes instead of the changes."""
    stored: dict[str, Any] = dict(attempt.provenance)
    diff = stored.pop("uncommitted_diff", "")
    shown = _describe(diff, f"/jobs/{attempt.job_id}/attempts/{attempt.attempt}/diff") if diff else None
    return ProvenanceRead(**stored, diff=shown)


def _describe(diff: str, url: str) -> DiffRead:
    lines = [line for line in diff.splitlines() if not line.startswith(("+++", "---"))]
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    data = diff.encode()
    return DiffRead(added=added, removed=removed, size=len(data), sha256=sha256(data).hexdigest(), url=url)
