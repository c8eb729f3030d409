"""A run's folder at a real service: sent once, whatever happens on the way."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.client.transport import ServiceUnreachable, Transport
from api.jobs.schemas import JobRead
from ganvas import Client
from ganvas.tracking.folder import RunFolder
from ganvas.tracking.sender.delivery import Delivery, hold_delivery
from tests.conftest import LiveService
from tests.ganvas.conftest import RunCommand
from tests.ganvas.tracking.conftest import Recorded

STEPS = 10
# Latents, numbers, how floats are read, that pictures are blank, the grid and the histogram.
EVENTS = STEPS + 4


@pytest.fixture
def client(live_service: LiveService, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("GANVAS_URL", live_service.url)
    with Client(live_service.url) as client:
        yield client


@pytest.fixture
def transport(client: Client) -> Iterator[Transport]:
    with Transport(client.url) as transport:
        yield transport


def write_run(recorded: Recorded) -> None:
    run = recorded.run
    run.latents(np.zeros((4, 2)))
    for step in range(STEPS):
        run.log({"loss_G": float(step), "Loss/D(x)": float("nan")}, step=step)
    run.grid(np.full((4, 1, 8, 8), 5, np.uint8), step=9)
    run.histogram("h", [1.0, 2.0], step=9)
    recorded.events()


def only_job(client: Client) -> JobRead:
    (job,) = client.list()
    return client.get(job.id)


def check_whole(client: Client, job_id: str) -> None:
    """All points are there, and none twice."""
    curve = client.curves(job_id, "loss_G")["loss_G"]
    assert (list(curve.iterations), list(curve.values)) == (
        list(range(STEPS)),
        [float(step) for step in range(STEPS)],
    )
    assert [sample.iteration for sample in client.samples(job_id)] == [9]


def test_a_folder_is_sent_once_however_often_it_is_synced(
    recorded: Recorded, client: Client, ganvas: RunCommand
) -> None:
    write_run(recorded)
    recorded.run.close()
    path = recorded.folder.path
    first, again = (ganvas("sync", path) for _ in range(2))
    job = only_job(client)
    assert first.out == f"run-0: {EVENTS} events and 2 files sent, succeeded: {client.url}/runs/{job.id}\n"
    assert again.out == f"run-0: nothing new, succeeded: {client.url}/runs/{job.id}\n"
    assert (job.state, job.name, job.origin, job.iteration) == ("succeeded", "my gan", "own", 9)
    check_whole(client, job.id)


def test_a_copy_of_a_run_that_is_being_written_is_sent_so_far_and_the_rest_later(
    recorded: Recorded, client: Client, ganvas: RunCommand, tmp_path: Path
) -> None:
    write_run(recorded)
    copy = tmp_path / "copied" / "run"
    shutil.copytree(recorded.folder.path, copy)
    assert "no end yet" in ganvas("sync", copy).out
    assert only_job(client).state == "running"
    recorded.run.log({"loss_G": 10.0}, step=10)
    recorded.run.close("failed", "because")
    shutil.copytree(recorded.folder.path, copy, dirs_exist_ok=True)
    # The folder of folders, and what the copy overwrote: where the service stood.
    assert "1 event and 0 files sent, failed" in ganvas("sync", copy.parent).out
    job = only_job(client)
    assert (job.state, job.reason and job.reason.message) == ("failed", "because")
    assert list(client.curves(job.id, "loss_G")["loss_G"].values)[-1] == 10.0


def test_a_run_whose_writer_is_gone_is_ended_where_that_is_asked_for(
    recorded: Recorded, client: Client, ganvas: RunCommand
) -> None:
    write_run(recorded)
    path = recorded.folder.path
    assert "still being written" in ganvas("sync", "--end", path).out
    # As after kill -9: the kernel gives the lock back.
    recorded.run.leave_to_parent()
    assert "no end yet" in ganvas("sync", path).out
    assert only_job(client).state == "running"
    assert "failed" in ganvas("sync", "--end", path).out
    reason = only_job(client).reason
    assert reason is not None
    assert reason.message == "The process ended without closing the run."


def test_what_can_not_be_sent_is_told_and_the_others_are_sent(
    recorded: Recorded, client: Client, ganvas: RunCommand, tmp_path: Path
) -> None:
    write_run(recorded)
    recorded.run.close()
    broken = tmp_path / "broken"
    shutil.copytree(recorded.folder.path, broken)
    (broken / "files.bin").write_bytes(b"")
    (broken / "run.json").write_text((broken / "run.json").read_text().replace("abcdefgh", "ijklmnop"))
    outcome = ganvas("sync", broken, recorded.folder.path)
    assert outcome.status == 1
    assert outcome.err.startswith("broken: not sent: ")
    assert "copy the folder once more" in outcome.err
    assert "14 events and 2 files sent, succeeded" in outcome.out
    nothing = ganvas("sync", tmp_path / "home")
    assert (nothing.status, "There is no run in" in nothing.err) == (1, True)


def deliver(delivery: Delivery) -> None:
    while delivery.deliver_some():
        pass


def test_a_cancel_is_heard_and_a_token_that_is_over_is_made_anew(
    recorded: Recorded, client: Client, transport: Transport
) -> None:
    write_run(recorded)
    delivery = Delivery(recorded.folder, transport)
    deliver(delivery)
    first = only_job(client)
    client.cancel(first.id)
    recorded.run.log({"loss_G": 10.0}, step=10)
    recorded.events()
    cancels: list[bool] = []
    delivery._on_cancel = lambda: cancels.append(True)
    deliver(delivery)
    assert cancels
    # The token of a run that somebody else has opened meanwhile is over; opening it anew heals that.
    other = Delivery(recorded.folder, transport)
    other.open()
    recorded.run.log({"loss_G": 11.0}, step=11)
    deliver(delivery)
    assert len(client.curves(first.id, "loss_G")["loss_G"].values) == 12
    for each in (delivery, other):
        each.close()


def test_an_event_that_the_service_refuses_becomes_a_line_and_the_rest_is_sent(
    recorded: Recorded, client: Client, transport: Transport
) -> None:
    run = recorded.run
    run.log({"loss_G": 0.0}, step=0)
    run.append('{"kind":"of_a_newer_version","iteration":1}')
    run.append('{"kind":"metrics_logged","iteration":1,"values":{"a\\nb":1.0}}')
    for step in range(1, STEPS):
        run.log({"loss_G": float(step)}, step=step)
    run.grid(np.full((4, 1, 8, 8), 5, np.uint8), step=9)
    assert run._writer is not None
    assert run._writer.drain(20)
    run.close()
    for _ in range(2):
        # A second sender knows nothing of the first one's lines, and makes the same.
        delivery = Delivery(recorded.folder, transport)
        deliver(delivery)
        delivery.close()
    job = only_job(client)
    check_whole(client, job.id)
    refused = [line.text for line in client.log(job.id).items if "was refused by the service" in line.text]
    assert [text.split(" was")[0] for text in refused] == ["of a newer version", "metrics logged"]


def go_on(path: Path, *values: float, resume_at: int | None = None, at: int = 50, **own: Any) -> None:
    """Go on with the run in a folder, as another process does, and end it."""
    with RunFolder.take_over(path) as folder:
        folder.begin_attempt({"writer": "another", "resume_at": resume_at, **own})
        for step, value in enumerate(values):
            folder.append({"kind": "metrics_logged", "iteration": at + step, "values": {"loss_G": value}})
        folder.end("succeeded")


def read_losses(client: Client, job_id: str) -> dict[int, float]:
    curve = client.curves(job_id, "loss_G")["loss_G"]
    return dict(zip(curve.iterations, map(float, curve.values), strict=True))


def test_two_copies_that_were_both_written_on_are_told_apart(
    recorded: Recorded, client: Client, ganvas: RunCommand, tmp_path: Path
) -> None:
    write_run(recorded)
    recorded.run.close()
    first, second, older = recorded.folder.path, tmp_path / "second", tmp_path / "older"
    shutil.copytree(first, older)
    for path, values in ((first, (1.0, 2.0)), (second, (3.0, 4.0, 5.0))):
        if path is second:
            shutil.copytree(older, second)
        with RunFolder.reopen(path) as folder:
            for value in values:
                folder.append({"kind": "metrics_logged", "iteration": 50, "values": {"loss_G": value}})
            folder.end("succeeded")
    assert "succeeded" in ganvas("sync", first).out
    job = only_job(client)
    # The longer one, and the one that is only behind: neither changes anything.
    for _ in range(2):
        outcome = ganvas("sync", second)
        assert (outcome.status, "two copies of its folder were written" in outcome.err) == (1, True)
        outcome = ganvas("sync", older)
        assert (outcome.status, "an older copy with the first" in outcome.out) == (0, True)
    again = only_job(client)
    assert (again.last_event_id, again.state, read_losses(client, job.id)[50]) == (
        job.last_event_id,
        "succeeded",
        2.0,
    )
    # Nothing is lost: it can be a run of its own.
    assert "ganvas sync --as-new" in ganvas("sync", second).err
    assert "17 events and 2 files sent, succeeded" in ganvas("sync", "--as-new", second).out
    (other,) = (each for each in client.list() if each.id != job.id)
    assert read_losses(client, other.id)[50] == 5.0
    assert "nothing new" in ganvas("sync", second).out
    # The control: without the comparison the events of both are one run's.
    with RunFolder.take_over(second) as folder:
        folder.write_header({**folder.read_header(), "key": RunFolder(first).read_header()["key"]})
    with Transport(client.url) as transport:
        delivery = Delivery(RunFolder(second), transport, compares=False)
        deliver(delivery)
        delivery.close()
    assert read_losses(client, job.id)[50] == 5.0


def test_attempts_of_a_folder_are_those_of_the_service_and_what_is_dropped_comes_back_no_more(
    recorded: Recorded, client: Client, ganvas: RunCommand, tmp_path: Path
) -> None:
    write_run(recorded)
    recorded.run.close("failed", "because")
    path = recorded.folder.path
    go_on(path, 60.0, 70.0, resume_at=5, at=6)
    go_on(path, 80.0, at=8)
    kept = {step: float(step) for step in range(6)} | {6: 60.0, 7: 70.0, 8: 80.0}
    for folder in (path, tmp_path / "copy"):
        # All at once, and again from a copy that knows nothing of what was sent.
        if folder != path:
            shutil.copytree(path, folder, ignore=lambda *_: ["position.json"])
        ganvas("sync", folder)
        job = only_job(client)
        assert read_losses(client, job.id) == kept
        assert list(client.samples(job.id)) == []
        ends = [(each.attempt, each.end, each.resumed_from, each.worker) for each in job.attempts]
        assert [each[:3] for each in ends] == [(1, "failed", 0), (2, "succeeded", 5), (3, "succeeded", 7)]
        assert [each[3] for each in ends[1:]] == ["another", "another"]
        assert job.state == "succeeded"
    # Piece by piece, as a loop is resumed while the service is there.
    go_on(path, 90.0, at=9)
    assert "1 event and 0 files sent, succeeded" in ganvas("sync", path).out
    assert read_losses(client, job.id) == kept | {9: 90.0}
    assert only_job(client).attempts[-1].attempt == 4
    # A copy from before has another attempt of this number.
    go_on(tmp_path / "copy", 1.0, at=9)
    assert "two copies" in ganvas("sync", tmp_path / "copy").err


def test_only_one_process_delivers_a_folder(recorded: Recorded, ganvas: RunCommand, client: Client) -> None:
    write_run(recorded)
    with hold_delivery(recorded.folder) as is_held:
        assert is_held
        assert "its own process is sending it" in ganvas("sync", recorded.folder.path).out
    assert list(client.list()) == []
    assert "events and 2 files sent" in ganvas("sync", recorded.folder.path).out


def test_without_a_service_the_folder_stays_as_it_is(recorded: Recorded, ganvas: RunCommand) -> None:
    write_run(recorded)
    recorded.run.close()
    outcome = ganvas("sync", recorded.folder.path, "--url", "http://127.0.0.1:9")
    assert (outcome.status, "No Ganvas service answers" in outcome.err) == (1, True)
    assert recorded.folder.read_positions() == {}
    with Transport("http://127.0.0.1:9") as away, pytest.raises(ServiceUnreachable):
        Delivery(recorded.folder, away).open()


def test_a_copy_without_an_end_leaves_a_run_that_has_ended_as_it_is(
    recorded: Recorded, client: Client, ganvas: RunCommand, tmp_path: Path
) -> None:
    write_run(recorded)
    recorded.run.leave_to_parent()
    shutil.copytree(recorded.folder.path, tmp_path / "copy")
    with RunFolder.take_over(recorded.folder.path) as folder:
        folder.end("succeeded", None)
    ganvas("sync", recorded.folder.path)
    assert only_job(client).state == "succeeded"
    for asked in ((), ("--end",)):
        told = ganvas("sync", *asked, tmp_path / "copy").out
        assert told.startswith("copy: nothing new, no end yet in this folder; succeeded there: ")
        assert only_job(client).state == "succeeded"


def test_a_run_whose_steps_begin_at_0_reaches_its_planned_end_and_its_log_is_in_order(
    recorded: Recorded, client: Client, ganvas: RunCommand
) -> None:
    began = {"iterations": STEPS, "started_at": datetime.now(UTC).isoformat()}
    recorded.folder.write_header(recorded.folder.read_header() | began)
    write_run(recorded)
    recorded.run.close()
    ganvas("sync", recorded.folder.path)
    job = only_job(client)
    assert (job.state, job.iteration, job.iterations) == ("succeeded", STEPS, STEPS)
    log = client.log(job.id).items
    assert log[0].text.startswith("Run by")
    assert [line.at for line in log] == sorted(line.at for line in log)
