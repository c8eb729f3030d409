"""What the worker's tests share: tiny specs, an undisturbed run, and workers that run beside the test."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from api.attempts.schemas import ClaimRead, ClaimRequest
from api.client.client import Client, WorkerClient
from tests.support.processes import find_trainers, start_trainer
from tests.support.training import DIGITS_SPEC, Record, train_undisturbed
from worker.attempt.run_dir import RunDir, open_run_dir
from worker.loop.work_loop import WorkLoop
from worker.settings import WorkerSettings
from worker.trainer import launcher

if TYPE_CHECKING:
    from tests.conftest import LiveService

# Far more than anything here takes; only a defect reaches it.
PATIENCE_SECONDS = 240.0

# A few seconds of training, so that a test can step in half-way.
LONG_SPEC = {**DIGITS_SPEC, "name": "long", "iterations": 3000, "sample_every": 200, "checkpoint_every": 200}


@pytest.fixture(autouse=True)
def _forked_trainers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the trainers that a test's own process starts; test_process and test_torchrun execute theirs."""
    monkeypatch.setattr(launcher, "subprocess", SimpleNamespace(**vars(subprocess) | {"Popen": start_trainer}))


@pytest.fixture
def tiny_spec() -> dict[str, Any]:
    """A dense GAN on the 8×8 digits: about a thousand iterations a second."""
    return dict(DIGITS_SPEC)


@pytest.fixture
def long_spec() -> dict[str, Any]:
    """The same for a few seconds."""
    return dict(LONG_SPEC)


@pytest.fixture
def wait_until() -> Callable[[Callable[[], Any]], Any]:
    """Return a condition's first true value."""

    def wait(condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (value := condition()):
            assert time.monotonic() < deadline, "this never came true"
            time.sleep(0.02)
        return value

    return wait


@pytest.fixture
def client(live_service: "LiveService") -> Iterator[Client]:
    with Client(live_service.url) as client:
        yield client


@pytest.fixture
def worker_client(live_service: "LiveService") -> Iterator[WorkerClient]:
    with WorkerClient(live_service.url) as client:
        yield client


@pytest.fixture
def claim(client: Client, worker_client: WorkerClient, tiny_spec: dict[str, Any]) -> ClaimRead:
    """A job that was submitted and claimed; nobody trains it."""
    client.submit(tiny_spec)
    claim = worker_client.claim_job(ClaimRequest(worker="test"))
    assert claim is not None
    return claim


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[[str], WorkerSettings]:
    """Settings of a worker with a home of its own, for the service at an address."""

    def make(url: str) -> WorkerSettings:
        return WorkerSettings(url=url, home=tmp_path / "worker", worker_name="test")

    return make


@pytest.fixture
def make_run_dir() -> Callable[..., RunDir]:
    """Make run folders that nobody holds, as a worker leaves them that died."""

    def make(attempts_dir: Path, job_id: str, attempt: int, spec: dict[str, Any]) -> RunDir:
        with open_run_dir(attempts_dir, job_id, attempt, spec) as run_dir:
            return run_dir

    return make


@pytest.fixture
def start_worker(make_settings: Callable[[str], WorkerSettings]) -> Iterator[Callable[[str], WorkLoop]]:
    """Run workers in threads, woken all the time; they stop with the test."""
    ended = threading.Event()
    running: list[tuple[WorkLoop, threading.Thread]] = []

    def start(url: str) -> WorkLoop:
        loop = WorkLoop(make_settings(url))

        def run() -> None:
            while not ended.wait(0.1) and not loop.is_shutting_down:
                loop.run_until_empty()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        running.append((loop, thread))
        return loop

    yield start
    ended.set()
    for loop, thread in running:
        loop.shut_down()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


@pytest.fixture
def find_trainer() -> Callable[[Path], int | None]:
    """Find the process id of this machine's trainer that this test's worker started, by its run folder."""

    def find(home: Path) -> int | None:
        return next(iter(find_trainers(home)), None)

    return find


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """What the long spec leaves when nothing happens to it."""
    return train_undisturbed(LONG_SPEC, tmp_path_factory.mktemp("undisturbed"))
