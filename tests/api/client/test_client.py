"""The Python client against a real service; a worker client plays the worker."""

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from api.attempts.schemas import ClaimRead, ClaimRequest, FinishPost
from api.client import calls
from api.client.client import Client, WaitTimedOut, WorkerClient
from api.client.transport import ServiceUnreachable
from api.errors import AttemptFenced, IdempotencyConflict, JobNotFound, SpecRefused
from api.events.schemas import EventsPost, NumberedEvent
from ganlib.errors import SpecInvalid
from ganlib.events import (
    CheckpointSaved,
    Event,
    Histogram,
    HistogramsLogged,
    LineLogged,
    MetricsLogged,
    NeighbourGridSaved,
    StoredFile,
)
from ganlib.spec.parse import parse_spec
from tests.support.services import make_png, sha256

if TYPE_CHECKING:
    from tests.conftest import LiveService

SPEC: dict[str, Any] = {
    "name": "small",
    "tags": ["first"],
    "dataset": "digits",
    "latents": {"size": 4},
    "generator": {"layers": [{"layer": "dense", "size": 64}, "tanh", {"layer": "reshape", "shape": [1, 8, 8]}]},
    "discriminator": {"layers": [{"layer": "dense", "size": 1}]},
    "iterations": 1000,
}
NOW = "2026-01-01T00:00:00Z"


@pytest.fixture
def client(live_service: "LiveService") -> Iterator[Client]:
    with Client(live_service.url) as client:
        yield client


@pytest.fixture
def worker(live_service: "LiveService") -> Iterator[WorkerClient]:
    with WorkerClient(live_service.url) as worker:
        yield worker


@pytest.fixture
def claim(client: Client, worker: WorkerClient) -> ClaimRead:
    client.submit(SPEC)
    claim = worker.claim_job(ClaimRequest(worker="test"))
    assert claim is not None
    return claim


def post(worker: WorkerClient, claim: ClaimRead, first_seq: int, *events: Event) -> None:
    numbered = [NumberedEvent(seq=first_seq + index, at=NOW, event=event) for index, event in enumerate(events)]
    worker.post_events(claim.job_id, claim.attempt, EventsPost(events=numbered).model_dump_json().encode())


def metrics(iteration: int) -> Event:
    return MetricsLogged(iteration=iteration, values={"loss/generator": 0.5, "loss/discriminator": float("inf")})


