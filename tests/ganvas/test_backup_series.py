"""A series of backups, one a minute: what did not change is linked, and each of them is whole."""

import gzip
import json
from pathlib import Path

import pytest
from filelock import FileLock

from api.server.services import purge_deleted_jobs
from api.server.settings import Settings
from ganvas.backup import rows
from tests.ganvas.test_backup import CHECKPOINT, PNG, fill, run, serve, shown
from tests.support.services import QUIET, TINY_SPEC, sha256


@pytest.fixture
def origin(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "origin", **QUIET)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    return tmp_path / "series"


def add(series: Path, origin: Settings, *options: object) -> Path:
    result = run("backup", series, origin.home, "--incremental", *options)
    assert result.exit_code == 0, result.output
    return max(path for path in series.iterdir() if path.name[0] != ".")


def read_tables(folder: Path) -> dict[str, bytes]:
    return {path.name: gzip.decompress(path.read_bytes()) for path in (folder / "tables").iterdir()}


def inode(path: Path) -> int:
    return path.stat().st_ino


def blob(folder: Path, content: bytes) -> Path:
    name = sha256(content)
    return folder / "blobs" / name[:2] / name


def finish(client, job_id: str) -> None:
    answer = client.post(f"/jobs/{job_id}/attempts/1/finish", json={"end": "succeeded", "events_count": 5})
    assert answer.status_code == 200


def test_each_backup_of_a_series_is_whole_and_holds_its_own_moment(
    origin: Settings, series: Path, tmp_path: Path
) -> None:
    with serve(origin) as client:
        job_id = fill(client)
        first = add(series, origin)
        before = shown(client, job_id)
        idle = add(series, origin)
        finish(client, job_id)
        client.post("/jobs", json=TINY_SPEC)
        last = add(series, origin)
        assert run("backup", tmp_path / "full", origin.home).exit_code == 0
        services = client.app.state.services
        # Rows that were there are gone: what only grew until now is written anew.
        client.delete(f"/jobs/{job_id}")
        purge_deleted_jobs(services.database, services.blobs, 0)
        purged = add(series, origin)
        assert run("backup", tmp_path / "purged", origin.home).exit_code == 0
    for content in (PNG, CHECKPOINT):
        assert len({inode(blob(folder, content)) for folder in (first, idle, last)}) == 1
        assert not blob(purged, content).exists()
    assert all(inode(path) == inode(idle / "tables" / path.name) for path in (first / "tables").iterdir())
    assert read_tables(last) == read_tables(tmp_path / "full") != read_tables(first)
    assert read_tables(purged) == read_tables(tmp_path / "purged")
    for folder in (first, idle, last, purged):
        verified = run("backup", folder, origin.home, "--verify")
        assert verified.exit_code == 0, verified.output
    assert run("restore", first, tmp_path / "target").exit_code == 0
    with serve(Settings(home=tmp_path / "target", **QUIET)) as client:
        assert shown(client, job_id) == before
        assert len(client.get("/jobs").json()["items"]) == 2


def test_a_growing_table_is_not_read_again(
    origin: Settings, series: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(origin) as client:
        fill(client)
        add(series, origin)
        client.post("/jobs", json=TINY_SPEC)
        written: list[str] = []
        write_table = rows.write_table
        monkeypatch.setattr(
            "ganvas.backup.writing.write_table",
            lambda session, table, folder: written.append(table.name) or write_table(session, table, folder),
        )
        newest = add(series, origin)
    assert not {*rows.GROWING} & {*written}
    events = read_tables(newest)["event_batches.jsonl.gz"].splitlines()
    assert len(events) == json.loads((newest / "manifest.json").read_text())["tables"]["event_batches"]["rows"]


def test_the_newest_of_a_series_is_restored_and_the_oldest_beyond_the_kept_are_deleted(
    origin: Settings, series: Path, tmp_path: Path
) -> None:
    with serve(origin) as client:
        for count in range(1, 4):
            client.post("/jobs", json=TINY_SPEC)
            add(series, origin, "--keep", 2)
            assert len(list(series.glob("*/manifest.json"))) == min(count, 2)
    assert run("restore", series, tmp_path / "target").exit_code == 0
    with serve(Settings(home=tmp_path / "target", **QUIET)) as client:
        assert len(client.get("/jobs").json()["items"]) == 3


def test_a_damaged_backup_or_one_that_was_broken_off_holds_up_no_next_one(origin: Settings, series: Path) -> None:
    with serve(origin) as client:
        fill(client)
        first, second = (add(series, origin) for _ in range(2))
        (second / "manifest.json").write_text("{}")
        (series / ".part-any" / "tables").mkdir(parents=True)
        # Linked to both, a damaged file would be in both; the next copy of it is the store's own.
        for folder in (first, second):
            blob(folder, PNG).unlink()
        third = add(series, origin)
    assert blob(third, PNG).read_bytes() == PNG
    assert inode(blob(third, CHECKPOINT)) == inode(blob(first, CHECKPOINT))
    assert not (series / ".part-any").exists()


def test_a_series_takes_a_folder_of_its_own_and_one_backup_at_a_time(origin: Settings, series: Path) -> None:
    with serve(origin) as client:
        fill(client)
    series.mkdir()
    with FileLock(series / ".lock"):
        result = run("backup", series, origin.home, "--incremental")
    assert (result.exit_code, "still being made" in result.output) == (1, True)
    (series / "letters.txt").write_text("dear")
    result = run("backup", series, origin.home, "--incremental", "--keep", 1)
    assert (result.exit_code, "letters.txt" in result.output) == (1, True)
    for options in (("--keep", 1), ("--verify", "--incremental")):
        assert run("backup", series, origin.home, *options).exit_code == 2
