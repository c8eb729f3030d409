"""Disks that fill up while work goes on, below a worker and below the database."""

import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from api.client.client import Client
from api.errors import StorageFull
from api.jobs.schemas import JobRead
from tests.faults.conftest import SPEC, long_or_short
from tests.support.faults.disks import filled_disk, small_disk
from tests.support.faults.full_database import post_into_a_full_disk, read_everything
from tests.support.faults.machines import Service, get, wait_until
from tests.support.faults.postgres import run_postgres
from tests.support.faults.trainers import paused_trainer
from tests.support.processes import find_trainers
from tests.support.training import Record, read_record
from worker.spool.bounded_spool import DroppedEvents, read_dropped_events

# Long enough to go on for a while after some of it was dropped. Checkpoints change no point and no grid, so one
# undisturbed run is compared with all of these.
RUN = {**SPEC, "iterations": 2000}


def find_drops(home: Path) -> DroppedEvents:
    """Read what the only attempt below a worker's home has dropped."""
    return read_dropped_events(next(home.glob("attempts/*/drops.json"), home / "none"))


def check_what_is_missing(client: Client, job: JobRead, undisturbed: Record, home_url: str) -> str:
    """Fail unless what is recorded is as in an undisturbed run and what is missing is told; returns that."""
    assert (job.state, [attempt.end for attempt in job.attempts]) == ("succeeded", ["succeeded"])
    reason = job.attempts[0].reason
    assert reason is not None
    assert reason.code == "events_dropped"
    record = read_record(client, job)
    for name, points in record.points.items():
        assert set(points) <= set(undisturbed.points[name])
        assert points == sorted(points)
    assert set(record.grids) <= set(undisturbed.grids)
    assert len(record.points["loss/generator"]) < len(undisturbed.points["loss/generator"])
    page = get(f"{home_url}/runs/{job.id}", headers={"accept": "text/html"}).text
    log = get(f"{home_url}/jobs/{job.id}/log", params={"tail": 5000}).json()["items"]
    assert "found no room in the worker" in page
    assert any("found no room in the worker" in line["text"] for line in log)
    return reason.message.partition(" found no room")[0]


def test_a_spool_at_its_limit_lets_training_go_on_and_says_what_is_missing(
    start_service, start_worker, connect, find_undisturbed, tmp_path, say
) -> None:
    service: Service = start_service(lease_seconds=600)
    client, far = connect(service.url), tmp_path / "far"
    job_id = client.submit({**RUN, "checkpoint_every": 1000}).id
    start_worker(service.url, far, spool_max_bytes=25_000)
    with paused_trainer(far) as trainer:
        wait_until(lambda: client.get(job_id).iteration)
        service.kill()
    wait_until(lambda: find_drops(far).events > 20)
    # The trainer waits until all that was kept is delivered: then there is room for what it does next.
    os.kill(trainer, signal.SIGSTOP)
    dropped = find_drops(far)
    assert dropped.last_iteration < RUN["iterations"] - 500, "this machine is too fast for this test"
    service.start()
    wait_until(lambda: client.get(job_id).iteration >= dropped.first_iteration - SPEC["log_every"])
    os.kill(trainer, signal.SIGCONT)
    job = client.wait(job_id, timeout=600)
    missing = check_what_is_missing(client, job, find_undisturbed(RUN), service.url)
    # What came when there was room again is there, the last checkpoint too.
    assert (job.iteration, client.checkpoints(job_id)[-1].iteration) == (RUN["iterations"], RUN["iterations"])
    say(
        "service away until a worker's spool is at its limit",
        1,
        "training goes on; what waited is delivered, the newest is dropped, counted, told; then all is recorded",
        f"told: {missing}; the rest as in an undisturbed run",
    )


@pytest.mark.parametrize("until", ["until there is room again", "until the run has ended"])
def test_a_full_disk_of_a_worker_lets_training_go_on_and_says_what_is_missing(
    start_service, start_worker, connect, find_undisturbed, tmp_path, say, until
) -> None:
    service: Service = start_service(lease_seconds=600)
    client = connect(service.url)
    with small_disk(tmp_path / "far", 64 * 1024) as far:
        job_id = client.submit(RUN).id
        worker = start_worker(service.url, far)
        with ExitStack() as full:
            with paused_trainer(far) as trainer:
                wait_until(lambda: client.get(job_id).iteration)
                full.enter_context(filled_disk(far))
                wait_until(lambda: shutil.disk_usage(far).free == 0)
            wait_until(lambda: find_drops(far).events > 20)
            if until.endswith("ended"):
                wait_until(lambda: client.get(job_id).state == "succeeded")
            else:
                assert find_trainers(far) == [trainer]
        job = client.wait(job_id, timeout=600)
        worker.kill()
    missing = check_what_is_missing(client, job, find_undisturbed(RUN), service.url)
    # Room was kept for the last checkpoint, whatever else found none.
    assert client.checkpoints(job_id)[-1].iteration == RUN["iterations"]
    say(
        f"disk full under a worker, {until}",
        1,
        "training goes on in the same process; what finds no room is dropped, counted and told; the last "
        "checkpoint is there",
        f"told: {missing}; the rest as in an undisturbed run",
    )


