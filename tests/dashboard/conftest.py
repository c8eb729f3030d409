"""The dashboard over the real service, with a worker that the test plays."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.settings import Settings
from ganvas.app import build_app
from tests.support.fake_worker import FakeWorker
from tests.support.servers import make_home


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """The service and its pages, in this process, on a copy of an empty database."""
    app = build_app(Settings(home=make_home(tmp_path / "home")))
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as client:
        yield client


@pytest.fixture
def worker(client: TestClient) -> FakeWorker:
    """A worker of that service."""
    return FakeWorker(client)
