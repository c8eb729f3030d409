"""What can come between a worker and its service: absence, fencing, damage, shutdown."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.attempts.schemas import ClaimRequest, ResumePoint
from api.client.client import Client, WorkerClient
from api.client.transport import ServiceUnreachable
from api.errors import ArtifactRefused
from api.server.settings import Settings
from tests.support.processes import Process, start
from tests.support.training import read_record
from worker.attempt.lease import Lease
from worker.attempt.run_dir import RunDir, RunDirBusy, hold_run_dir
from worker.attempt.supervisor import run_attempt
from worker.trainer import launcher

Start = Callable[[], str]


class Service:
    """`ganvas up` without a worker, as a process that can be killed and started again at the same address."""

    def __init__(self, home: Path, wait_until: Callable[..., Any]) -> None:
        self._home = home
        self._wait_until = wait_until
        self._port = 0
        self._process: Process | None = None

    def start(self) -> str:
        command = ["up", "--no-worker", "--port", str(self._port), "--data-dir", str(self._home)]
        with Path(os.devnull).open("wb") as nothing:
            self._process = start("ganvas", *command, stdout=nothing)
        address = self._home / "service.json"
        self._wait_until(address.exists)
        url: str = json.loads(address.read_text())["url"]
        self._port = int(url.rpartition(":")[2])
        return url

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            (self._home / "service.json").unlink(missing_ok=True)


@pytest.fixture
def service(tmp_path: Path, wait_until: Callable[..., Any]) -> Iterator[Service]:
    service = Service(tmp_path / "home", wait_until)
    yield service
    service.kill()


@pytest.fixture
def partition(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While this is set, nothing that a running attempt sends reaches the service."""
    cut = threading.Event()

    def cut_off(send: Callable[..., Any]) -> Callable[..., Any]:
        def call(client: WorkerClient, *arguments: Any) -> Any:
            if cut.is_set():
                raise ServiceUnreachable(client.url)
            return send(client, *arguments)

        return call

    for name in ("heartbeat", "post_events", "put_artifact", "finish"):
        monkeypatch.setattr(WorkerClient, name, cut_off(getattr(WorkerClient, name)))
    return cut


def is_held(path: Path) -> bool:
    try:
        with hold_run_dir(RunDir(path, "job", 1)):
            return False
    except RunDirBusy:
        return True


def test_training_goes_on_while_the_service_is_away_and_nothing_is_missing_afterwards(
    service, start_worker, long_spec, undisturbed, wait_until, tmp_path
) -> None:
    url = service.start()
    start_worker(url)
    with Client(url) as client:
        job_id = client.submit(long_spec).id
        wait_until(lambda: client.get(job_id).iteration)
        service.kill()
        [spool] = tmp_path.glob("worker/attempts/*/spool.jsonl")
        wait_until(lambda: b"training_ended" in spool.read_bytes())
        assert service.start() == url
        job = client.wait(job_id, timeout=600)
        assert (job.state, job.attempt) == ("succeeded", 1)
        assert read_record(client, job) == undisturbed


@pytest.mark.parametrize("guard_is_on", [True, False])
def test_the_trainer_of_an_attempt_that_lost_its_job_is_stopped(
    start_service, start_worker, long_spec, partition, find_trainer, wait_until, tmp_path, monkeypatch, guard_is_on
) -> None:
    """The control, without the guard, keeps its trainer although the service has refused it."""
    refused = threading.Semaphore(0)
    mark_lost = Lease.mark_lost

    def note_refusal(lease: Lease) -> None:
        refused.release()
        if guard_is_on:
            mark_lost(lease)

    monkeypatch.setattr(Lease, "mark_lost", note_refusal)
    url = start_service(Settings(home=tmp_path / "home", port=0, lease_seconds=1.5)).url
    start_worker(url)
    with Client(url) as client, WorkerClient(url) as other:
        job = client.submit({**long_spec, "iterations": 1_000_000, "sample_every": 100_000})
        wait_until(lambda: client.get(job.id).iteration)
        partition.set()
        claim = wait_until(lambda: other.claim_job(ClaimRequest(worker="other")))
        assert (claim.job_id, claim.attempt) == (job.id, 2)
        seen = client.get(job.id).iteration
        assert find_trainer(tmp_path)
        partition.clear()
        assert refused.acquire(timeout=600)
        if guard_is_on:
            wait_until(lambda: find_trainer(tmp_path) is None)
        else:
            assert refused.acquire(timeout=600)
            assert find_trainer(tmp_path)
        # Nothing that the lost attempt went on to send was taken.
        assert client.get(job.id).iteration == seen


