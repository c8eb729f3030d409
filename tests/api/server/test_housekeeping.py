"""Housekeeping: what is due goes soon after a start, and its bytes go back to the disk."""

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from api.artifacts.storage import LocalBlobs
from api.jobs import edits
from api.main import build_service
from api.server.database import space
from api.server.database.clock import database_now
from api.server.database.engine import Database
from api.server.database.models import Job
from api.server.operations.housekeeping import DAY_SECONDS, Housekeeping, Returned, read_record
from api.server.services import Services
from api.server.settings import Settings
from tests.support.services import HOST, QUIET, add_claimed_job, add_job, finish, make_line, post, sha256

MIB = 1_048_576
LINES = 400


def keep_house(database: Database, home: Path, days: float = 7.0) -> Returned:
    return Housekeeping(database, LocalBlobs(home / "blobs"), home, days * DAY_SECONDS).run()


def add_deleted_job(database: Database, days_ago: float = 8.0) -> str:
    """A job with 1.6 MB of log lines that was deleted so long ago."""
    with database.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_line(1, f"{index} {os.urandom(1500).hex()}") for index in range(LINES)])
        finish(session, job, "succeeded", LINES)
        session.execute(
            update(Job).where(Job.id == job.id).values(deleted_at=database_now(-days_ago * DAY_SECONDS))
        )
    return job.id


def count_jobs(database: Database) -> int:
    with database.read() as session:
        return session.query(Job).count()


@pytest.fixture
def old_file(sqlite: Database) -> Database:
    """A database as an earlier version made it, which keeps no track of free pages."""
    connection: Any = sqlite.engine.raw_connection()
    connection.driver_connection.execute("PRAGMA auto_vacuum=NONE")
    connection.driver_connection.execute("VACUUM")
    connection.close()
    found = space.read_space(sqlite)
    assert found is not None
    assert not found.is_incremental
    return sqlite


def test_what_is_due_is_purged_in_the_first_round_after_a_start(home: Path, sqlite: Database) -> None:
    due, young = add_deleted_job(sqlite), add_deleted_job(sqlite, days_ago=6.9)
    with TestClient(build_service(Settings(home=home, **QUIET)), base_url=HOST) as client:
        services: Services = client.app.state.services  # type: ignore[attr-defined]
        services.reaper.run_once()
        assert [client.get(f"/jobs/{job_id}").status_code for job_id in (due, young)] == [404, 200]


def test_the_service_does_so_by_itself(home: Path, sqlite: Database) -> None:
    due = add_deleted_job(sqlite)
    quick = Settings(home=home, reap_every_seconds=0.05)
    with TestClient(build_service(quick), base_url=HOST) as client:
        ends_at = time.monotonic() + 60
        while client.get(f"/jobs/{due}").status_code != 404:
            assert time.monotonic() < ends_at
            time.sleep(0.05)


def test_the_bytes_of_a_purged_job_go_back_to_the_disk(home: Path, sqlite: Database) -> None:
    add_deleted_job(sqlite)
    with sqlite.write() as session:
        add_job(session)
    # All of it is in the file then, and nothing in the log.
    sqlite.close()
    before = (home / "ganvas.sqlite3").stat().st_size
    returned = keep_house(sqlite, home)
    shorter = before - (home / "ganvas.sqlite3").stat().st_size
    assert returned.jobs == 1
    assert returned.database_bytes == shorter > MIB
    found = space.read_space(sqlite)
    assert found is not None
    assert found.free == 0
    assert read_record(home)["returned"]["database_bytes"] == shorter
    assert count_jobs(sqlite) == 1
    # A round without anything to remove keeps the record of the last one.
    assert keep_house(sqlite, home) == Returned()
    assert read_record(home)["returned"]["database_bytes"] == shorter


def test_control_without_the_return_the_file_keeps_its_bytes(
    home: Path, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_deleted_job(sqlite)
    sqlite.close()
    before = (home / "ganvas.sqlite3").stat().st_size
    monkeypatch.setattr("api.server.operations.housekeeping.return_space", lambda *_: 0)
    assert keep_house(sqlite, home).jobs == 1
    assert (home / "ganvas.sqlite3").stat().st_size >= before


def test_an_older_file_is_written_anew_once_while_no_job_runs(home: Path, old_file: Database) -> None:
    add_deleted_job(old_file)
    with old_file.write() as session:
        running = add_claimed_job(session)
    assert keep_house(old_file, home).database_bytes == 0
    with old_file.write() as session:
        finish(session, session.merge(running), "succeeded")
    assert keep_house(old_file, home).database_bytes > MIB
    found = space.read_space(old_file)
    assert found is not None
    assert (found.is_incremental, found.free) == (True, 0)


def test_a_file_that_is_too_large_is_not_written_anew(
    home: Path, old_file: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "MOST_BYTES_REWRITTEN", 0)
    add_deleted_job(old_file)
    assert keep_house(old_file, home).database_bytes == 0


def test_however_many_jobs_are_due_one_round_purges_all(
    home: Path, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Listed in parts of two instead of a hundred.
    monkeypatch.setattr(edits, "list_purgeable", partial(edits.list_purgeable, limit=2))
    with sqlite.write() as session:
        for _ in range(5):
            add_job(session)
        session.execute(update(Job).values(deleted_at=database_now(-8 * DAY_SECONDS)))
    assert keep_house(sqlite, home).jobs == 5
    assert count_jobs(sqlite) == 0


def put(blobs: LocalBlobs, content: bytes) -> str:
    writer = blobs.begin(sha256(content))
    writer.write(content)
    writer.commit()
    return sha256(content)


@pytest.fixture
def blobs(home: Path) -> Iterator[LocalBlobs]:
    return LocalBlobs(home / "blobs")


def test_a_file_that_a_crash_left_without_a_row_goes_after_a_day(
    home: Path, sqlite: Database, blobs: LocalBlobs
) -> None:
    old, young = put(blobs, b"old"), put(blobs, b"young")
    path = home / "blobs" / old[:2] / old
    os.utime(path, (time.time() - 2 * DAY_SECONDS,) * 2)
    assert keep_house(sqlite, home) == Returned(files=1, file_bytes=3)
    assert (blobs.exists(old), blobs.exists(young)) == (False, True)


def test_a_part_that_fails_keeps_no_other_from_its_work(
    home: Path, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the store is away")

    for name in ("list_older", "sweep"):
        monkeypatch.setattr(LocalBlobs, name, fail)
    add_deleted_job(sqlite)
    returned = keep_house(sqlite, home)
    assert (returned.jobs, returned.database_bytes > MIB) == (1, True)
