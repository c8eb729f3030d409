"""The state of a run in words: what it has learnt, why it waits or failed, and the actions that are open."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.curves.schemas import Curve
from api.events.findings.schemas import MOST_OF_A_JOB
from api.jobs.schemas import JobRead
from api.server.http.schemas import TERMINAL_STATES
from api.workers.queue import QueuePosition
from dashboard.charts.references import find_dataset, find_real
from dashboard.web.formats import NOTHING, show_count, show_number
from dashboard.web.layout import Figure, Moment, figure_of, find_moment
from ganlib.vocabulary import (
    CLASSIFIER_SCORE,
    FRECHET_DISTANCE,
    LABELLED_ACCURACY,
    REAL_DISTANCE,
    TEST_ACCURACY,
    VALIDATION_ACCURACY,
    Metric,
)

# What tells whether a run learns: the first of these that it measures.
LEARNING = (
    REAL_DISTANCE,
    FRECHET_DISTANCE,
    CLASSIFIER_SCORE,
    TEST_ACCURACY,
    VALIDATION_ACCURACY,
    LABELLED_ACCURACY,
)


@dataclass(frozen=True)
class LearningView:
    """A run's own measure of what it has learnt, and what it was at first and is for real images; None without."""

    metric: Metric | None
    value: Figure
    text: str


def build_learning(job: JobRead, curves: Sequence[Curve]) -> LearningView:
    """Return what the run's metrics say of its learning, unjudged; `curves` begin at their first point."""
    metric = next((metric for metric in LEARNING if metric.name in job.latest), None)
    if metric is None:
        return LearningView(None, figure_of(None), _why_unmeasured(job))
    newest = job.latest[metric.name]
    first = next((curve for curve in curves if curve.name == metric.name and curve.values), None)
    facts = []
    if first and first.iterations[0] < newest.iteration:
        facts.append(f"{show_number(first.values[0])} at iteration {show_count(first.iterations[0])}")
    real = find_real(metric, find_dataset(job.spec))
    if real is not None:
        facts.append(f"real images get {show_number(real)}")
    return LearningView(metric, figure_of(newest.value), "; ".join(facts))


def _why_unmeasured(job: JobRead) -> str:
    if job.state == "queued":
        return "It is measured once it trains."
    if job.state in TERMINAL_STATES:
        return "This run measured nothing that tells." if job.iteration else "It ended before its first iteration."
    if not job.latest:
        return "The trainer loads its data and builds the networks."
    return "Nothing that tells was measured so far."


@dataclass(frozen=True)
class FaultsView:
    """How many findings last, and what else there is to know: those that ended, warnings, attempts."""

    count: str
    text: str


def build_faults(job: JobRead, warning_count: int) -> FaultsView:
    """Return the count of a run's findings that last, and the facts beside it."""
    lasting = sum(finding.ended is None for finding in job.findings)
    ended = len(job.findings) - lasting
    more = "+" if len(job.findings) == MOST_OF_A_JOB else ""
    facts = [f"{ended} ended"] if ended else []
    if job.attempt > 1:
        facts.append(f"attempt {job.attempt}")
    if warning_count:
        facts.append(f"{warning_count} warning{'s' if warning_count > 1 else ''} in the log")
    return FaultsView(show_count(lasting) + more if job.verdict.tone != "unknown" else NOTHING, "; ".join(facts))


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
        "stopped_by_fault",
        "dataset_unavailable",
        "data_changed",
        "device_unavailable",
        "compilation_failed",
        "not_dealable",
        "process_lost",
        "disk_full",
        "extractor_unavailable",
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
        return FailureView("This run failed", "No reason was recorded.", "unknown", _advise(job, ""), "")
    at = f" at iteration {show_count(job.iteration)}" if job.iteration else ""
    reason = job.reason
    return FailureView(
        f"This run failed{at}", reason.message, reason.code, _advise(job, reason.code), reason.log_tail
    )


def _advise(job: JobRead, code: str) -> str:
    """Return what to try; nothing for a loop of somebody's own, of which nobody here knows what it does."""
    return advise(code, job.spec) if job.origin == "ganlib" else ""


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
    # Ganvas starts no loop of somebody's own.
    is_ours = job.origin == "ganlib"
    can_retry = is_ours and job.state in ("failed", "cancelled")
    return ActionsView(
        can_cancel=not is_over and job.cancel_requested_at is None,
        cancel_means=_cancel_means(job),
        cancel_requested=find_moment(job.cancel_requested_at if not is_over else None, now),
        cancel_href=f"/runs/{job.id}/cancel",
        can_retry=can_retry,
        retry_text=_retry_text(job),
        retry_href=f"/runs/{job.id}/retry",
        retry_key=secrets.token_urlsafe(16) if can_retry else "",
        again_href=f"/runs/{job.id}/again" if is_ours else "",
    )


def _cancel_means(job: JobRead) -> str:
    if job.origin == "own":
        return "Its program is asked to stop; until it does, the run goes on. The records stay."
    if job.origin != "ganlib":
        return "It ends here; its program, if it still runs, is not told. The records stay."
    if job.state == "running":
        return "The worker stops after this iteration. The records stay."
    return "It does not continue. Its records stay." if job.attempts else "It never starts; nothing is lost."


def _retry_text(job: JobRead) -> str:
    kept = [checkpoint.iteration for checkpoint in job.checkpoints if checkpoint.url]
    return f"Retry from iteration {show_count(max(kept))}" if kept else "Retry from the start"
