"""Outcomes: decides a job's next state when its attempt ends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # For types alone: the queue, which an idle service asks every second, needs no models of events.
    from api.server.http.schemas import AttemptEnd, JobState, Reason

FIRST_BACKOFF_SECONDS = 2.0
MAX_BACKOFF_SECONDS = 60.0
# A killed trainer may finish next time, a damaged checkpoint has a predecessor, and a full disk can be cleared. An
# exception would only happen again.
RETRYABLE_REASONS = frozenset({"trainer_killed", "checkpoint_unreadable", "disk_full"})


@dataclass(frozen=True)
class Outcome:
    """The job's next state; `uses_attempt` counts against the budget, a queued job waits `backoff_seconds`."""

    state: "JobState"
    uses_attempt: bool = False
    backoff_seconds: float = 0.0
    reason: "Reason | None" = None


def decide_outcome(
    end: "AttemptEnd",
    reason: "Reason | None",
    attempts_used: int,
    attempts_allowed: int,
    cancel_requested: bool,
    made_progress: bool = False,
) -> Outcome:
    """Decide by the attempt's end, the number of attempts used before it, and whether a cancel was requested.

    Succeeded stays succeeded. A requested cancel ends a job that did not succeed or fail permanently. A preempted
    attempt is free; a lost or killed one is retried, with a growing delay, while the budget lasts. The budget is
    for attempts that lead nowhere: one that reached a new checkpoint (`made_progress`) costs nothing.
    """
    if end == "succeeded":
        return Outcome("succeeded", reason=reason)
    code = reason.code if reason else ""
    is_retried = end in ("lost", "preempted") or (end == "failed" and code in RETRYABLE_REASONS)
    if end == "cancelled" or (cancel_requested and is_retried):
        return Outcome("cancelled", reason=reason)
    if end == "preempted":
        return Outcome("queued")
    if is_retried and made_progress:
        return Outcome("queued", backoff_seconds=backoff_seconds(1))
    used = attempts_used + 1
    if not is_retried:
        return Outcome(
            "failed",
            uses_attempt=True,
            reason=reason or make_reason("trainer_failed", "The trainer failed and gave no reason."),
        )
    if used >= attempts_allowed:
        return Outcome("failed", uses_attempt=True, reason=_used_up(used, reason))
    return Outcome("queued", uses_attempt=True, backoff_seconds=backoff_seconds(used))


def decide_own_outcome(end: "AttemptEnd", reason: "Reason | None") -> Outcome:
    """Decide for a run whose loop Ganvas does not start: nobody can start it again."""
    if end in ("succeeded", "cancelled"):
        return Outcome(end, reason=reason)
    return Outcome(
        "failed", reason=reason or make_reason("trainer_failed", "The trainer failed and gave no reason.")
    )


def backoff_seconds(attempts_used: int) -> float:
    """Return the delay after this many attempts: 2 s, doubled each time, at most 60 s."""
    exponent = min(max(attempts_used - 1, 0), 16)
    return min(FIRST_BACKOFF_SECONDS * 2.0**exponent, MAX_BACKOFF_SECONDS)


def describe_end(attempt: int, end: "AttemptEnd", reason: "Reason | None", outcome: Outcome) -> tuple[str, str]:
    """Return the text and level of the log line for the end of an attempt."""
    why = f": {reason.message}" if reason else "."
    text = f"Attempt {attempt} {_END_WORDS[end]}{why}"
    if outcome.state != "queued":
        return text, "error" if outcome.state == "failed" else "info"
    when = f"in {outcome.backoff_seconds:g} seconds" if outcome.backoff_seconds else "as soon as a worker is free"
    return f"{text} The job continues {when}.", "info" if end == "preempted" else "warning"


_END_WORDS: dict["AttemptEnd", str] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "was cancelled",
    "preempted": "stopped because its worker shut down",
    "lost": "was lost",
}


def _used_up(used: int, last: "Reason | None") -> "Reason":
    cause = f" The last one: {last.message}" if last else " The last one stopped sending heartbeats."
    message = f"All {used} attempts were lost.{cause}"[:4000]
    return make_reason("attempts_used_up", message, last.log_tail if last else "")


def make_reason(code: str, message: str, log_tail: str = "") -> "Reason":
    """Return a reason; its model is loaded with the first one."""
    from api.server.http.schemas import Reason

    return Reason(code=code, message=message, log_tail=log_tail)
