"""What a person can do with a run: cancel it, try it again, or run it again with changes."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from api.jobs.schemas import JobRead
from api.server.http.schemas import TERMINAL_STATES
from dashboard.web.formats import show_count
from dashboard.web.layout import Moment, find_moment


@dataclass(frozen=True)
class ActionsView:
    """The buttons beside a run's name. `retry_key` makes one new run of however many clicks."""

    can_cancel: bool
    cancel_means: str
    cancel_requested: Moment | None
    cancel_href: str
    can_retry: bool
    retry_text: str
    retry_href: str
    retry_key: str
    again_href: str


def build_actions(job: JobRead, now: datetime) -> ActionsView:
    """Return what can be done with the run as it stands."""
    is_over = job.state in TERMINAL_STATES
    can_retry = job.state in ("failed", "cancelled")
    return ActionsView(
        can_cancel=not is_over and job.cancel_requested_at is None,
        cancel_means=_cancel_means(job),
        cancel_requested=find_moment(job.cancel_requested_at if not is_over else None, now),
        cancel_href=f"/runs/{job.id}/cancel",
        can_retry=can_retry,
        retry_text=_retry_text(job),
        retry_href=f"/runs/{job.id}/retry",
        retry_key=secrets.token_urlsafe(16) if can_retry else "",
        again_href=f"/runs/{job.id}/again",
    )


def _cancel_means(job: JobRead) -> str:
    if job.state == "running":
        return "The worker stops after this iteration. What it has recorded stays."
    return (
        "It goes on no more. What it has recorded stays." if job.attempts else "It never starts; nothing is lost."
    )


def _retry_text(job: JobRead) -> str:
    kept = [checkpoint.iteration for checkpoint in job.checkpoints if checkpoint.url]
    return f"Retry from iteration {show_count(max(kept))}" if kept else "Retry from the start"
