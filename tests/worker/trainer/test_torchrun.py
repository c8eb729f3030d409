"""Jobs on several cards: a process for each, by torchrun, supervised as one. Here a "card" is the CPU."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from api.attempts.schemas import ClaimRequest
from api.client.client import Client
from ganlib.spec.parse import parse_spec
from tests.support.processes import find_trainers, read_rank
from worker.attempt.result import TrainerResult, decide_finish, find_result, write_result
from worker.attempt.run_dir import RunDir
from worker.trainer.launcher import count_processes
from worker.trainer.torchrun import find_signal

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="here the processes would take real cards")

FindTrainers = Callable[[], dict[int, int]]


@pytest.fixture
def shared_spec(long_spec: dict[str, Any]) -> dict[str, Any]:
    """A job on two cards that takes any device."""
    every = {"iterations": 400, "sample_every": 50, "checkpoint_every": 50}
    return {**long_spec, **every, "device": "auto", "queue": {"gpus": 2}}


@pytest.fixture(autouse=True)
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANVAS_WORKER_GPUS", "2")


@pytest.fixture
def find_group(tmp_path: Path) -> FindTrainers:
    """Find the process ids of this test's trainers by their rank."""

    def find() -> dict[int, int]:
        found = {}
        for trainer in find_trainers(tmp_path):
            with suppress(OSError):
                found[read_rank(trainer)] = trainer
        return found

    return find


def test_two_processes_train_one_job_and_the_lead_alone_reports(
    client: Client, start_worker, shared_spec, find_group, wait_until
) -> None:
    start_worker(client.url)
    job = client.wait(client.submit(shared_spec).id, timeout=600)
    assert (job.state, job.attempt) == ("succeeded", 1), job.reason
    assert [sample.iteration for sample in client.samples(job.id)] == list(range(0, 401, 50))
    assert client.curves(job.id)["loss/generator"].iterations == [1, *range(10, 401, 10)]
    wait_until(lambda: not find_group())


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_the_attempt_and_the_job_goes_on_from_its_checkpoint(
    client: Client, start_worker, shared_spec, find_group, wait_until, rank: int
) -> None:
    start_worker(client.url)
    job_id = client.submit({**shared_spec, "iterations": 1_000_000, "sample_every": 100_000}).id
    wait_until(lambda: client.get(job_id).checkpoints)
    os.kill(find_group()[rank], signal.SIGKILL)
    wait_until(lambda: client.get(job_id).attempt == 2)
    first, second = client.get(job_id).attempts
    assert (first.end, first.reason.code) == ("failed", "trainer_killed")
    assert "SIGKILL" in first.reason.message
    assert second.resumed_from >= 50
    seen = client.get(job_id).iteration
    wait_until(lambda: client.get(job_id).iteration > seen)
    client.cancel(job_id)
    ended = client.wait(job_id, timeout=300)
    assert (ended.state, ended.checkpoints[-1].iteration) == ("cancelled", ended.iteration)
    wait_until(lambda: not find_group())


def test_a_worker_that_ends_stops_all_processes_with_a_checkpoint(
    client: Client, start_worker, shared_spec, find_group, wait_until
) -> None:
    loop = start_worker(client.url)
    job_id = client.submit({**shared_spec, "iterations": 1_000_000, "sample_every": 100_000}).id
    wait_until(lambda: client.get(job_id).iteration)
    loop.shut_down()
    wait_until(lambda: client.get(job_id).state == "queued")
    job = client.get(job_id)
    assert job.attempts[0].end == "preempted"
    assert job.checkpoints[-1].iteration == job.iteration
    assert not find_group()


def test_all_processes_die_with_their_supervisor(
    make_run_dir, shared_spec, find_group, wait_until, tmp_path
) -> None:
    run_dir = make_run_dir(tmp_path, "job", 1, {**shared_spec, "iterations": 1_000_000, "sample_every": 100_000})
    program = (
        "import time; from pathlib import Path; from worker.attempt.run_dir import RunDir;"
        "from worker.trainer.launcher import LaunchedTrainer;"
        f"LaunchedTrainer(RunDir(Path({str(run_dir.path)!r}), 'job', 1)); time.sleep(3600)"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", program])
    wait_until(lambda: len(find_group()) == 2)
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not find_group())


def test_a_worker_with_one_card_does_not_take_it(client: Client, worker_client, shared_spec) -> None:
    client.submit(shared_spec)
    assert worker_client.claim_job(ClaimRequest(worker="one", gpus=1)) is None
    assert worker_client.claim_job(ClaimRequest(worker="two", gpus=2)) is not None


@pytest.fixture
def run_dir(make_run_dir, shared_spec, tmp_path: Path) -> RunDir:
    run_dir: RunDir = make_run_dir(tmp_path, "job", 1, parse_spec(shared_spec).model_dump(mode="json"))
    return run_dir


def test_the_spec_says_how_many_processes(run_dir: RunDir) -> None:
    assert count_processes(run_dir) == 2
    for text in ("{}", "[]", "no JSON", '{"queue": null}', '{"queue": {"gpus": null}}'):
        run_dir.spec_path.write_text(text)
        assert count_processes(run_dir) == 1


LOST = TrainerResult(end="failed", code="process_lost", message="Another process has ended.")
FULL = TrainerResult(end="failed", code="out_of_memory", message="Memory ran out.")


def test_the_process_that_failed_says_why_and_not_the_one_that_lost_it(run_dir: RunDir) -> None:
    write_result(run_dir.result_path, LOST)
    write_result(run_dir.follower_result_path(1), FULL)
    assert find_result(run_dir) == FULL
    assert decide_finish(run_dir, 1, None, 0).reason.code == "out_of_memory"


def test_where_all_say_that_they_lost_another_one_was_killed(run_dir: RunDir) -> None:
    write_result(run_dir.result_path, LOST)
    write_result(run_dir.follower_result_path(1), LOST)
    assert decide_finish(run_dir, -9, None, 0).reason.code == "trainer_killed"
    # One that was asked to stop meanwhile is put back.
    assert decide_finish(run_dir, 1, "preempted", 0).end == "preempted"


def test_what_the_lead_says_stands(run_dir: RunDir) -> None:
    write_result(run_dir.result_path, TrainerResult(end="completed"))
    write_result(run_dir.follower_result_path(1), LOST)
    assert decide_finish(run_dir, 0, None, 7).end == "succeeded"


@pytest.mark.parametrize(
    ("statuses", "number"), [([1, -9], 9), ([-15, -9], 9), ([-15, 1], 15), ([1, 4], None), ([-11, -15], 11)]
)
def test_the_signal_of_a_process_that_torchrun_did_not_end_itself_is_told(
    statuses: list[int], number: int | None
) -> None:
    assert find_signal(statuses) == number
