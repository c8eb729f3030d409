"""Workers describe themselves, and people see who is there."""

import json
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from api.client.client import Client
from api.client.worker_client import WorkerClient
from api.errors import RequestInvalid
from api.server.database.engine import build_database
from api.server.database.models import Worker
from api.workers.schemas import WorkerPost
from ganvas.cli import cli
from tests.conftest import LiveService
from worker.loop.presence import Presence
from worker.machine import devices
from worker.settings import WorkerSettings

H200 = "0, NVIDIA H200, 143771, 1024, 37, GPU-5fe1\n1, NVIDIA H200, 143771, 0, [N/A], GPU-8a2c\n"


def tell(url: str, held: tuple[str, int] | None = None, name: str = "gpu-1") -> None:
    presence = Presence(WorkerSettings(url=url, worker_name=name), lambda: held)
    presence.try_post()
    presence.close()


def test_a_worker_that_tells_of_itself_is_listed(live_service: LiveService) -> None:
    tell(live_service.url, ("job1", 2))
    with Client(live_service.url) as client:
        (worker,) = client.list_workers()
    assert (worker.name, worker.is_alive, worker.job_id, worker.attempt) == ("gpu-1", True, "job1", 2)
    assert worker.device == devices.describe_device()


def test_a_worker_tells_how_busy_its_machine_is_and_an_older_service_takes_it_without(
    live_service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(live_service.url)
    with Client(live_service.url) as client:
        (worker,) = client.list_workers()
    assert worker.cpu is not None
    assert 0 < worker.cpu.memory_used < worker.cpu.memory_total
    assert worker.cpu.cores >= 1
    # A service whose description of workers has no such field.
    posts: list[dict[str, object]] = []

    def refuse(_: object, post: WorkerPost) -> None:
        posts.append(post.model_dump(exclude_none=True))
        if "cpu" in posts[-1]:
            raise RequestInvalid("cpu: Extra inputs are not permitted")

    monkeypatch.setattr(WorkerClient, "describe_worker", refuse)
    presence = Presence(WorkerSettings(url=live_service.url, worker_name="gpu-1"), lambda: None)
    presence.post()
    presence.post()
    presence.close()
    assert ["cpu" in post for post in posts] == [True, False, False]


def test_what_it_says_next_takes_the_place_of_what_it_said(live_service: LiveService) -> None:
    tell(live_service.url, ("job1", 2))
    with Client(live_service.url) as client:
        before = client.list_workers()[0]
        tell(live_service.url)
        (after,) = client.list_workers()
    assert (after.first_seen_at, after.job_id) == (before.first_seen_at, None)
    assert after.seen_at > before.seen_at


def test_a_worker_that_fell_silent_is_not_alive_and_then_forgotten(live_service: LiveService) -> None:
    tell(live_service.url, ("job1", 2))
    _age(live_service, timedelta(minutes=2))
    with Client(live_service.url) as client:
        (worker,) = client.list_workers()
        assert (worker.is_alive, worker.job_id) == (False, None)
        _age(live_service, timedelta(days=2))
        tell(live_service.url, name="other")
        assert [worker.name for worker in client.list_workers()] == ["other"]


def test_a_worker_without_room_on_its_disk_says_that_it_takes_no_run(
    live_service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "free_bytes", lambda _: 5 * 1024**2)
    tell(live_service.url)
    with Client(live_service.url) as client:
        (worker,) = client.list_workers()
    assert "takes no run: 5.0 MiB are free on the disk of" in worker.device
    said = CliRunner().invoke(cli, ["workers", "--url", live_service.url]).output
    assert "takes no run" in said


def test_a_worker_that_begins_a_job_tells_of_it_at_once(live_service: LiveService) -> None:
    held: list[tuple[str, int] | None] = [None]
    presence = Presence(WorkerSettings(url=live_service.url, worker_name="gpu-1"), lambda: held[-1], 3600.0)
    presence.start()
    with Client(live_service.url) as client:
        _wait_until(lambda: client.list_workers())
        held.append(("job1", 2))
        presence.post_soon()
        _wait_until(lambda: client.list_workers()[0].job_id == "job1")
    presence.close()


def _wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_service_that_is_away_does_not_disturb_the_worker() -> None:
    tell("http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("visible", "indices"),
    [(None, [0, 1]), ("1", [1]), ("0,1", [0, 1]), ("-1", []), ("GPU-8a", [1]), ("GPU-8a2c,GPU-5fe1", [0, 1])],
)
def test_cards_are_those_that_a_trainer_would_see(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, indices: list[int]
) -> None:
    monkeypatch.setattr(devices, "_ask_nvidia_smi", lambda fields, form: H200.splitlines())
    devices._read_gpu_names.cache_clear()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    states = devices.read_gpu_states()
    devices._read_gpu_names.cache_clear()
    assert [state.index for state in states] == indices
    if indices == [0, 1]:
        assert (states[0].memory_used, states[0].utilisation) == (1024 * 1_048_576, 0.37)
        assert states[1].utilisation is None


def test_the_command_shows_who_is_there(live_service: LiveService) -> None:
    run: Callable[..., str] = lambda *more: (  # noqa: E731
        CliRunner().invoke(cli, ["workers", "--url", live_service.url, *more]).output
    )
    assert "No worker reported" in run()
    tell(live_service.url, ("job1", 2))
    assert "gpu-1  runs job1, attempt 2" in run()
    assert json.loads(run("--json"))["items"][0]["name"] == "gpu-1"


def test_the_description_is_checked() -> None:
    with pytest.raises(ValueError, match="at most 200"):
        WorkerPost(name="x" * 201)


def _age(live_service: LiveService, by: timedelta) -> None:
    with build_database(live_service.settings).write() as session:
        for worker in session.query(Worker):
            session.execute(update(Worker).where(Worker.name == worker.name).values(seen_at=worker.seen_at - by))
