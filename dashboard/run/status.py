"""The state of a run in words: why it waits, why it failed and what to try, and the actions that are open."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.jobs.schemas import JobRead
from api.server.http.schemas import TERMINAL_STATES
from api.workers.queue import QueuePosition
from dashboard.web.formats import show_count
from dashboard.web.layout import Moment, find_moment


@dataclass(frozen=True)
class WaitingView:
    """Why a run waits, in sentences. command: the worker to start: any, CUDA, or empty for none."""

    sentences: list[str]
    command: str


def show_waiting(job: JobRead, queue: QueuePosition) -> WaitingView | None:
    """Return why the run waits; None when it does not."""
    if not job.waiting:
        return None
    # Other running jobs have workers; without one, the last worker may be the one that was lost.
    needs_command = not job.obstacle and not queue.running
    wants = "CUDA" if job.spec.get("device") == "cuda" else "any"
    return WaitingView(job.waiting, wants if needs_command else "")


ADVICE: dict[str, str] = {
    "training_diverged": (
        "Lower both learning rates, for example by half, or set precision: float32, in a new run: a retry repeats "
        "the same numbers from the last whole checkpoint."
    ),
    "checkpoint_invalid": (
        "The checkpoint on disk is damaged or from another spec; submit the spec again to start afresh."
    ),
    "trainer_killed": (
        "The trainer was killed from outside, most often by the system for lack of memory: "
        "halve batch_size (it is {batch_size}), or give the worker more memory."
    ),
    "checkpoint_unreadable": "The checkpoint could not be read back; submit the spec again to start afresh.",
    "attempts_used_up": (
        "Its workers were lost too often. Look at the last attempt's host: memory, disk, whether it was shut down."
    ),
    "out_of_memory": "batch_size is {batch_size} now: halve it, or send the run to a worker with a larger card.",
    "trainer_crashed": (
        "The trainer crashed, as after a fault in a library: read its last output below, and try "
        "precision: float32, without anything compiled."
    ),
    "worker_failed": "The worker failed; the log on its machine has the details. Retry on another worker.",
    "spec_invalid": "The worker runs another version than the service; install the same version on both.",
}
# Errors whose own message says what to do.
SELF_EXPLAINED = frozenset(
    {
        "dataset_unavailable",
        "data_changed",
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
    """Return a sentence on what to try; empty where the error's own message says it."""
    if code in SELF_EXPLAINED:
        return ""
    return ADVICE.get(code, GENERAL_ADVICE).format(batch_size=(spec or {}).get("batch_size", "as in its spec"))


@dataclass(frozen=True)
class FailureView:
    """Why the run failed, and what to try."""

    heading: str
    message: str
    code: str
    advice: str
    log_tail: str


def build_failure(job: JobRead) -> FailureView | None:
    """Return why the run failed; None when it did not."""
    if job.state != "failed":
        return None
    if job.reason is None:
        return FailureView("This run failed", "No reason was recorded.", "unknown", advise(""), "")
    at = f" at iteration {show_count(job.iteration)}" if job.iteration else ""
    reason = job.reason
    return FailureView(
        f"This run failed{at}", reason.message, reason.code, advise(reason.code, job.spec), reason.log_tail
    )


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
    """Return what can be done with the run in its present state."""
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
        return "The worker stops after this iteration. The records stay."
    return "It does not continue. Its records stay." if job.attempts else "It never starts; nothing is lost."


def _retry_text(job: JobRead) -> str:
    kept = [checkpoint.iteration for checkpoint in job.checkpoints if checkpoint.url]
    return f"Retry from iteration {show_count(max(kept))}" if kept else "Retry from the start"
