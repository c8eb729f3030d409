"""Backup and restore: what went in comes out, on both databases, while jobs run."""

import gzip
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient
from sqlalchemy import make_url, text

from api.server.database.engine import build_engine
from api.server.settings import Settings
from ganvas.app import build_app
from ganvas.cli import cli
from ganvas.startup.local import hold_home
from tests.support.services import HOST, QUIET, TINY_SPEC, make_finding, make_png, sha256

AT = "2026-01-02T03:04:05Z"
PNG = make_png(shade=9)
CHECKPOINT = b"any checkpoint"


@contextmanager
def serve(settings: Settings) -> Iterator[TestClient]:
    with TestClient(build_app(settings), base_url=HOST) as client:
        yield client


def fill(client: TestClient) -> str:
    """Leave a job that runs, with points, a grid, a checkpoint, NaN, a log line, a fault, and one that waits."""
    job_id = client.post("/jobs", json={**TINY_SPEC, "tags": ["a", "b"]}).json()["id"]
    client.post("/workers/claim", json={"worker": "w"})
    for content, media_type in ((PNG, "image/png"), (CHECKPOINT, "application/octet-stream")):
        put = client.put(f"/artifacts/{sha256(content)}", content=content, headers={"content-type": media_type})
        assert put.status_code == 200
    grid = {"rows": 1, "columns": 1, "cell_width": 8, "cell_height": 8, "latents_sha256": "a" * 64}
    png = {"path": "a.png", "sha256": sha256(PNG), "size": len(PNG)}
    checkpoint = {"path": "b", "sha256": sha256(CHECKPOINT), "size": len(CHECKPOINT)}
    events: list[dict[str, Any]] = [
        {"kind": "metrics_logged", "iteration": 1, "values": {"loss/generator": 1.5, "loss/discriminator": "nan"}},
        {"kind": "sample_grid_saved", "iteration": 1, "file": png, **grid},
        {"kind": "checkpoint_saved", "iteration": 1, "file": checkpoint},
        {"kind": "line_logged", "iteration": 1, "text": "schön"},
        make_finding(1).model_dump(mode="json"),
    ]
    numbered = [{"seq": seq, "at": AT, "event": event} for seq, event in enumerate(events)]
    assert client.post(f"/jobs/{job_id}/attempts/1/events", json={"events": numbered}).status_code == 200
    client.post("/jobs", json=TINY_SPEC)
    return job_id


def shown(client: TestClient, job_id: str) -> dict[str, Any]:
    """Return what people see of the job, without what a restore is to change: state, attempts, log."""
    job = client.get(f"/jobs/{job_id}").json()
    kept = ("name", "tags", "spec", "created_at", "iteration", "latest", "checkpoints", "findings", "verdict")
    return {
        **{name: job[name] for name in kept},
        "metrics": client.get(f"/jobs/{job_id}/metrics").json()["curves"],
        "samples": client.get(f"/jobs/{job_id}/samples").json(),
    }


def run(command: str, folder: Path, home: Path, *options: object) -> Result:
    return CliRunner().invoke(cli, [command, str(folder), "--data-dir", str(home), *map(str, options)])


