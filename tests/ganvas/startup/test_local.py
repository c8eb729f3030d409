"""`ganvas up` and `ganvas demo` as processes, with real signals."""

import contextlib
import ctypes
import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from click.testing import CliRunner

from ganvas import Client
from ganvas.address import read_service_url, write_service_url
from ganvas.commands.serve import up_command
from ganvas.startup.local import HomeInUse, hold_home
from tests.support.faults.machines import is_alive
from tests.support.faults.trainers import (
    interrupt_until_it_ends,
    paused_trainer,
    read_parent,
    wait_for_stop_request,
    wait_until_gone,
)
from tests.support.processes import DEADLINE_SECONDS, Command


@pytest.fixture
def connect() -> Iterator[Callable[[str], Client]]:
    """Make clients that are closed with the test."""
    clients: list[Client] = []

    def open_client(url: str) -> Client:
        clients.append(Client(url))
        return clients[-1]

    yield open_client
    for client in clients:
        client.close()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A state folder whose service, if one is left, is ended."""
    yield tmp_path / "home"
    path = tmp_path / "home" / "service.json"
    if path.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads(path.read_text())["pid"], signal.SIGTERM)


def wait_until_silent(url: str) -> None:
    """Wait until nothing answers there any more."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/healthz", timeout=1)
        except httpx.TransportError:
            return
        time.sleep(0.1)
    raise AssertionError(f"{url} still answers")


def test_up_trains_a_submitted_job_and_stops_clean(
    home: Path, tiny_spec: Path, connect: Callable[[str], Client]
) -> None:
    service = Command("up", "--port", 0, "--data-dir", home, is_forked=False)
    url = service.read_until(r"answers at (http://\S+)").group(1)
    client = connect(url)
    job = client.wait(client.submit(tiny_spec).id, timeout=DEADLINE_SECONDS)
    assert job.state == "succeeded", job.reason
    assert [sample.iteration for sample in client.samples(job.id)] == [0, 10, 20]
    assert httpx.get(f"{url}/runs/{job.id}").status_code == 200
    assert service.end() == 0
    wait_until_silent(url)


def test_interrupted_job_goes_on_after_the_next_start(
    home: Path, tiny_spec: Path, connect: Callable[[str], Client]
) -> None:
    service = Command("up", "--port", 0, "--data-dir", home)
    client = connect(service.read_until(r"answers at (http://\S+)").group(1))
    spec = {**yaml.safe_load(tiny_spec.read_text(encoding="utf-8")), "iterations": 1500, "sample_every": 250}
    job = client.submit({**spec, "checkpoint_every": 1500})
    # It stands still until it is asked to stop: no machine is quick enough to end the job before.
    with paused_trainer(home, after=200) as trainer:
        service.process.send_signal(signal.SIGTERM)
        wait_for_stop_request(trainer)
    assert service.wait() == 0

    service = Command("up", "--port", 0, "--data-dir", home)
    client = connect(service.read_until(r"answers at (http://\S+)").group(1))
    ended = client.wait(job.id, timeout=DEADLINE_SECONDS)
    assert (ended.state, [attempt.end for attempt in ended.attempts]) == ("succeeded", ["preempted", "succeeded"])
    assert 1500 > ended.attempts[1].resumed_from >= 200
    assert [sample.iteration for sample in client.samples(job.id)] == list(range(0, 1501, 250))
    # Ctrl-C again and again, while a trainer stands still that would have to write a checkpoint.
    client.submit({**spec, "iterations": 1_000_000, "sample_every": 100_000})
    with paused_trainer(home) as trainer:
        worker = read_parent(trainer)
        interrupt_until_it_ends(service.process)
        assert not is_alive(worker)
        wait_until_gone(trainer)
    assert service.wait() == 130


def test_worker_ends_when_the_service_is_killed_outright(
    home: Path, tiny_spec: Path, connect: Callable[[str], Client]
) -> None:
    service = Command("up", "--port", 0, "--data-dir", home)
    client = connect(service.read_until(r"answers at (http://\S+)").group(1))
    spec = yaml.safe_load(tiny_spec.read_text(encoding="utf-8"))
    job = client.submit({**spec, "iterations": 1_000_000, "sample_every": 100_000})
    while client.get(job.id).iteration < 1:
        time.sleep(0.1)
    assert len(_processes_of(home)) == 3, "the service, its worker and the trainer"
    service.end(signal.SIGKILL)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while _processes_of(home) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _processes_of(home) == []


def _processes_of(home: Path) -> list[int]:
    """List the processes that keep a file below `home` open, as each part of a service does."""
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if any(file.is_relative_to(home) for file in _open_files_of(process))
    ]


def _open_files_of(process: Path) -> Iterator[Path]:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:
        return
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            yield descriptor.readlink()


def test_second_service_on_one_folder_is_refused(home: Path) -> None:
    with hold_home(home):
        write_service_url(home, "http://127.0.0.1:1")
        outcome = subprocess.run(
            [sys.executable, "-m", "ganvas", "up", "--port", "0", "--data-dir", home],
            capture_output=True,
            text=True,
        )
        assert (outcome.returncode, "http://127.0.0.1:1" in outcome.stderr) == (1, True)
    assert read_service_url(home) is None


def test_folder_is_free_again_after_its_holder(home: Path) -> None:
    for _ in range(2):
        with hold_home(home), pytest.raises(HomeInUse), hold_home(home):
            pass


# Four threads allocate at once, then the C library lists its heaps.
COUNT_HEAPS = """
import ctypes, sys, threading
{prepare}
libc = ctypes.CDLL(None)
together = threading.Barrier(4)
def allocate():
    libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="heaps a thread are glibc's")
def test_all_threads_of_the_service_share_one_heap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    counts = []
    for prepare in ("", "from ganvas.startup.local import share_one_heap; share_one_heap()"):
        program, listed = COUNT_HEAPS.format(prepare=prepare), tmp_path / "heaps.xml"
        subprocess.run([sys.executable, "-c", program, listed], check=True)
        counts.append(listed.read_text().count("<heap nr="))
    # The first is the control.
    assert counts[0] > 1
    assert counts[1] == 1


def test_taken_port_gets_a_sentence(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        service = Command("up", "--port", port, "--data-dir", home)
        assert service.wait() == 1
    assert re.search(rf"127\.0\.0\.1:{port} cannot be used .*--port", service.output)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])  # noqa: S104
def test_open_address_without_a_token_is_refused(home: Path, host: str) -> None:
    outcome = subprocess.run(
        [sys.executable, "-m", "ganvas", "up", "--host", host, "--port", "0", "--data-dir", home],
        capture_output=True,
        text=True,
    )
    assert (outcome.returncode, "GANVAS_TOKEN" in outcome.stderr) == (1, True)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("GANVAS_ALLOWED_HOSTS", "gan.example", "GANVAS_WITHOUT_TOKEN"),
        ("GANVAS_TOKEN", "correct horse", "could be guessed"),
        ("GANVAS_TRUSTED_PROXIES", "10.0.0.300", "GANVAS_TRUSTED_PROXIES: must be addresses or networks"),
        ("GANVAS_ROOT_PATH", "ganvas", "GANVAS_ROOT_PATH: must be a path"),
    ],
)
def test_a_door_that_stands_open_keeps_the_service_from_starting(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    try:
        outcome = CliRunner().invoke(up_command, ["--no-worker", "--port", "0", "--data-dir", str(home)])
    finally:
        # A service that starts collects none.
        gc.enable()
    assert (outcome.exit_code, said in outcome.output) == (1, True), outcome.output
