"""Workers with a broker: woken through Redis and through files, and ended by SIGTERM in mid-run."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from api.client.client import Client
from api.server.settings import Settings
from tests.support.faults.redis_server import run_redis
from tests.support.faults.trainers import paused_trainer, wait_for_stop_request
from tests.support.processes import Process
from tests.support.processes import start as start_process
from tests.support.training import read_record

StartWoken = Callable[..., Process]


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    with run_redis(tmp_path) as server:
        yield server.url


@pytest.fixture
def start_woken(tmp_path: Path, wait_until: Callable[..., Any]) -> Iterator[StartWoken]:
    """Start a worker as a process of its own and wait until it listens, or not."""
    running: list[Process] = []

    def start(url: str, home: Path, *, broker_url: str = "", until_ready: bool = True) -> Process:
        log_path = tmp_path / f"woken-{len(running)}.log"
        environment = {"GANVAS_URL": url, "GANVAS_HOME": str(home), "GANVAS_BROKER_URL": broker_url}
        with log_path.open("wb") as log:
            process = start_process("worker", env={**os.environ, **environment}, stdout=log, leads=True)
        running.append(process)
        if until_ready:
            wait_until(lambda: b"ready." in log_path.read_bytes())
        return process

    yield start
    for process in running:
        process.terminate()
        process.wait(60)


def test_redis_wakes_a_worker_and_a_worker_that_starts_needs_no_waking(
    start_service, start_woken, redis_url, tiny_spec, tmp_path
) -> None:
    # The reaper, which wakes workers as well, stays out of it.
    never = {"reap_every_seconds": 3600, "wake_every_seconds": 3600}
    url = start_service(Settings(home=tmp_path / "home", port=0, broker_url=redis_url, **never)).url
    with Client(url) as client, redis.Redis.from_url(redis_url) as broker:
        waiting = client.submit(tiny_spec)
        broker.flushall()
        start_woken(url, tmp_path / "worker", broker_url=redis_url)
        assert client.wait(waiting.id, timeout=600).state == "succeeded"
        assert client.wait(client.submit(tiny_spec).id, timeout=600).state == "succeeded"


def test_a_worker_that_is_told_to_end_gives_its_job_back_with_a_checkpoint_and_others_go_on(
    start_service, start_woken, long_spec, undisturbed, tmp_path
) -> None:
    """First SIGTERM, then Ctrl-C, which reaches the worker's whole process group."""
    home = tmp_path / "home"
    url = start_service(Settings(home=home, port=0, wake_every_seconds=3600)).url
    worker = start_woken(url, home)
    with Client(url) as client:
        job_id = client.submit(long_spec).id
        # It stands still until it is asked to stop: no machine is quick enough to end the job before.
        with paused_trainer(home) as trainer:
            worker.send_signal(signal.SIGTERM)
            wait_for_stop_request(trainer)
        assert worker.wait(300) == 0
        job = client.get(job_id)
        assert (job.state, job.attempts[0].end) == ("queued", "preempted")
        # The checkpoint holds everything up to the last iteration, not to the spec's last checkpoint.
        first_stop = job.checkpoints[-1].iteration
        assert first_stop == job.iteration
        worker = start_woken(url, home, until_ready=False)
        with paused_trainer(home, after=first_stop) as trainer:
            os.killpg(worker.pid, signal.SIGINT)
            wait_for_stop_request(trainer)
        assert worker.wait(300) == 0
        start_woken(url, home, until_ready=False)
        job = client.wait(job_id, timeout=600)
        assert [attempt.end for attempt in job.attempts] == ["preempted", "preempted", "succeeded"]
        first, second, third = (attempt.resumed_from for attempt in job.attempts)
        assert first < second < third
        assert second == first_stop
        assert read_record(client, job) == undisturbed
