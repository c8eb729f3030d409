"""The state folder: its owner's alone, unless the operator shared it; and a start without room."""

import errno
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.errors import StorageFull
from api.server import files
from api.server.access import tokens
from api.server.database.engine import build_database
from api.server.files import has_room, tighten
from api.server.settings import Settings
from ganvas.app import build_app
from tests.support.servers import make_home
from tests.support.services import HOST, QUIET, TINY_SPEC


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def usual_umask() -> object:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_new_state_folder_and_its_database_are_their_owner_s_alone(tmp_path: Path) -> None:
    database = build_database(Settings(home=tmp_path / "home"))
    with database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE any (x)")
    assert mode_of(tmp_path / "home") == 0o700
    for path in (tmp_path / "home").glob("ganvas.sqlite3*"):
        assert mode_of(path) == 0o600, path
    database.close()


@pytest.mark.parametrize(
    ("folder", "tightened", "database", "database_tightened"),
    [
        (0o755, 0o700, 0o644, 0o600),
        (0o700, 0o700, 0o644, 0o600),
        (0o700, 0o700, 0o600, 0o600),
        # Shared with its group by the operator.
        (0o775, 0o770, 0o664, 0o660),
        (0o2755, 0o2750, 0o644, 0o640),
    ],
)
def test_an_existing_folder_is_tightened_and_that_is_told_once(
    tmp_path: Path, folder: int, tightened: int, database: int, database_tightened: int
) -> None:
    home = make_home(tmp_path / "home")
    path = home / "ganvas.sqlite3"
    home.chmod(folder)
    path.chmod(database)
    changed = tighten(home, path)
    assert (mode_of(home), mode_of(path)) == (tightened, database_tightened)
    assert changed == [each for each, was, now in (
        (home, folder, tightened), (path, database, database_tightened)
    ) if was != now]  # fmt: skip
    assert tighten(home, path) == []


def test_room_is_looked_for_and_other_failures_are_no_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert has_room(tmp_path)
    for code, room in ((errno.ENOSPC, False), (errno.EDQUOT, False), (errno.EOPNOTSUPP, True)):
        error = OSError(code, "any")
        monkeypatch.setattr(files.os, "posix_fallocate", lambda *_, error=error: (_ for _ in ()).throw(error))
        assert has_room(tmp_path) is room


@pytest.mark.parametrize("was_killed", [False, True], ids=["stopped", "killed"])
def test_a_service_that_only_reads_shows_everything_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, was_killed: bool
) -> None:
    home = make_home(tmp_path / "home")
    settings = Settings(home=home, **QUIET)
    with TestClient(build_app(settings), base_url=HOST) as client:
        job = client.post("/jobs", json=TINY_SPEC).json()["id"]
        with closing(build_database(settings)) as database, database.write() as session:
            token = tokens.insert_token(session, "reader", "user", None)[1]
        if was_killed:
            # What a crash leaves: the log, and not its index.
            left = {path.name: path.read_bytes() for path in home.glob("ganvas.sqlite3*")}
            assert left["ganvas.sqlite3-wal"]
    if was_killed:
        for name, content in left.items():
            (home / name).write_bytes(content)
        (home / "ganvas.sqlite3-shm").unlink()
    before = {path.name: path.read_bytes() for path in home.glob("ganvas.sqlite3*")}
    headers = {"authorization": f"Bearer {token}"}
    with TestClient(build_app(settings.model_copy(update={"read_only": True})), base_url=HOST) as client:
        assert client.get("/healthz").json()["jobs_queued"] == 1
        assert [item["id"] for item in client.get("/jobs", headers=headers).json()["items"]] == [job]
        page = client.get(f"/runs/{job}", headers={**headers, "accept": "text/html"})
        assert (page.status_code, job in page.text) == (200, True)
        refused = client.post("/jobs", json=TINY_SPEC, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (507, "storage_full")
        assert "only reads" in refused.json()["error"]["message"]
        assert {path.name: path.read_bytes() for path in home.glob("ganvas.sqlite3*")} == before
    with closing(sqlite3.connect(home / "ganvas.sqlite3")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_token_reads_where_its_use_cannot_be_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StorageFull

    settings = Settings(home=make_home(tmp_path / "home"), **QUIET)
    with TestClient(build_app(settings), base_url=HOST) as client:
        with closing(build_database(settings)) as database, database.write() as session:
            token = tokens.insert_token(session, "reader", "read", None)[1]
        monkeypatch.setattr(tokens, "record_use", fail)
        assert client.get("/jobs", headers={"authorization": f"Bearer {token}"}).status_code == 200
