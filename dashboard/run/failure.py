"""Why a run ended badly, and what to try: for the top of its page."""

from dataclasses import dataclass
from typing import Any

from api.jobs.schemas import JobRead
from dashboard.web.formats import show_count

ADVICE: dict[str, str] = {
    "training_diverged": (
        "Lower both learning rates by half, or train in float32 (precision: float32); "
        "the losses just before the end show which player broke first."
    ),
    "checkpoint_invalid": (
        "The checkpoint on disk is damaged or from another spec; submit the spec again to start afresh."
    ),
    "trainer_killed": (
        "Something ended the trainer from outside, most often the system for lack of memory: "
        "halve batch_size (it is {batch_size}), or give the worker more."
    ),
    "checkpoint_unreadable": "The checkpoint could not be read back; submit the spec again to start afresh.",
    "attempts_used_up": (
        "Its workers were lost too often. Look at the last attempt's host: memory, disk, whether it was shut down."
    ),
    "out_of_memory": "batch_size is {batch_size} now: halve it, or send the run to a worker with a larger card.",
    "trainer_crashed": (
        "The trainer's process ended as after a fault in a library: read its last words below, and try "
        "precision: float32, without anything compiled."
    ),
    "worker_failed": "The worker could not do its part; its own log, on its machine, has more. Retry elsewhere.",
    "spec_invalid": "The worker runs another version than the service; install the same version on both.",
}
# Errors whose message says what to do.
SAYS_ITSELF = frozenset(
    {
        "dataset_unavailable",
        "device_unavailable",
        "compilation_failed",
        "not_dealable",
        "process_lost",
        "disk_full",
    }
)
GENERAL_ADVICE = (
    "Read the end of the log below. The command “ganvas train” with the same spec shows the error at your own "
    "terminal, without a service."
)


def advise(code: str, spec: dict[str, Any] | None = None) -> str:
    """Return a sentence on what to try, or nothing where the error's own message says it."""
    if code in SAYS_ITSELF:
        return ""
    return ADVICE.get(code, GENERAL_ADVICE).format(batch_size=(spec or {}).get("batch_size", "as in its spec"))


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
