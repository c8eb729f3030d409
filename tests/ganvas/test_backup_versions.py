"""Backups of other versions' tables, made without changing them, and an older version on a newer database."""

from pathlib import Path

import pytest
from sqlalchemy import text

from api.server.database.engine import HEAD_REVISION, build_engine, find_revision, migrate
from api.server.settings import Settings
from tests.ganvas.conftest import RunCommand
from tests.ganvas.test_backup import CHECKPOINT, PNG, fill, run, serve
from tests.support.services import QUIET, sha256


@pytest.fixture
def origin(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path / "origin", **QUIET)
    with serve(settings) as client:
        fill(client)
    return settings


def step_to(settings: Settings, revision: str) -> None:
    engine = build_engine(settings)
    migrate(engine, revision)
    engine.dispose()


def revision_of(settings: Settings) -> str | None:
    engine = build_engine(settings)
    try:
        return find_revision(engine)
    finally:
        engine.dispose()


@pytest.mark.parametrize("revision", ["0001", "0004", "0007", "0009"])
def test_a_backup_before_an_upgrade_leaves_the_tables_as_they_are_and_can_be_restored(
    origin: Settings, tmp_path: Path, revision: str
) -> None:
    step_to(origin, revision)
    before = (origin.home / "ganvas.sqlite3").read_bytes()
    assert run("backup", tmp_path / "backup", origin.home).exit_code == 0
    assert (origin.home / "ganvas.sqlite3").read_bytes() == before
    assert revision_of(origin) == revision
    target = Settings(home=tmp_path / "target", **QUIET)
    restored = run("restore", tmp_path / "backup", target.home)
    assert restored.exit_code == 0, restored.output
    assert revision_of(target) == HEAD_REVISION
    with serve(target) as client:
        running, waiting = sorted(client.get("/jobs").json()["items"], key=lambda job: -job["iteration"])
        assert [job["state"] for job in (running, waiting)] == ["queued", "queued"]
        curves = client.get(f"/jobs/{running['id']}/metrics").json()["curves"]
        assert {curve["name"]: curve["values"] for curve in curves}["loss/generator"] == [1.5]
        for content in (PNG, CHECKPOINT):
            assert client.get(f"/artifacts/{sha256(content)}").content == content


def test_the_version_that_made_the_tables_restores_the_backup_that_the_next_one_wrote(
    origin: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way back: the new version writes tables as they are, and the version before finds its own."""
    step_to(origin, "0009")
    assert run("backup", tmp_path / "backup", origin.home).exit_code == 0
    for module in ("ganvas.backup.manifest", "ganvas.backup.restoring", "api.server.database.engine"):
        monkeypatch.setattr(f"{module}.HEAD_REVISION", "0009")
    # As that version's own restore: it goes no further than its own tables.
    monkeypatch.setattr("ganvas.backup.restoring.migrate", lambda engine, to="0009": migrate(engine, to))
    monkeypatch.setattr("ganvas.backup.restoring._end_running", lambda database: None)
    target = Settings(home=tmp_path / "target", **QUIET)
    assert run("restore", tmp_path / "backup", target.home).exit_code == 0
    assert revision_of(target) == "0009"


def test_control_a_migrated_database_is_not_what_was_there(origin: Settings, tmp_path: Path) -> None:
    step_to(origin, "0009")
    before = (origin.home / "ganvas.sqlite3").read_bytes()
    step_to(origin, HEAD_REVISION)
    assert (origin.home / "ganvas.sqlite3").read_bytes() != before


def test_an_older_version_says_in_a_sentence_that_the_database_is_newer(
    origin: Settings, tmp_path: Path, ganvas: RunCommand
) -> None:
    engine = build_engine(origin)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    for command in (
        ("backup", tmp_path / "backup"),
        ("up", "--no-worker", "--port", 0),
        ("migrate",),
        ("token", "list"),
    ):
        outcome = ganvas(*command, "--data-dir", origin.home)
        assert outcome.status == 1, command
        assert outcome.err.startswith("Error: The database's tables have revision 9999"), command
        assert len(outcome.err.splitlines()) == 1, command
    assert not (tmp_path / "backup").exists()


def test_tokens_of_a_running_service_are_listed_without_migrating_its_tables(
    origin: Settings, ganvas: RunCommand
) -> None:
    step_to(origin, "0009")
    outcome = ganvas("token", "list", "--data-dir", origin.home)
    assert (outcome.status, "run `ganvas migrate` first" in outcome.err) == (1, True)
    assert revision_of(origin) == "0009"


def test_without_a_database_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    result = run("backup", tmp_path / "backup", tmp_path / "none")
    assert (result.exit_code, "There is no database in" in result.output) == (1, True)
    assert not (tmp_path / "none").exists()
