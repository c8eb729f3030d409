"""What becomes of a job when its attempt ends: the one place that decides."""

from dataclasses import dataclass

from api.server.http.schemas import AttemptEnd, JobState, Reason

FIRST_BACKOFF_SECONDS = 2.0
MAX_BACKOFF_SECONDS = 60.0
# A trainer that a signal or the kernel ended may well finish next time, and before a damaged checkpoint there is
# another one; room on a disk can be made. An exception would only come again.
RETRYABLE_REASONS = frozenset({"trainer_killed", "checkpoint_unreadable", "disk_full"})


@dataclass(frozen=True)
class Outcome:
    """The job's next state; `uses_attempt` counts against the budget, a queued job waits `backoff_seconds`."""

    state: JobState
    uses_attempt: bool = False
    backoff_seconds: float = 0.0
    reason: Reason | None = None


def decide_outcome(
    end: AttemptEnd, reason: Reason | None, attempts_used: int, attempts_allowed: int, cancel_requested: bool
) -> Outcome:
    """Decide from how the attempt ended, how many were used before it, and whether a person wants an end.

    Succeeded stays succeeded. A cancel that was asked for ends whatever did not succeed or fail for good. A
    preempted attempt costs nothing; a lost or killed one is tried again, later each time, while the budget lasts.
    """
    if end == "succeeded":
        return Outcome("succeeded", reason=reason)
    code = reason.code if reason else ""
    tried_again = end in ("lost", "preempted") or (end == "failed" and code in RETRYABLE_REASONS)
    if end == "cancelled" or (cancel_requested and tried_again):
        return Outcome("cancelled", reason=reason)
    if end == "preempted":
        return Outcome("queued")
    used = attempts_used + 1
    if not tried_again:
        return Outcome("failed", uses_attempt=True, reason=reason or _UNEXPLAINED)
    if used >= attempts_allowed:
        return Outcome("failed", uses_attempt=True, reason=_used_up(used, reason))
    return Outcome("queued", uses_attempt=True, backoff_seconds=backoff_seconds(used))


def backoff_seconds(attempts_used: int) -> float:
    """Return how long to wait after this many attempts: 2 s, then twice as long each time, at most 60 s."""
    exponent = min(max(attempts_used - 1, 0), 16)
    return min(FIRST_BACKOFF_SECONDS * 2.0**exponent, MAX_BACKOFF_SECONDS)


def describe_end(attempt: int, end: AttemptEnd, reason: Reason | None, outcome: Outcome) -> tuple[str, str]:
    """Return the line that a job's log gets for the end of an attempt, and its level."""
    why = f": {reason.message}" if reason else "."
    text = f"Attempt {attempt} {_END_WORDS[end]}{why}"
    if outcome.state != "queued":
        return text, "error" if outcome.state == "failed" else "info"
    when = f"in {outcome.backoff_seconds:g} seconds" if outcome.backoff_seconds else "as soon as a worker is free"
    return f"{text} It goes on {when}.", "info" if end == "preempted" else "warning"


_END_WORDS: dict[AttemptEnd, str] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "was cancelled",
    "preempted": "stopped because its worker did",
    "lost": "was lost",
}
_UNEXPLAINED = Reason(code="trainer_failed", message="The trainer failed and gave no reason.")


def _used_up(used: int, last: Reason | None) -> Reason:
    cause = f" The last one: {last.message}" if last else " The last one stopped sending heartbeats."
    message = f"All {used} attempts were lost.{cause}"[:4000]
    return Reason(code="attempts_used_up", message=message, log_tail=last.log_tail if last else "")
