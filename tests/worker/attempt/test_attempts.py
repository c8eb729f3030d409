"""Whole attempts: a real service, a real trainer process, and everything that can come between them."""

import os
import signal

import pytest
import torch

import worker.loop.work_loop
from tests.support.training import read_record


def test_a_killed_trainer_goes_on_from_its_checkpoint_without_gap_or_double(
    client, start_worker, long_spec, undisturbed, find_trainer, wait_until, tmp_path
) -> None:
    start_worker(client.url)
    job = client.submit(long_spec)
    wait_until(lambda: client.get(job.id).checkpoints)
    os.kill(find_trainer(tmp_path), signal.SIGKILL)
    job = client.wait(job.id, timeout=600)
    assert (job.state, job.attempt) == ("succeeded", 2)
    first, second = job.attempts
    assert (first.end, first.reason.code) == ("failed", "trainer_killed")
    assert "SIGKILL" in first.reason.message
    assert second.resumed_from >= 200
    assert second.provenance.versions["torch"]
    assert read_record(client, job) == undisturbed
    wait_until(lambda: not list((tmp_path / "worker" / "attempts").iterdir()))


def test_a_cancelled_job_ends_with_a_last_checkpoint(
    client, start_worker, long_spec, find_trainer, wait_until, tmp_path
) -> None:
    start_worker(client.url)
    endless = {"iterations": 1_000_000, "sample_every": 1000, "checkpoint_every": 1_000_000}
    job = client.submit({**long_spec, **endless})
    wait_until(lambda: client.get(job.id).iteration)
    client.cancel(job.id)
    job = client.wait(job.id, timeout=600)
    assert job.state == "cancelled"
    assert [checkpoint.iteration for checkpoint in job.checkpoints] == [job.iteration]
    assert find_trainer(tmp_path) is None


def test_an_exception_in_training_fails_the_job_with_its_code(
    client, start_worker, tiny_spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has the device that is to be missing")
    monkeypatch.setattr(worker.loop.work_loop, "list_devices", lambda: ["cpu", "cuda"])
    start_worker(client.url)
    job = client.wait(client.submit({**tiny_spec, "device": "cuda"}).id, timeout=600)
    assert (job.state, job.attempt, job.reason.code) == ("failed", 1, "device_unavailable")
    assert "DeviceUnavailable" in job.reason.log_tail
    assert client.log(job.id).items[-1].level == "error"
