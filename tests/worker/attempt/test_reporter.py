"""The reporter against a real service, with a connection that fails in every way it can."""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path
from typing import Any

import pytest

from api.attempts.schemas import ClaimRead, LeaseRead
from api.client.client import Client, WorkerClient
from api.client.transport import ServiceUnreachable
from api.errors import (
    ArtifactMissing,
    BodyTooLarge,
    RequestInvalid,
    SequenceConflict,
    ServiceUnavailable,
    StorageFull,
)
from api.events.schemas import EventsAccepted, EventsPost
from ganlib.events import CheckpointSaved, LineLogged, MetricsLogged, StoredFile
from worker.attempt import lease as lease_module
from worker.attempt import reporter as reporter_module
from worker.attempt.lease import Lease
from worker.attempt.reporter import Reporter
from worker.attempt.run_dir import RunDir
from worker.spool.spool import SpoolWriter


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter_module, "FIRST_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(reporter_module, "LAST_BACKOFF_SECONDS", 0.02)
    monkeypatch.setattr(reporter_module, "POLL_SECONDS", 0.01)


@pytest.fixture
def run_dir(tmp_path: Path, claim: ClaimRead, make_run_dir) -> RunDir:
    return make_run_dir(tmp_path / "attempts", claim.job_id, claim.attempt, claim.spec)


@pytest.fixture
def spool(run_dir: RunDir) -> Iterator[SpoolWriter]:
    writer = SpoolWriter(run_dir.spool_path)
    yield writer
    writer.close()


@pytest.fixture
def deliver(worker_client: WorkerClient, run_dir: RunDir) -> Callable[[], Reporter]:
    """Let a reporter deliver the whole spool, or fail."""

    def run() -> Reporter:
        reporter = Reporter(worker_client, run_dir, Lease(worker_client, run_dir, 60))
        reporter.mark_spool_complete()
        reporter.start()
        while reporter.is_running:
            threading.Event().wait(0.01)
        return reporter

    return run


def log(spool: SpoolWriter, *iterations: int) -> None:
    for iteration in iterations:
        spool.append(MetricsLogged(iteration=iteration, values={"loss/generator": iteration / 2}))


