"""The dashboard over the real service, with a worker that the test plays."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient

from api.server.settings import Settings
from dashboard.figures.drawing import process as drawing_process
from ganvas.app import build_app
from tests.support.fake_worker import FakeWorker
from tests.support.processes import start_drawing
from tests.support.servers import make_home


@pytest.fixture(autouse=True)
def _forked_drawing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the processes that draw figures; those of tests that are marked `executed` are started for real."""
    if "executed" not in request.keywords:
        replaced = SimpleNamespace(**vars(subprocess) | {"Popen": start_drawing})
        monkeypatch.setattr(drawing_process, "subprocess", replaced)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """The service and its pages, in this process, on a copy of an empty database."""
    # Nobody renews the leases of its runs, however long a busy machine takes.
    app = build_app(Settings(home=make_home(tmp_path / "home"), reap_every_seconds=3600.0))
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as client:
        yield client


@pytest.fixture
def worker(client: TestClient) -> FakeWorker:
    """A worker of that service."""
    return FakeWorker(client)