def test_a_spec_is_submitted_as_mapping_file_or_object(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(parse_spec(SPEC).model_dump_json())
    jobs = [client.submit(spec) for spec in (SPEC, path, str(path), parse_spec(SPEC))]
    assert {job.state for job in jobs} == {"queued"}
    assert len({job.id for job in jobs}) == 4
    assert client.get(jobs[0].id).spec == jobs[3].spec


def test_a_bad_spec_comes_back_with_its_fields(client: Client) -> None:
    with pytest.raises(SpecRefused) as caught:
        client.submit({**SPEC, "iterations": float("nan"), "colour": 1})
    assert {problem["field"] for problem in caught.value.details["problems"]} == {"iterations", "colour"}
    assert list(client.list()) == []


def test_a_file_that_is_no_spec_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- 1")
    for path in (tmp_path / "list.yaml", tmp_path / "missing.yaml"):
        with pytest.raises(SpecInvalid):
            Client("http://127.0.0.1:9").submit(path)


def test_one_key_makes_one_job(client: Client) -> None:
    first, second = (client.submit(SPEC, idempotency_key="key") for _ in range(2))
    assert first.id == second.id
    with pytest.raises(IdempotencyConflict):
        client.submit({**SPEC, "seed": 9}, idempotency_key="key")


def test_a_job_may_be_made_from_another(client: Client) -> None:
    first = client.submit(SPEC)
    assert client.submit({**SPEC, "seed": 9}, made_from=first.id).made_from == first.id
    with pytest.raises(JobNotFound):
        client.submit(SPEC, made_from="nothing")


def test_jobs_are_listed_over_all_pages_and_by_field(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(5):
        client.submit({**SPEC, "name": f"job {index}", "tags": ["even" if index % 2 == 0 else "odd"]})
    page = client.list_page(limit=2, sort="name")
    assert ([job.name for job in page.items], page.next is None) == (["job 0", "job 1"], False)
    assert [job.name for job in client.list_page(limit=2, sort="name", cursor=page.next).items] == [
        "job 2",
        "job 3",
    ]
    assert [job.name for job in client.list(tag="odd", sort="name")] == ["job 1", "job 3"]
    assert [job.name for job in client.list()] == [f"job {index}" for index in reversed(range(5))]
    assert list(client.list(state="failed")) == []


def test_iteration_over_a_list_fetches_further_pages(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = {client.submit(SPEC).id for _ in range(5)}
    ask_page = calls.Pages.ask_page

    def two_at_a_time(pages: calls.Pages[Any], cursor: str | None = None) -> Any:
        return ask_page(replace(pages, query={**pages.query, "limit": 2}), cursor)

    monkeypatch.setattr(calls.Pages, "ask_page", two_at_a_time)
    assert {job.id for job in client.list()} == ids


@pytest.mark.parametrize("name", ["nightly/gan", "50 % done?", "a%2Fb", "ga\u0308n"])
def test_a_name_of_any_signs_stands_for_its_id(live_service: "LiveService", client: Client, name: str) -> None:
    opened = httpx.post(f"{live_service.url}/runs", json={"key": "key-00000", "name": name})
    assert client.get(name).id == opened.json()["job_id"]
    assert client.curves(name) == {}


@pytest.mark.parametrize("job_id", ["none", "", "../jobs", "a/b", "ü"])
def test_an_unknown_id_is_no_job(client: Client, job_id: str) -> None:
    for ask in (
        client.get,
        client.cancel,
        client.curves,
        client.samples,
        client.neighbours,
        client.histograms,
        client.log,
    ):
        with pytest.raises(JobNotFound):
            ask(job_id)


def test_what_a_worker_recorded_comes_back_typed(
    client: Client, worker: WorkerClient, claim, tmp_path: Path
) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(b"x" * 100_000)
    file = StoredFile(path="w", sha256=hashlib.sha256(weights.read_bytes()).hexdigest(), size=100_000)
    worker.put_artifact(weights, file.sha256, "application/octet-stream")
    line = LineLogged(iteration=1, level="warning", text="slow")
    post(worker, claim, 0, metrics(1), metrics(2), line, CheckpointSaved(iteration=2, file=file))
    curves = client.curves(claim.job_id)
    assert (curves["loss/generator"].iterations, curves["loss/generator"].values) == ([1, 2], [0.5, 0.5])
    assert curves["loss/discriminator"].values == [float("inf")] * 2
    assert list(client.curves(claim.job_id, "loss/generator", points=5)) == ["loss/generator"]
    columns = client.curve_columns(claim.job_id)
    assert {name: list(points.values) for name, points in columns.items()} == {
        name: curve.values for name, curve in curves.items()
    }
    assert list(columns["loss/generator"].iterations) == curves["loss/generator"].iterations
    assert list(client.curve_columns(claim.job_id, "loss/generator")) == ["loss/generator"]
    assert [line.text for line in client.log(claim.job_id).items] == ["Attempt 1 begins on worker test.", "slow"]
    [checkpoint] = client.checkpoints(claim.job_id)
    assert client.download(checkpoint.sha256, tmp_path / "copy").read_bytes() == weights.read_bytes()
    assert client.health().jobs_running == 1


def test_histograms_and_neighbours_come_back_by_name_and_in_order(
    client: Client, worker: WorkerClient, claim: ClaimRead, tmp_path: Path
) -> None:
    bins = Histogram(low=-1, high=2, counts=tuple(range(64)), not_finite=3)
    (tmp_path / "grid.png").write_bytes(make_png())
    file = StoredFile(path="g", sha256=sha256(make_png()), size=len(make_png()))
    worker.put_artifact(tmp_path / "grid.png", file.sha256, "image/png")
    cells = {"rows": 1, "columns": 1, "cell_width": 8, "cell_height": 8, "latents_sha256": "a" * 64}
    both = {"logits/real": bins, "logits/fake": bins}
    histograms = [HistogramsLogged(iteration=iteration, histograms=both) for iteration in (2, 4)]
    post(worker, claim, 0, *histograms, NeighbourGridSaved(iteration=4, file=file, **cells))
    found = client.histograms(claim.job_id)
    assert {name: [each.iteration for each in items] for name, items in found.items()} == {
        "logits/fake": [2, 4],
        "logits/real": [2, 4],
    }
    assert (found["logits/real"][0].counts, found["logits/real"][0].not_finite) == (bins.counts, 3)
    assert list(client.histograms(claim.job_id, "logits/fake")) == ["logits/fake"]
    (grid,) = client.neighbours(claim.job_id)
    assert client.save_sample(grid, tmp_path / "copy.png").read_bytes() == make_png()


def test_wait_follows_the_stream_to_the_end(client: Client, worker: WorkerClient, claim: ClaimRead) -> None:
    seen: list[tuple[str, int]] = []

    def work() -> None:
        post(worker, claim, 0, metrics(10))
        while (claim_seen := ("running", 10)) not in seen:
            time.sleep(0.01)
        assert claim_seen
        worker.finish(claim.job_id, claim.attempt, FinishPost(end="succeeded", events_count=1))

    thread = threading.Thread(target=work)
    thread.start()
    job = client.wait(claim.job_id, on_update=lambda update: seen.append((update.state, update.iteration)))
    thread.join()
    assert job.state == "succeeded"
    assert seen[-1] == ("succeeded", 10)


def test_wait_does_without_a_stream(
    client: Client, worker: WorkerClient, claim: ClaimRead, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_stream(*_: Any) -> Any:
        raise ServiceUnreachable("proxy")

    monkeypatch.setattr("api.client.watching.read_stream", no_stream)
    monkeypatch.setattr("api.client.watching.POLL_SECONDS", 0.01)
    states: list[str] = []

    def update(job: Any) -> None:
        states.append(job.state)
        if len(states) == 3:
            worker.finish(claim.job_id, claim.attempt, FinishPost(end="succeeded", events_count=0))

    assert client.wait(claim.job_id, on_update=update).state == "succeeded"
    assert states == ["running", "running", "running", "succeeded"]


def test_wait_gives_up_after_its_time_and_on_a_service_that_stays_away(
    client: Client, claim: ClaimRead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.client.watching.POLL_SECONDS", 0.01)
    with pytest.raises(WaitTimedOut) as caught:
        client.wait(claim.job_id, timeout=0.05)
    assert caught.value.job.state == "running"
    monkeypatch.setattr("api.client.watching.PATIENCE_SECONDS", 0.05)

    def leave(_: Any) -> None:
        client._transport._http.base_url = "http://127.0.0.1:9"

    with pytest.raises(ServiceUnreachable):
        client.wait(claim.job_id, on_update=leave)


def test_a_stream_goes_on_after_an_event_without_gap_or_double(
    client: Client, worker: WorkerClient, claim: ClaimRead
) -> None:
    post(worker, claim, 0, metrics(1))
    post(worker, claim, 1, metrics(2))
    worker.finish(claim.job_id, claim.attempt, FinishPost(end="succeeded", events_count=2))

    def read(after: int | None, count: int) -> list[int]:
        stream = client.stream(claim.job_id, after)
        return [next(stream).id for _ in range(count)]

    last = client.get(claim.job_id).last_event_id
    whole = read(0, 2)
    while whole[-1] != last:
        whole += read(whole[-1], 1)
    assert whole == sorted(set(whole))


def test_a_fenced_attempt_is_told_so_on_every_call(client: Client, worker: WorkerClient, claim: ClaimRead) -> None:
    worker.finish(claim.job_id, claim.attempt, FinishPost(end="preempted", events_count=0))
    calls: list[Callable[[], Any]] = [
        lambda: worker.heartbeat(claim.job_id, claim.attempt),
        lambda: post(worker, claim, 0, metrics(1)),
        lambda: worker.finish(claim.job_id, claim.attempt, FinishPost(end="succeeded", events_count=0)),
    ]
    for call in calls:
        with pytest.raises(AttemptFenced):
            call()


def test_nothing_to_claim_is_none(worker: WorkerClient) -> None:
    assert worker.claim_job(ClaimRequest(worker="test")) is None


def test_the_client_needs_neither_torch_nor_the_server_nor_a_worker() -> None:
    heavy = ("torch", "numpy", "fastapi", "sqlalchemy", "celery", "pydantic_settings", "jinja2")
    program = f"import sys; from ganvas import Client; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
