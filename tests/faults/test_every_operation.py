"""Each call to disk or database fails in its turn, while files are stored, reported, purged and backed up."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from api.artifacts.storage import LocalBlobs, LocalWriter, store_all
from api.jobs import edits
from api.main import build_service
from api.server.database.clock import database_now
from api.server.database.models import Artifact, Checkpoint, NeighbourGrid, Sample
from api.server.operations.housekeeping import ORPHAN_SECONDS, Housekeeping
from api.server.settings import Settings
from ganvas.backup import verify_backup, write_backup
from ganvas.backup.manifest import MANIFEST
from ganvas.backup.rows import find_tables
from tests.faults.conftest import Say
from tests.support.faults.operations import Moment, Operations
from tests.support.servers import make_home
from tests.support.services import (
    HOST,
    QUIET,
    TINY_SPEC,
    add_claimed_job,
    finish,
    make_grid,
    make_png,
    post,
    sha256,
)

AT = "2026-01-02T03:04:05Z"
WORDS = {"store": "a file", "report": "a batch with files", "purge": "a purge"}
PNG_HEADERS = {"content-type": "image/png"}


class Laboratory:
    """One service, and what is done with it."""

    def __init__(self, client: TestClient, home: Path) -> None:
        self.client = client
        self.home = home
        self.services = client.app.state.services  # type: ignore[attr-defined]
        self._numbers = count(1)
        self.job_id, self.attempt = self.claim()
        self.seq = 0

    def claim(self) -> tuple[str, int]:
        job_id = self.client.post("/jobs", json=TINY_SPEC).json()["id"]
        claimed = self.client.post("/workers/claim", json={"worker": "w"}).json()
        assert claimed["job_id"] == job_id
        return job_id, claimed["attempt"]

    def new_png(self) -> bytes:
        number = next(self._numbers)
        return make_png(1 + number % 200, 1 + number // 200)

    def put(self, content: bytes) -> int:
        status: int = self.client.put(
            f"/artifacts/{sha256(content)}", content=content, headers=PNG_HEADERS
        ).status_code
        return status

    def post(self, job_id: str, attempt: int, seq: int, *events: dict[str, Any]) -> int:
        numbered = [{"seq": seq + index, "at": AT, "event": event} for index, event in enumerate(events)]
        path = f"/jobs/{job_id}/attempts/{attempt}/events"
        status: int = self.client.post(path, json={"events": numbered}).status_code
        return status

    def check(self) -> None:
        """Fail unless every file that is named is there and whole, and everything can be read."""
        with self.services.database.read() as session:
            known = set(session.scalars(select(Artifact.sha256)))
            named = {*session.scalars(select(Sample.sha256)), *session.scalars(select(NeighbourGrid.sha256))}
            named |= set(session.scalars(select(Checkpoint.sha256).where(Checkpoint.stored)))
        assert named <= known
        files = {path.name: path for path in (self.home / "blobs").glob("*/*") if path.name[0] != "."}
        assert known <= files.keys()
        assert all(hashlib.sha256(path.read_bytes()).hexdigest() == name for name, path in files.items())
        assert self.client.get(f"/jobs/{self.job_id}").status_code == 200


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "home")


@pytest.fixture
def laboratory(home: Path) -> Iterator[Laboratory]:
    with TestClient(
        build_service(Settings(home=home, **QUIET)), base_url=HOST, raise_server_exceptions=False
    ) as client:
        yield Laboratory(client, home)


@pytest.fixture
def operations(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> Operations:
    return Operations(monkeypatch, laboratory.services.database.engine, laboratory.home)


# Prepares something, and returns an act and a check that it was done.
Scenario = Callable[[Laboratory], tuple[Callable[[], Any], Callable[[], bool]]]


def store(laboratory: Laboratory) -> tuple[Callable[[], Any], Callable[[], bool]]:
    content = laboratory.new_png()

    def is_done() -> bool:
        answer = laboratory.client.get(f"/artifacts/{sha256(content)}")
        assert (answer.status_code, answer.content == content) in [(404, False), (200, True)]
        return answer.status_code == 200

    return lambda: laboratory.put(content), is_done


def report(laboratory: Laboratory) -> tuple[Callable[[], Any], Callable[[], bool]]:
    """A grid and a checkpoint, which retires an older one and deletes its file."""
    grid, checkpoint = laboratory.new_png(), laboratory.new_png()
    for content in (grid, checkpoint):
        assert laboratory.put(content) == 200
    job_id, seq = laboratory.job_id, laboratory.seq
    iteration = laboratory.seq + 1
    laboratory.seq += 4
    size = {"rows": 1, "columns": 1, "cell_width": 8, "cell_height": 8, "latents_sha256": "a" * 64}
    events: list[dict[str, Any]] = [
        {"kind": "metrics_logged", "iteration": iteration, "values": {"loss/generator": 1.5}},
        {"kind": "line_logged", "iteration": iteration, "text": "a line"},
        {"kind": "sample_grid_saved", "iteration": iteration, "file": describe(grid), **size},
        {"kind": "checkpoint_saved", "iteration": iteration, "file": describe(checkpoint)},
    ]

    def is_done() -> bool:
        samples = laboratory.client.get(f"/jobs/{job_id}/samples").json()["items"]
        lines = laboratory.client.get(f"/jobs/{job_id}/log?tail=5000").json()["items"]
        counts = {
            sum(sample["iteration"] == iteration for sample in samples),
            sum(line["iteration"] == iteration and line["text"] == "a line" for line in lines),
        }
        # Both or neither, and never twice.
        assert counts in ({0}, {1})
        return counts == {1}

    return lambda: laboratory.post(job_id, laboratory.attempt, seq, *events), is_done


def describe(content: bytes) -> dict[str, Any]:
    return {"path": "any.png", "sha256": sha256(content), "size": len(content)}


def purge(laboratory: Laboratory) -> tuple[Callable[[], Any], Callable[[], bool]]:
    """A deleted job with a grid of its own; the other job's files stay."""
    content, services = laboratory.new_png(), laboratory.services
    store_all(services.blobs, {sha256(content): content})
    with services.database.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_grid(session, 1, content)])
        finish(session, job, "succeeded", 1)
        edits.delete_job(session, job.id)
        # Old enough to be swept if it loses its job and keeps its row.
        old = update(Artifact).where(Artifact.sha256 == sha256(content))
        session.execute(old.values(created_at=database_now(-2 * ORPHAN_SECONDS)))
    job_id = job.id
    path = laboratory.home / "blobs" / sha256(content)[:2] / sha256(content)

    def act() -> int:
        # A file that lost its row is found by its age.
        if path.exists():
            os.utime(path, (0, 0))
        Housekeeping(services.database, services.blobs, laboratory.home, 0.0).run()
        return 200

    def is_done() -> bool:
        status = laboratory.client.get(f"/jobs/{job_id}").status_code
        return status == 404 and not path.exists()

    return act, is_done


