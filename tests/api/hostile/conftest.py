"""The whole application on each database; every answer that it gives is judged."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.server.settings import Settings
from ganvas.app import build_app
from tests.api.hostile.attempt import HeldAttempt
from tests.api.hostile.judging import judge
from tests.support.servers import make_home
from tests.support.services import HOST, QUIET


@pytest.fixture(params=["sqlite", "postgresql"])
def hostile_settings(request: pytest.FixtureRequest, home: Path) -> Settings:
    """Settings of an empty service on each database."""
    url = None
    if request.param == "postgresql":
        request.getfixturevalue("postgresql")
        url = request.getfixturevalue("postgresql_url")
    return Settings(home=home, database_url=url, submits_per_minute=100_000, **QUIET)


@pytest.fixture
def client(hostile_settings: Settings) -> Iterator[TestClient]:
    """The application; an answer that is not inert fails the test."""
    with open_client(hostile_settings) as client:
        yield client


def open_client(settings: Settings, **options: Any) -> TestClient:
    """Return a client whose answers are judged, to be used as a context."""
    client = TestClient(
        build_app(settings), base_url=HOST, follow_redirects=False, raise_server_exceptions=False, **options
    )
    client.event_hooks = {"response": [judge]}
    return client


@pytest.fixture(scope="module")
def refusing_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One application on SQLite for every request of a module that is refused before a database is asked."""
    home = make_home(tmp_path_factory.mktemp("refusing") / "home")
    with open_client(Settings(home=home, **QUIET)) as client:
        yield client


@pytest.fixture
def attempt(client: TestClient) -> HeldAttempt:
    """A running job's attempt."""
    return HeldAttempt(client)
