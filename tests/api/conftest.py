"""A migrated database of each kind, and the real service on SQLite."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from api.main import build_service
from api.server.database.engine import Database, build_database, migrate
from api.server.database.models import Base
from api.settings import Settings
from tests.support.services import HOST, QUIET


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("migrated")
    database = build_database(Settings(home=home))
    migrate(database.engine)
    database.close()
    return home / "ganvas.sqlite3"


@pytest.fixture(scope="session")
def _migrated_postgresql(postgresql_url: str) -> Iterator[Database]:
    database = build_database(Settings(database_url=postgresql_url))
    migrate(database.engine)
    yield database
    database.close()


@pytest.fixture
def home(tmp_path: Path, _migrated_sqlite: Path) -> Path:
    """A state folder whose SQLite database is up to date."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(_migrated_sqlite, folder / "ganvas.sqlite3")
    return folder


@pytest.fixture
def sqlite(home: Path) -> Iterator[Database]:
    database = build_database(Settings(home=home))
    yield database
    database.close()


@pytest.fixture
def postgresql(_migrated_postgresql: Database) -> Database:
    tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
    with _migrated_postgresql.engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
    return _migrated_postgresql


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """An empty database: the test runs on both kinds."""
    found: Database = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home, **QUIET)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """The real service; its reaper looks once an hour, so that a test decides what happens."""
    with TestClient(build_service(settings), base_url=HOST) as client:
        yield client