@pytest.mark.parametrize(
    ("scenario", "moment"),
    [(store, "before"), (store, "after"), (report, "before"), (report, "after"), (purge, "before")],
)
def test_whichever_call_fails_nothing_is_half_done_and_the_next_try_does_it(
    laboratory: Laboratory, operations: Operations, scenario: Scenario, moment: Moment, say: Say
) -> None:
    for number in count():
        act, is_done = scenario(laboratory)
        status = operations.run(act, number, moment)
        if not operations.has_failed:
            break
        failed = (number, operations.calls[number])
        assert status == 200 or status >= 500, failed
        laboratory.check()
        # What was answered for is there.
        assert status != 200 or scenario is purge or is_done(), failed
        assert operations.run(act) == 200, failed
        assert is_done(), failed
    laboratory.check()
    assert operations.endangered == set()
    assert {"do_commit", "do_execute"} <= {*operations.calls}
    assert number > 8
    say(
        f"each call to disk and database fails in its turn, {moment} it is done: {WORDS[scenario.__name__]}",
        number,
        "nothing is half done, no row without its file, the next try does it. Control: a file goes before its row",
        f"{number} of {number}",
    )


def test_whichever_call_fails_a_backup_is_whole_or_none(
    laboratory: Laboratory, operations: Operations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Say
) -> None:
    store(laboratory)[0]()
    settings = laboratory.services.settings
    # Two tables of them all, looked up once: each is written in the same way.
    with laboratory.services.database.read() as session:
        tables = [table for table in find_tables(session.connection()) if table.name in ("artifacts", "jobs")]
    monkeypatch.setattr("ganvas.backup.writing.find_tables", lambda _: tables)
    for number in count():
        folder = tmp_path / str(number)
        try:
            operations.run(partial(write_backup, settings, folder, lambda _: None), number)
        except OSError:
            assert not (folder / MANIFEST).exists() or verify_backup(folder, lambda _: None)
        if not operations.has_failed:
            break
    assert verify_backup(folder, lambda _: None).files == 1
    # Two tables, a file, the manifest, and the folders of each.
    assert operations.calls.count("fsync") == 9
    assert json.loads((folder / MANIFEST).read_text())["lost"] == []
    say(
        "each call to the disk fails in its turn: a backup", number, "it is whole or none", f"{number} of {number}"
    )


def commit_row_before_file(writer: LocalWriter) -> None:
    """Rename first and leave the bytes to the kernel."""
    writer._file.flush()
    writer._file.close()
    writer._temporary.replace(writer._path)


def test_control_a_file_that_is_not_synced_before_its_row_is_found(
    laboratory: Laboratory, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalWriter, "commit", commit_row_before_file)
    act, is_done = store(laboratory)
    assert operations.run(act) == 200
    assert is_done()
    assert len(operations.endangered) == 1


def fail_each_call(laboratory: Laboratory, operations: Operations, first: int) -> None:
    for number in count(first):
        act, _ = report(laboratory)
        operations.run(act, number)
        if not operations.has_failed:
            break
        laboratory.check()
        operations.run(act)


def test_control_a_file_that_is_deleted_before_its_row_is_found(
    laboratory: Laboratory, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delete_file_first(database: Any, blobs: LocalBlobs, names: Any) -> Any:
        for name in names:
            with database.write() as session:
                session.delete(session.get(Artifact, name))
                blobs.delete(name)

    monkeypatch.setattr("api.server.services.delete_unused_blobs", delete_file_first)
    # The third checkpoint retires the first; its calls fail from where the transaction ends that names its files.
    for _ in range(2):
        operations.run(report(laboratory)[0])
    with pytest.raises(AssertionError):
        fail_each_call(laboratory, operations, 13)
