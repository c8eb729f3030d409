"""A migrated database of each kind, and the real service on SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.main import build_service
from api.server.database.engine import Database, build_database, migrate
from api.server.settings import Settings
from tests.support.servers import empty_tables, make_home
from tests.support.services import HOST, QUIET


@pytest.fixture(scope="session")
def _migrated_postgresql(postgresql_url: str) -> Iterator[Database]:
    database = build_database(Settings(database_url=postgresql_url))
    migrate(database.engine)
    yield database
    database.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state folder whose SQLite database is up to date."""
    return make_home(tmp_path / "home")


@pytest.fixture
def sqlite(home: Path) -> Iterator[Database]:
    database = build_database(Settings(home=home))
    yield database
    database.close()


@pytest.fixture
def postgresql(_migrated_postgresql: Database) -> Database:
    empty_tables(_migrated_postgresql)
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
