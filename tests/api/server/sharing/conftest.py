"""A service with two runs, and links to one of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.server.access import authenticator
from api.server.settings import Settings
from ganvas.app import build_app
from tests.api.server.sharing.lab import Lab
from tests.support.servers import make_home
from tests.support.services import QUIET


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """The whole application; each test decides whether it requires tokens."""
    app = build_app(Settings(home=make_home(tmp_path / "home"), **QUIET))
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as made:
        yield made


@pytest.fixture
def lab(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(authenticator, "REMEMBERED_SECONDS", 0.0)
    return Lab(client)