@pytest.fixture
def origin(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "origin", **QUIET)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an empty service."""
    url = None
    if request.param == "postgresql":
        server: str = request.getfixturevalue("postgresql_url")
        engine = build_engine(Settings(database_url=server)).execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("CREATE DATABASE restored"))
        engine.dispose()
        url = make_url(server).set(database="restored").render_as_string(hide_password=False)
    return Settings(home=tmp_path / "target", database_url=url, **QUIET)


def test_what_went_in_comes_out_and_a_job_that_ran_goes_on(
    origin: Settings, target: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(origin) as client:
        job_id = fill(client)
        made = run("backup", folder, origin.home)
        assert made.exit_code == 0, made.output
        before = shown(client, job_id)
    monkeypatch.setenv("GANVAS_DATABASE_URL", target.database_url or "")
    restored = run("restore", folder, target.home)
    assert restored.exit_code == 0, restored.output
    with serve(target) as client:
        assert shown(client, job_id) == before
        assert client.get(f"/artifacts/{sha256(PNG)}").content == PNG
        job = client.get(f"/jobs/{job_id}").json()
        assert (job["state"], job["attempts"][0]["end"]) == ("queued", "lost")
        assert client.post(f"/jobs/{job_id}/attempts/1/heartbeat").status_code == 409
        # Ids count on: a new job and its events disturb nothing.
        assert client.post("/jobs", json=TINY_SPEC).status_code == 201
        assert len(client.get("/jobs").json()["items"]) == 3


def test_the_same_service_gives_the_same_tables(origin: Settings, tmp_path: Path) -> None:
    with serve(origin) as client:
        fill(client)
        for name in ("one", "two"):
            assert run("backup", tmp_path / name, origin.home).exit_code == 0
    for path in (tmp_path / "one" / "tables").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / "tables" / path.name).read_bytes()


@pytest.fixture
def made(origin: Settings, folder: Path) -> Path:
    """A backup of a service with jobs."""
    with serve(origin) as client:
        fill(client)
        assert run("backup", folder, origin.home).exit_code == 0
    return folder


def test_a_damaged_backup_is_refused_and_nothing_is_written(made: Path, tmp_path: Path) -> None:
    jobs = made / "tables" / "jobs.jsonl.gz"
    jobs.write_bytes(gzip.compress(gzip.decompress(jobs.read_bytes()).replace(b"tiny", b"tinY")))
    result = run("restore", made, tmp_path / "target")
    assert (result.exit_code, "damaged" in result.output) == (1, True)
    with serve(Settings(home=tmp_path / "target", **QUIET)) as client:
        assert client.get("/jobs").json()["items"] == []


@pytest.mark.parametrize(
    ("spoil", "count"), [("tear", 1), ("remove", 1), ("remove all", 2)], ids=["torn", "gone", "all gone"]
)
def test_a_file_that_is_damaged_or_gone_is_noticed_before_anything_is_restored(
    made: Path, tmp_path: Path, spoil: str, count: int
) -> None:
    assert run("backup", made, tmp_path / "any", "--verify").output.strip().endswith("2 files.")
    for blob in sorted((made / "blobs").glob("*/*"))[:count]:
        blob.write_bytes(blob.read_bytes()[:-1]) if spoil == "tear" else blob.unlink()
    for result in (run("backup", made, tmp_path, "--verify"), run("restore", made, tmp_path / "target")):
        assert (result.exit_code, f"{count} of 2 files are missing or damaged" in result.output) == (1, True)
    settings = Settings(home=tmp_path / "target", **QUIET)
    assert not settings.blobs_dir.exists()
    with serve(settings) as client:
        assert client.get("/jobs").json()["items"] == []


def test_what_is_said_to_be_restored_was_restored(made: Path, tmp_path: Path) -> None:
    result = run("restore", made, tmp_path / "target")
    rows = sum(len(gzip.decompress(path.read_bytes()).splitlines()) for path in (made / "tables").iterdir())
    assert f"2 files restored, each with its sha256\n{rows} rows restored" in result.output


@pytest.mark.parametrize("damage", ["gone", "other bytes"])
def test_files_that_the_store_itself_has_lost_are_told(
    origin: Settings, folder: Path, tmp_path: Path, damage: str
) -> None:
    with serve(origin) as client:
        fill(client)
        stored = next(origin.blobs_dir.rglob(sha256(PNG)))
        stored.unlink() if damage == "gone" else stored.write_bytes(b"other")
        result = run("backup", folder, origin.home)
    assert (result.exit_code, "1 files are lost or damaged in the store itself" in result.output) == (1, True)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["files"], manifest["lost"], manifest["left_out"]) == (1, [sha256(PNG)], [])
    restored = run("restore", folder, tmp_path / "target")
    assert (restored.exit_code, "1 files were lost before" in restored.output) == (0, True)


def test_every_file_is_on_the_disk_before_the_manifest(
    origin: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    with serve(origin) as client:
        fill(client)
        monkeypatch.setattr(os, "fsync", record)
        assert run("backup", folder, origin.home).exit_code == 0
    manifest = synced.index(str(folder / ".manifest.json.part"))
    files = {str(path) for path in folder.rglob("*") if path.name != "manifest.json"}
    assert files - {*synced[:manifest]} == set()
    assert str(folder) in synced[manifest:]


def test_a_running_service_is_not_restored_into(made: Path, tmp_path: Path) -> None:
    with hold_home(tmp_path / "target"):
        result = run("restore", made, tmp_path / "target")
    assert (result.exit_code, "Another Ganvas uses" in result.output) == (1, True)
    assert not (tmp_path / "target" / "ganvas.sqlite3").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda manifest: [],
        lambda manifest: {"format": 1},
        lambda manifest: manifest | {"tables": 5},
        lambda manifest: manifest | {"tables": {}},
        lambda manifest: manifest | {"files": 7},
        lambda manifest: manifest | {"files": "many"},
        lambda manifest: manifest | {"revision": None},
    ],
)
def test_a_damaged_manifest_is_a_sentence(made: Path, tmp_path: Path, damage: Callable[[Any], Any]) -> None:
    path = made / "manifest.json"
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    result = run("restore", made, tmp_path / "target")
    assert (result.exit_code, "damaged" in result.output) == (1, True)
    assert "Traceback" not in result.output


def test_a_backup_without_its_manifest_is_none(made: Path, tmp_path: Path) -> None:
    (made / "manifest.json").unlink()
    assert "not a complete backup" in run("restore", made, tmp_path / "target").output


def test_a_service_with_jobs_is_not_written_over(made: Path, origin: Settings) -> None:
    result = run("restore", made, origin.home)
    assert (result.exit_code, "2 jobs already" in result.output) == (1, True)


def test_a_folder_with_files_is_not_written_over(made: Path, origin: Settings) -> None:
    assert "not empty" in run("backup", made, origin.home).output


def test_a_backup_of_another_revision_names_both(made: Path, tmp_path: Path) -> None:
    manifest = json.loads((made / "manifest.json").read_text())
    (made / "manifest.json").write_text(json.dumps({**manifest, "revision": "0001"}))
    assert "revision 0001" in run("restore", made, tmp_path / "target").output


def test_a_backup_of_the_version_before_is_restored_and_migrated(made: Path, tmp_path: Path) -> None:
    manifest = json.loads((made / "manifest.json").read_text())
    # Columns that later versions added.
    for table, column, changes in (
        ("log_lines", "about", {"text": "The eval figures are of 16 samples."}),
        ("jobs", "origin", {}),
    ):
        path = made / "tables" / f"{table}.jsonl.gz"
        lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        kept = [{name: value for name, value in line.items() if name != column} | changes for line in lines]
        data = b"".join(json.dumps(line).encode() + b"\n" for line in kept)
        path.write_bytes(gzip.compress(data))
        manifest["tables"][table]["sha256"] = sha256(data)
    (made / "manifest.json").write_text(json.dumps({**manifest, "revision": "0009"}))
    assert run("restore", made, tmp_path / "target").exit_code == 0
    engine = build_engine(Settings(home=tmp_path / "target"))
    with engine.connect() as connection:
        abouts = connection.scalars(text("SELECT about FROM log_lines")).all()
    engine.dispose()
    assert abouts.count("evaluation") == len(lines) > 0


def test_logins_and_messages_are_left_out_and_tokens_and_findings_are_not(made: Path) -> None:
    names = {path.name for path in (made / "tables").iterdir()}
    assert "tokens.jsonl.gz" in names
    assert "logins.jsonl.gz" not in names
    # A service that was restored announces nothing that the one before has announced.
    assert "findings.jsonl.gz" in names
    assert "webhook_deliveries.jsonl.gz" not in names
