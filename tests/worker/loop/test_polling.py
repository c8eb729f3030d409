"""Workers without a broker: one command joins, asks for jobs by itself, and ends as it should.

The first is executed, as by a person; the others are forked.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.client.client import Client
from api.server.access import tokens
from api.server.database.engine import build_database
from api.server.settings import Settings
from tests.support.faults.trainers import interrupt_until_it_ends, paused_trainer, wait_until_gone
from tests.support.processes import Command

StartWorker = Callable[..., Command]


@pytest.fixture
def start_polling(tmp_path: Path) -> Iterator[StartWorker]:
    """Start `ganvas worker` as a process; it ends with the test."""
    running: list[Command] = []

    def start(url: str, *arguments: object, is_forked: bool = True, **environment: str) -> Command:
        home = tmp_path / f"worker-{len(running)}"
        options = ("--service", url, "--data-dir", home, "--name", "elsewhere", *arguments)
        patience = {"GANVAS_POLL_SECONDS": "0.2", "GANVAS_STOP_SECONDS": "200", "GANVAS_DELIVERY_SECONDS": "200"}
        running.append(Command("worker", *options, is_forked=is_forked, **patience, **environment))
        return running[-1]

    yield start
    for command in running:
        if command.process.poll() is None:
            command.end(signal.SIGTERM)


def make_tokens(settings: Settings, *scopes: str) -> list[str]:
    database = build_database(settings)
    with database.write() as session:
        secrets = [tokens.insert_token(session, scope, scope, None)[1] for scope in scopes]
    database.close()
    return secrets


def test_one_command_with_address_and_token_joins_and_trains(
    live_service, start_polling, tiny_spec, tmp_path
) -> None:
    worker_token, user_token = make_tokens(live_service.settings, "worker", "user")
    (tmp_path / "token").write_text(f"{worker_token}\n")
    worker = start_polling(live_service.url, "--token-file", tmp_path / "token", is_forked=False)
    joined = worker.read_until(r"^Joined (\S+) as (\S+), with (.+); it asks for jobs every 0.2 seconds")
    assert joined.groups()[:2] == (live_service.url, "elsewhere")
    with Client(live_service.url, user_token) as client:
        # One that waits and one that comes when nothing does.
        for _ in range(2):
            assert client.wait(client.submit(tiny_spec).id, timeout=120).state == "succeeded"
        (listed,) = client.list_workers()
        assert (listed.name, listed.is_alive) == ("elsewhere", True)
    assert worker.end(signal.SIGTERM) == 0
    # The program that runs in its place has no argument that others could read.
    assert worker_token not in worker.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_told_to_end_gives_its_job_back_with_a_checkpoint(
    live_service, start_polling, long_spec, wait_until, number
) -> None:
    worker = start_polling(live_service.url)
    with Client(live_service.url) as client:
        job_id = client.submit({**long_spec, "iterations": 1_000_000, "sample_every": 100_000}).id
        wait_until(lambda: client.get(job_id).iteration)
        assert worker.end(number) == 0
        job = client.get(job_id)
        assert (job.state, job.attempts[0].end) == ("queued", "preempted")
        assert job.checkpoints[-1].iteration == job.iteration


def test_after_any_number_of_ctrl_c_neither_worker_nor_trainer_is_left(
    live_service, start_polling, long_spec, tmp_path
) -> None:
    """The trainer stands still, so that the first one alone would be waited for."""
    worker = start_polling(live_service.url)
    with Client(live_service.url) as client:
        client.submit({**long_spec, "iterations": 1_000_000, "sample_every": 100_000})
        with paused_trainer(tmp_path) as trainer:
            interrupt_until_it_ends(worker.process)
            wait_until_gone(trainer)
    assert worker.wait() == 130


def test_a_wrong_token_ends_the_worker_with_a_sentence(live_service, start_polling) -> None:
    (read_token,) = make_tokens(live_service.settings, "read")
    for token, words in (("gnv_wrong", "not valid"), (read_token, "does not allow this")):
        worker = start_polling(live_service.url, GANVAS_TOKEN=token)
        assert worker.wait() == 1
        assert words in worker.output
        assert "Traceback" not in worker.output


def test_a_token_that_is_revoked_while_a_worker_waits_ends_it(
    live_service, start_polling, tiny_spec, wait_until
) -> None:
    worker_token, user_token = make_tokens(live_service.settings, "worker", "user")
    worker = start_polling(live_service.url, "--token", worker_token)
    worker.read_until("^Joined")
    database = build_database(live_service.settings)
    with database.write() as session:
        (row,) = (row for row in tokens.list_tokens(session) if row.scope == "worker")
        tokens.revoke_token(session, row.id)
    database.close()
    with Client(live_service.url, user_token) as client:
        # What it learned in the last two seconds may still count; then a claim is refused.
        wait_until(lambda: client.submit(tiny_spec) and worker.process.poll() is not None)
    assert worker.wait() == 1


def test_a_worker_waits_for_a_service_that_is_not_there_yet(
    start_service, start_polling, tiny_spec, tmp_path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    worker = start_polling(f"http://127.0.0.1:{port}")
    worker.read_until("No Ganvas service answers")
    url = start_service(Settings(home=tmp_path / "home", port=port)).url
    worker.read_until("^Joined")
    with Client(url) as client:
        assert client.wait(client.submit(tiny_spec).id, timeout=120).state == "succeeded"


def test_a_worker_that_nobody_needs_ends_by_itself(live_service, start_polling, tiny_spec) -> None:
    with Client(live_service.url) as client:
        job_id = client.submit(tiny_spec).id
        worker = start_polling(live_service.url, "--exit-when-idle", 2)
        assert worker.wait() == 0
        assert client.get(job_id).state == "succeeded"


def test_a_worker_that_has_to_go_before_it_is_idle_says_so_by_its_status(live_service, start_polling) -> None:
    """Kubernetes counts a worker of a commit that ends with status 0 as one that was not needed any more."""
    ends = {}
    for arguments in ((), ("--exit-when-idle", 600)):
        worker = start_polling(live_service.url, *arguments)
        worker.read_until("^Joined")
        ends[len(arguments)] = worker.end(signal.SIGTERM)
    assert ends == {0: 0, 2: 143}


def test_a_broker_that_cannot_be_reached_is_done_without(live_service, start_polling, tiny_spec) -> None:
    worker = start_polling(live_service.url, "--broker", "redis://127.0.0.1:9/0")
    worker.read_until("broker cannot be reached")
    with Client(live_service.url) as client:
        assert client.wait(client.submit(tiny_spec).id, timeout=120).state == "succeeded"


@pytest.mark.parametrize("seconds", [None, 600])
def test_a_worker_that_messages_wake_has_the_same_statuses(live_service, start_polling, seconds) -> None:
    """Also where it is told to end before it joined."""
    idle = () if seconds is None else ("--exit-when-idle", seconds)
    broker = ("--broker", "filesystem://")
    for service_url, line in ((live_service.url, "ready"), ("http://127.0.0.1:9", "Trying again")):
        worker = start_polling(service_url, *broker, *idle)
        worker.read_until(line)
        assert worker.end(signal.SIGTERM) == (0 if seconds is None else 143)


def test_a_worker_that_messages_wake_ends_too_when_nobody_needs_it(live_service, tmp_path) -> None:
    environment = {"GANVAS_URL": live_service.url, "GANVAS_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-m", "worker"],
        env={**os.environ, **environment, "GANVAS_EXIT_WHEN_IDLE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "it is woken by messages" in done.stdout
