"""`ganvas migrate`, and a service that leaves the tables alone."""

import socket
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from api.server.database import engine as engine_module
from api.server.database.engine import TablesOutdated, build_engine, find_revision
from api.server.settings import Settings
from ganvas.app import build_app
from tests.ganvas.conftest import RunCommand
from tests.support.services import HOST, QUIET


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def revision_of(home: Path) -> str | None:
    engine = build_engine(Settings(home=home))
    try:
        return find_revision(engine)
    finally:
        engine.dispose()


def test_the_tables_are_made_once_and_a_second_time_changes_nothing(ganvas: RunCommand, home: Path) -> None:
    first, second = (ganvas("migrate", "--data-dir", home) for _ in range(2))
    assert (first.status, second.status) == (0, 0)
    assert "they were not there" in first.out
    assert "they were so before" in second.out
    assert revision_of(home) == engine_module.HEAD_REVISION


def test_a_service_that_may_not_migrate_does_not_start_before_somebody_did(
    ganvas: RunCommand, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=home, migrate=False, **QUIET)
    with pytest.raises(TablesOutdated, match="ganvas migrate"), TestClient(build_app(settings)):
        pass
    assert revision_of(home) is None
    monkeypatch.setenv("GANVAS_MIGRATE", "false")
    refused = ganvas("up", "--no-worker", "--port", 0, "--data-dir", home)
    assert (refused.status, "run `ganvas migrate` first" in refused.err) == (1, True)
    refused = ganvas("token", "list", "--data-dir", home)
    assert (refused.status, "run `ganvas migrate` first" in refused.err) == (1, True)
    # The command itself may, whatever the service's setting says.
    assert ganvas("migrate", "--data-dir", home).status == 0
    with TestClient(build_app(settings), base_url=HOST) as client:
        assert client.get("/healthz").status_code == 200


def test_tables_of_a_newer_version_are_left_alone(ganvas: RunCommand, home: Path) -> None:
    ganvas("migrate", "--data-dir", home)
    engine = build_engine(Settings(home=home))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    refused = ganvas("migrate", "--data-dir", home)
    assert refused.status == 1
    assert "newer version of Ganvas" in refused.err


def test_a_database_that_is_not_up_is_waited_for_and_then_named(
    ganvas: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    monkeypatch.setenv("GANVAS_DATABASE_URL", f"postgresql://nobody@127.0.0.1:{port}/none")
    outcome = ganvas("migrate", "--wait", "2")
    assert outcome.status == 1
    assert "Waiting for the database, up to 2 seconds" in outcome.err
    assert "The database cannot be reached" in outcome.err