def store(run_dir: RunDir, name: str, content: bytes) -> StoredFile:
    path = run_dir.artifacts_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return StoredFile(path=name, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def stored_iterations(client: Client, claim: ClaimRead) -> list[int]:
    return client.curves(claim.job_id)["loss/generator"].iterations


def test_a_connection_that_fails_half_the_time_delivers_everything_once(
    client, claim, spool, deliver, worker_client, monkeypatch
) -> None:
    """Requests are lost on the way there and answers on the way back."""
    post_events, calls = worker_client.post_events, iter(range(10**6))
    monkeypatch.setattr("worker.spool.spool.MAX_EVENTS", 5)

    def unreliable(*arguments: Any) -> EventsAccepted:
        call = next(calls) % 4
        if call == 0:
            raise ServiceUnreachable("there")
        accepted = post_events(*arguments)
        if call == 1:
            raise ServiceUnreachable("back")
        if call == 2:
            return accepted
        raise StorageFull

    monkeypatch.setattr(worker_client, "post_events", unreliable)
    log(spool, *range(1, 41))
    assert deliver().failure is None
    assert stored_iterations(client, claim) == list(range(1, 41))


@pytest.mark.parametrize("position", [0, 3])
def test_a_position_that_is_behind_the_service_makes_no_double(
    client, claim, spool, deliver, run_dir, position: int
) -> None:
    log(spool, 1, 2, 3, 4)
    deliver()
    log(spool, 5, 6)
    run_dir.position_path.write_text(f'{{"next_seq": {position}}}')
    reporter = deliver()
    assert (reporter.failure, reporter.delivered_count) == (None, 6)
    assert stored_iterations(client, claim) == [1, 2, 3, 4, 5, 6]


def test_a_position_that_is_ahead_of_the_service_goes_back(client, claim, spool, deliver, run_dir) -> None:
    log(spool, 1, 2, 3, 4)
    run_dir.position_path.write_text('{"next_seq": 3}')
    reporter = deliver()
    assert (reporter.failure, reporter.delivered_count) == (None, 4)
    assert stored_iterations(client, claim) == [1, 2, 3, 4]


def test_a_number_that_came_with_other_bytes_is_a_failure(spool, deliver, run_dir) -> None:
    log(spool, 1, 2)
    deliver()
    run_dir.spool_path.write_bytes(run_dir.spool_path.read_bytes().replace(b"0.5", b"0.6"))
    run_dir.position_path.unlink()
    assert isinstance(deliver().failure, SequenceConflict)


def test_a_batch_that_is_too_large_is_split(client, claim, spool, deliver, worker_client, monkeypatch) -> None:
    post_events, sizes = worker_client.post_events, []

    def small_only(job_id: str, attempt: int, body: bytes) -> EventsAccepted:
        sizes.append(len(EventsPost.model_validate_json(body).events))
        if sizes[-1] > 2:
            raise BodyTooLarge
        return post_events(job_id, attempt, body)

    monkeypatch.setattr(worker_client, "post_events", small_only)
    log(spool, *range(1, 10))
    assert deliver().failure is None
    assert sizes[:3] == [9, 4, 2]
    assert stored_iterations(client, claim) == list(range(1, 10))


def test_files_are_there_before_the_events_that_name_them(
    client, claim, spool, deliver, run_dir, tmp_path
) -> None:
    file = store(run_dir, "checkpoints/00000002.safetensors", b"weights")
    log(spool, 1, 2)
    spool.append(CheckpointSaved(iteration=2, file=file))
    log(spool, 3)
    assert deliver().failure is None
    assert stored_iterations(client, claim) == [1, 2, 3]
    [checkpoint] = client.checkpoints(claim.job_id)
    assert client.download(checkpoint.sha256, tmp_path / "copy").read_bytes() == b"weights"
    # A long run would fill the worker's disk otherwise.
    assert not (run_dir.artifacts_dir / file.path).exists()


def test_a_file_that_the_service_lost_before_its_event_arrived_is_sent_again(
    client, claim, spool, deliver, run_dir, worker_client, monkeypatch
) -> None:
    spool.append(CheckpointSaved(iteration=2, file=store(run_dir, "checkpoint", b"weights")))
    post_events, refusals = worker_client.post_events, [ArtifactMissing(), ArtifactMissing()]

    def forgetful(*arguments: Any) -> EventsAccepted:
        if refusals:
            raise refusals.pop()
        return post_events(*arguments)

    monkeypatch.setattr(worker_client, "post_events", forgetful)
    assert deliver().failure is None
    assert len(client.checkpoints(claim.job_id)) == 1


def test_a_file_that_is_gone_is_a_failure(spool, deliver, run_dir) -> None:
    file = store(run_dir, "checkpoint", b"weights")
    (run_dir.artifacts_dir / "checkpoint").unlink()
    spool.append(CheckpointSaved(iteration=2, file=file))
    assert getattr(deliver().failure, "code", None) == "artifact_missing"


def test_a_file_with_other_bytes_than_announced_is_refused(spool, deliver, run_dir) -> None:
    file = store(run_dir, "checkpoint", b"weights")
    (run_dir.artifacts_dir / "checkpoint").write_bytes(b"WEIGHTS")
    spool.append(CheckpointSaved(iteration=2, file=file))
    assert getattr(deliver().failure, "code", None) == "artifact_refused"


@pytest.mark.parametrize("kind", ["link out of the folder", "folder"])
def test_nothing_but_plain_files_of_the_run_is_sent(spool, deliver, run_dir, tmp_path, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    file = store(run_dir, "checkpoint", b"secret")
    path = run_dir.artifacts_dir / "checkpoint"
    path.unlink()
    path.mkdir() if kind == "folder" else path.symlink_to(secret)
    spool.append(CheckpointSaved(iteration=2, file=file))
    assert getattr(deliver().failure, "code", None) == "artifact_outside"


def test_an_event_that_the_service_refuses_is_a_failure(spool, deliver, run_dir) -> None:
    log(spool, 1)
    run_dir.spool_path.write_bytes(run_dir.spool_path.read_bytes().replace(b"loss/generator", b" no metric name"))
    assert isinstance(deliver().failure, RequestInvalid)


def test_a_cancel_that_a_user_asked_for_arrives_with_the_answer_to_a_batch(
    client, claim, spool, worker_client, run_dir
) -> None:
    client.cancel(claim.job_id)
    spool.append(LineLogged(iteration=0, text="hello"))
    lease = Lease(worker_client, run_dir, 60)
    reporter = Reporter(worker_client, run_dir, lease)
    reporter.start()
    while not lease.cancel_requested:
        threading.Event().wait(0.01)
    reporter.abandon()
    assert not reporter.is_running


def test_a_lease_that_cannot_be_renewed_says_so_once_for_each_cause_and_again_when_it_is(
    worker_client, run_dir, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lease_module, "RETRY_SECONDS", 0.0)
    away, no_database = ServiceUnreachable("here"), ServiceUnavailable()
    outcomes = iter([None, *[away] * 20, *[no_database] * 20, None, away, None])
    is_over = threading.Event()

    def heartbeat(*_: object) -> LeaseRead:
        if failure := next(outcomes, None):
            raise failure
        if next(copy(outcomes), is_over) is is_over:
            is_over.set()
        return LeaseRead(lease_seconds=0.01, cancel_requested=False)

    monkeypatch.setattr(worker_client, "heartbeat", heartbeat)
    with caplog.at_level(logging.INFO, lease_module.__name__), Lease(worker_client, run_dir, 0.01):
        assert is_over.wait(60)
    unreachable, broken = (f"the lease could not be renewed: {error}" for error in (away, no_database))
    renewed = "the lease is renewed again"
    assert caplog.messages == [unreachable, broken, renewed, unreachable, renewed]
