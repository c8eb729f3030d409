"""What a trainer's end means for its attempt."""

import signal
from pathlib import Path

import pytest

from worker.attempt.result import LOG_TAIL_BYTES, TrainerResult, decide_finish, write_result
from worker.attempt.run_dir import RunDir
from worker.spool.bounded_spool import DroppedEventsRecord


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path, "job", 1)


@pytest.mark.parametrize(
    ("result_end", "stop_request", "end"),
    [
        ("completed", None, "succeeded"),
        ("completed", "cancelled", "succeeded"),
        ("stopped", "cancelled", "cancelled"),
        ("stopped", "preempted", "preempted"),
        ("stopped", None, "preempted"),
    ],
)
def test_an_orderly_end_becomes_the_end_that_was_wished(run_dir: RunDir, result_end, stop_request, end) -> None:
    write_result(run_dir.result_path, TrainerResult(end=result_end))
    finish = decide_finish(run_dir, 0, stop_request, 7)
    assert (finish.end, finish.reason, finish.events_count) == (end, None, 7)


def test_an_exception_fails_with_its_code_and_traceback(run_dir: RunDir) -> None:
    result = TrainerResult(end="failed", code="training_diverged", message="NaN", traceback="Traceback: …")
    write_result(run_dir.result_path, result)
    finish = decide_finish(run_dir, 1, None, 0)
    assert finish.reason is not None
    assert (finish.end, finish.reason.code, finish.reason.log_tail) == (
        "failed",
        "training_diverged",
        "Traceback: …",
    )


def test_a_killed_trainer_fails_with_the_signals_name_and_the_logs_end(run_dir: RunDir) -> None:
    run_dir.log_path.write_bytes(b"x" * LOG_TAIL_BYTES + b"the last line\n")
    finish = decide_finish(run_dir, -signal.SIGKILL, None, 0)
    assert finish.reason is not None
    assert (finish.end, finish.reason.code) == ("failed", "trainer_killed")
    assert "SIGKILL" in finish.reason.message
    assert finish.reason.log_tail.endswith("the last line\n")
    assert len(finish.reason.log_tail) == LOG_TAIL_BYTES


def test_a_worker_that_died_took_its_trainer_along(run_dir: RunDir) -> None:
    finish = decide_finish(run_dir, None, None, 0)
    assert finish.reason is not None
    assert (finish.end, finish.reason.code) == ("failed", "trainer_killed")


def test_an_exit_without_a_result_is_a_crash(run_dir: RunDir) -> None:
    finish = decide_finish(run_dir, 3, None, 0)
    assert finish.reason is not None
    assert (finish.end, finish.reason.code) == ("failed", "trainer_crashed")


def test_a_trainer_killed_for_being_slow_to_stop_has_ended_as_wished(run_dir: RunDir) -> None:
    finish = decide_finish(run_dir, -signal.SIGKILL, "preempted", 0)
    assert (finish.end, finish.reason) == ("preempted", None)


def test_half_a_result_is_none(run_dir: RunDir) -> None:
    run_dir.result_path.write_text('{"end": "compl')
    assert decide_finish(run_dir, -signal.SIGKILL, None, 0).end == "failed"


def test_what_was_dropped_stands_in_the_attempt_however_it_ended(run_dir: RunDir) -> None:
    DroppedEventsRecord.begin(run_dir.dropped_events_path).add(40, has_file=True)
    write_result(run_dir.result_path, TrainerResult(end="completed"))
    succeeded = decide_finish(run_dir, 0, None, 7)
    assert succeeded.reason is not None
    assert (succeeded.end, succeeded.reason.code) == ("succeeded", "events_dropped")
    assert "1 event, 1 of them with a file, of iteration 40" in succeeded.reason.message
    write_result(run_dir.result_path, TrainerResult(end="failed", code="training_diverged", message="NaN."))
    failed = decide_finish(run_dir, 1, None, 7)
    assert failed.reason is not None
    assert failed.reason.code == "training_diverged"
    assert failed.reason.message.startswith("NaN. Besides, 1 event")


@pytest.mark.parametrize(
    ("status", "end"), [(0, "succeeded"), (4, "preempted"), (1, "failed"), (-9, "failed"), (None, "failed")]
)
def test_on_a_full_disk_the_exit_status_stands_for_a_result_that_found_no_room(
    run_dir: RunDir, status: int | None, end: str
) -> None:
    DroppedEventsRecord.begin(run_dir.dropped_events_path).add(40, has_file=False)
    assert decide_finish(run_dir, status, None, 7).end == end


def test_a_status_of_success_without_a_result_is_a_crash_where_the_disk_had_room(run_dir: RunDir) -> None:
    DroppedEventsRecord.begin(run_dir.dropped_events_path)
    assert decide_finish(run_dir, 0, None, 7).end == "failed"
