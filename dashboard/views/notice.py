"""Why a run ended badly, and what to try: for the top of its page."""

from dataclasses import dataclass

from api.schemas import JobRead
from dashboard.formats import show_count
from dashboard.views.advice import advise


@dataclass(frozen=True)
class NoticeView:
    """Why the run ended badly, and what to try."""

    heading: str
    message: str
    code: str
    advice: str
    log_tail: str


def build_notice(job: JobRead) -> NoticeView | None:
    """Return why the run failed; None when it did not."""
    if job.state != "failed":
        return None
    if job.reason is None:
        return NoticeView("This run failed", "No reason was recorded.", "unknown", advise(""), "")
    at = f" at iteration {show_count(job.iteration)}" if job.iteration else ""
    reason = job.reason
    return NoticeView(
        f"This run failed{at}", reason.message, reason.code, advise(reason.code, job.spec), reason.log_tail
    )
