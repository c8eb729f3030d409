"""Run folders of workers that died."""

import pytest

from api.attempts.schemas import FinishPost
from api.client.client import WorkerClient
from ganlib.events import MetricsLogged
from worker.attempt.result import TrainerResult, write_result
from worker.attempt.run_dir import RunDir, hold_run_dir
from worker.attempt.supervisor import recover_attempts
from worker.settings import WorkerSettings
from worker.spool.spool import SpoolWriter


@pytest.fixture
def settings(client, make_settings) -> WorkerSettings:
    return make_settings(client.url)


@pytest.fixture
def leftover(claim, settings, make_run_dir) -> RunDir:
    """What a worker left that was killed in mid-run: one event that nobody delivered."""
    run_dir = make_run_dir(settings.attempts_dir, claim.job_id, claim.attempt, claim.spec)
    spool = SpoolWriter(run_dir.spool_path)
    spool.append(MetricsLogged(iteration=10, values={"loss/generator": 0.5}))
    spool.close()
    return run_dir


def test_an_attempt_whose_lease_still_runs_is_delivered_and_given_back(
    client, worker_client, settings, claim, leftover
) -> None:
    recover_attempts(worker_client, settings, lambda: False)
    job = client.get(claim.job_id)
    assert (job.state, job.attempts[0].end, job.attempts[0].reason.code) == ("queued", "failed", "trainer_killed")
    assert client.curves(claim.job_id)["loss/generator"].iterations == [10]
    assert not leftover.path.exists()


def test_a_training_that_was_complete_succeeds_after_all(client, worker_client, settings, claim, leftover) -> None:
    write_result(leftover.result_path, TrainerResult(end="completed"))
    recover_attempts(worker_client, settings, lambda: False)
    assert client.get(claim.job_id).state == "succeeded"


def test_an_attempt_that_is_over_only_leaves_its_folder_to_delete(
    client, worker_client, settings, claim, leftover
) -> None:
    worker_client.finish(claim.job_id, claim.attempt, FinishPost(end="preempted", events_count=0))
    recover_attempts(worker_client, settings, lambda: False)
    assert client.curves(claim.job_id) == {}
    assert not leftover.path.exists()


def test_the_folder_of_a_live_worker_is_left_alone(client, worker_client, settings, claim, leftover) -> None:
    with hold_run_dir(leftover):
        recover_attempts(worker_client, settings, lambda: False)
    assert client.get(claim.job_id).state == "running"
    assert leftover.path.exists()


def test_a_service_that_is_away_leaves_the_folder_for_later(settings, leftover, unused_url: str) -> None:
    with WorkerClient(unused_url) as away:
        recover_attempts(away, settings, lambda: False)
    assert leftover.path.exists()


def test_a_result_that_the_service_refuses_does_not_come_back_for_ever(
    client, worker_client, settings, claim, leftover
) -> None:
    leftover.spool_path.write_bytes(b"")
    leftover.position_path.write_text('{"next_seq": 7}')
    recover_attempts(worker_client, settings, lambda: False)
    assert not leftover.path.exists()


@pytest.fixture
def unused_url() -> str:
    return "http://127.0.0.1:9"