def test_a_full_disk_of_the_database_refuses_writes_serves_reads_and_goes_on(
    start_service, connect, tmp_path, say
) -> None:
    with small_disk(tmp_path / "home", 32 * 1024) as home:
        service: Service = start_service(lease_seconds=2)
        client: Client = connect(service.url)
        job_id, taken, refused = post_into_a_full_disk(
            client, filled_disk(home), long_or_short(200, 10), 2, partial(read_everything, service.url)
        )
        service.kill()
        with sqlite3.connect(home / "ganvas.sqlite3") as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        database.close()
        service.start()
        assert client.curves(job_id)["loss/generator"].iterations == list(range(taken))
        service.kill()
    codes = sorted(set(refused))
    assert set(codes) <= {"503 service_unavailable", "507 storage_full"}
    say(
        "disk full under the database (SQLite)",
        f"{len(refused)} writes",
        "507 or 503, reads go on, nothing corrupt; what was taken is there, and writes go on once there is room",
        f"{', '.join(codes)}; then {taken:,} points, all there",
    )


def test_a_service_that_finds_its_disk_full_at_the_start_shows_everything_and_goes_on_with_room(
    start_service, connect, tmp_path, say
) -> None:
    with small_disk(tmp_path / "home", 32 * 1024) as home:
        service: Service = start_service()
        client: Client = connect(service.url)
        job_id = client.submit(SPEC).id
        service.kill()
        with filled_disk(home):
            service.start()
            read_everything(service.url, job_id)
            with pytest.raises(StorageFull):
                client.submit(SPEC)
            service.kill()
        service.start()
        assert {job.id for job in client.list()} == {job_id}
        assert client.submit(SPEC).state == "queued"
        service.kill()
    say(
        "disk full when the service starts (SQLite)",
        1,
        "everything can be read, writes are 507; with room and started again all goes on",
        "as it should",
    )


@pytest.mark.parametrize("ends", [False, True], ids=["tables", "log"])
def test_a_full_disk_of_postgresql_refuses_writes_and_the_service_goes_on(
    start_service, connect, say, ends
) -> None:
    """Its tables find no room, which it says; or its own log finds none, which ends it until it is started."""
    with run_postgres(disk_kib=256 * 1024) as postgres:
        service: Service = start_service(database_url=postgres.url, lease_seconds=2)
        client: Client = connect(service.url)

        @contextmanager
        def filled() -> Iterator[None]:
            with filled_disk(postgres.folder.parent):
                if ends:
                    postgres.use_up_log()
                yield
            postgres.revive()

        def look(job_id: str) -> None:
            if ends:
                assert get(f"{service.url}/jobs/{job_id}", timeout=30).status_code in (200, 503)
            else:
                read_everything(service.url, job_id)

        job_id, taken, refused = post_into_a_full_disk(client, filled(), long_or_short(100, 5), 2, look)
        postgres.crash()
        wait_until(lambda: get(f"{service.url}/jobs/{job_id}", timeout=30).status_code == 200)
        job = client.get(job_id)
        assert (job.state, job.attempt) == ("succeeded", 1)
        assert client.curves(job_id)["loss/generator"].iterations == list(range(taken))
        service.kill()
        damaged = postgres.stop_and_count_damaged()
    codes = sorted(set(refused))
    assert set(codes) <= {"503 service_unavailable", "507 storage_full"}
    assert damaged == 0
    say(
        f"disk full under PostgreSQL{': no room for its own log, which ends it' if ends else ', past the lease'}",
        f"{len(refused)} writes",
        f"507 or 503, {'' if ends else 'reads go on, '}nobody reaped, no page damaged; with room"
        f"{', and the server started again,' if ends else ''} writes go on and all that was taken is there",
        f"{', '.join(codes)}; then {taken:,} points, all there",
    )