def test_what_a_worker_could_not_deliver_before_its_end_is_delivered_after_its_next_start(
    live_service,
    client,
    start_worker,
    long_spec,
    undisturbed,
    partition,
    wait_until,
    tmp_path,
    monkeypatch,
) -> None:
    monkeypatch.setenv("GANVAS_DELIVERY_SECONDS", "0.3")
    loop = start_worker(live_service.url)
    job_id = client.submit(long_spec).id
    wait_until(lambda: client.get(job_id).iteration)
    partition.set()
    loop.shut_down()
    [run_dir] = tmp_path.glob("worker/attempts/*")
    wait_until((run_dir / "result.json").exists)
    wait_until(lambda: not is_held(run_dir))
    assert client.get(job_id).attempts[0].end is None
    partition.clear()
    start_worker(live_service.url)
    job = client.wait(job_id, timeout=600)
    assert [attempt.end for attempt in job.attempts] == ["preempted", "succeeded"]
    assert read_record(client, job) == undisturbed
    wait_until(lambda: not list(tmp_path.glob("worker/attempts/*")))


def test_a_checkpoint_that_stays_damaged_fails_the_attempt_with_a_reason(
    client, claim, worker_client, make_settings, monkeypatch
) -> None:
    tries = []

    def damaged(_: WorkerClient, sha256: str, path: Path) -> Path:
        tries.append(sha256)
        raise ArtifactRefused("The artifact arrived damaged.")

    monkeypatch.setattr(WorkerClient, "get_artifact", damaged)
    resume = ResumePoint(iteration=20, sha256="0" * 64, size=7)
    settings = make_settings(client.url)
    run_attempt(worker_client, claim.model_copy(update={"resume": resume}), settings, lambda: False)
    job = client.get(claim.job_id)
    [attempt] = job.attempts
    assert (job.state, attempt.end, attempt.reason.code) == ("queued", "failed", "checkpoint_unreadable")
    assert "iteration 20" in attempt.reason.message
    assert len(tries) == 3


def test_the_trainer_is_told_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    from worker.trainer.launcher import _trainer_environment

    for name in ("GANVAS_TOKEN", "GANVAS_DATABASE_URL", "GANVAS_BROKER_URL"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    environment = _trainer_environment()
    assert "secret" not in environment.values()
    assert environment["CUDA_VISIBLE_DEVICES"] == "1"


@pytest.mark.parametrize("card", ["1", "GPU-8a2c"])
def test_the_card_that_a_worker_is_set_to_is_the_one_that_its_trainer_gets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_run_dir, tiny_spec, card: str
) -> None:
    """What the worker offers (see test_presence) and what its trainer sees are counted alike: by slot."""
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\nenv > "$3/environment"\n')
    program.chmod(0o755)
    monkeypatch.setattr(launcher.sys, "executable", str(program))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", card)
    run_dir = make_run_dir(tmp_path, "job", 1, tiny_spec)
    trainer = launcher.LaunchedTrainer(run_dir)
    while trainer.find_status() is None:
        time.sleep(0.01)
    told = (run_dir.path / "environment").read_text().splitlines()
    assert {f"CUDA_VISIBLE_DEVICES={card}", "CUDA_DEVICE_ORDER=PCI_BUS_ID"} <= set(told)
