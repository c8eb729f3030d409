"""What becomes of a job when an attempt ends, case by case."""

import pytest

from api.attempts.outcomes import backoff_seconds, decide_outcome
from api.server.http.schemas import AttemptEnd, JobState, Reason


@pytest.mark.parametrize(
    ("end", "code", "used", "cancel", "state", "uses_attempt", "backoff"),
    [
        ("succeeded", None, 0, False, "succeeded", False, 0),
        ("succeeded", None, 0, True, "succeeded", False, 0),
        ("cancelled", None, 0, True, "cancelled", False, 0),
        ("preempted", None, 4, False, "queued", False, 0),
        ("preempted", None, 0, True, "cancelled", False, 0),
        ("lost", "attempt_lost", 0, False, "queued", True, 2),
        ("lost", "attempt_lost", 1, False, "queued", True, 4),
        ("lost", "attempt_lost", 4, False, "failed", True, 0),
        ("lost", "attempt_lost", 0, True, "cancelled", False, 0),
        ("failed", "trainer_killed", 0, False, "queued", True, 2),
        ("failed", "trainer_killed", 4, False, "failed", True, 0),
        ("failed", "trainer_killed", 0, True, "cancelled", False, 0),
        ("failed", "checkpoint_unreadable", 0, False, "queued", True, 2),
        ("failed", "checkpoint_unreadable", 4, False, "failed", True, 0),
        ("failed", "trainer_failed", 0, False, "failed", True, 0),
        ("failed", "training_diverged", 0, False, "failed", True, 0),
        ("failed", "spec_invalid", 0, False, "failed", True, 0),
        ("failed", "dataset_unavailable", 0, True, "failed", True, 0),
        ("failed", None, 0, False, "failed", True, 0),
    ],
)
def test_the_end_of_an_attempt_decides_the_jobs_next_state(
    end: AttemptEnd, code: str | None, used: int, cancel: bool, state: JobState, uses_attempt: bool, backoff: float
) -> None:
    reason = Reason(code=code, message="Because.") if code else None
    outcome = decide_outcome(end, reason, used, attempts_allowed=5, cancel_requested=cancel)
    assert (outcome.state, outcome.uses_attempt, outcome.backoff_seconds) == (state, uses_attempt, backoff)


@pytest.mark.parametrize(
    ("end", "code", "state"),
    [
        ("lost", "attempt_lost", "queued"),
        ("failed", "trainer_killed", "queued"),
        ("failed", "training_diverged", "failed"),
    ],
)
def test_progress_gives_the_attempt_back_but_heals_no_error(end: AttemptEnd, code: str, state: JobState) -> None:
    reason = Reason(code=code, message="Because.")
    outcome = decide_outcome(end, reason, 4, 5, cancel_requested=False, made_progress=True)
    backoff = 2 if state == "queued" else 0
    assert (outcome.state, outcome.uses_attempt, outcome.backoff_seconds) == (state, state == "failed", backoff)


def test_a_job_that_failed_has_a_reason_even_when_its_worker_gave_none() -> None:
    reason = decide_outcome("failed", None, 0, 5, cancel_requested=False).reason
    assert reason is not None
    assert reason.code == "trainer_failed"


def test_a_used_up_budget_tells_the_last_reason_and_its_log() -> None:
    last = Reason(code="trainer_killed", message="Killed by signal 9.", log_tail="the last line")
    reason = decide_outcome("failed", last, 1, 2, cancel_requested=False).reason
    assert reason is not None
    assert reason.message == "All 2 attempts were lost. The last one: Killed by signal 9."
    assert reason.log_tail == "the last line"


def test_the_backoff_doubles_from_two_seconds_to_a_minute() -> None:
    assert [backoff_seconds(used) for used in (1, 2, 3, 4, 5, 6, 7, 500)] == [2, 4, 8, 16, 32, 60, 60, 60]
