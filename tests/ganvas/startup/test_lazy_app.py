"""The service as `ganvas up` loads it, piece by piece."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.server import services as services_module
from api.server.access.origins import SECURITY_HEADERS
from api.server.settings import Settings
from ganvas.startup.lazy_app import LazyApp

URL = "http://127.0.0.1"


class Service:
    """A lazy application over one folder, and what it reports."""

    def __init__(self, home: Path) -> None:
        self.loaded: list[Any] = []
        self.failures: list[BaseException] = []
        self.app = LazyApp(Settings(home=home), self.loaded.append, self.failures.append)

    def connect(self) -> TestClient:
        return TestClient(self.app, base_url=URL)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder whose tables are up to date."""
    service = Service(tmp_path)
    with service.connect() as client:
        assert len(service.loaded) == 1  # the start waited for the migration
        assert client.get("/healthz").json()["jobs_queued"] == 0
    return tmp_path


def test_health_reads_the_same_before_and_after_the_routes_are_loaded(home: Path) -> None:
    service = Service(home)
    with service.connect() as client:
        early = client.get("/healthz")
        assert service.app._app is None
        assert client.get("/jobs").json()["items"] == []
        assert service.app._app is not None
        late = client.get("/healthz")
    assert (early.status_code, early.content, dict(early.headers)) == (200, late.content, dict(late.headers))
    assert len(SECURITY_HEADERS) < len(early.headers)
    assert (len(service.loaded), service.failures) == (1, [])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_requests_of_other_sites_are_left_to_the_routes(home: Path, headers: dict[str, str], status: int) -> None:
    with Service(home).connect() as client:
        assert client.get("/healthz", headers=headers).status_code == status


def test_what_keeps_the_services_from_running_is_reported(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(services_module, "build_services", fail)
    service = Service(home)
    with service.connect():
        pass
    assert [str(failure) for failure in service.failures] == ["no room"]
    assert service.loaded == []


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (
            "ganvas.commands.serve, ganvas.startup.lazy_app, ganvas.startup.local",
            ("fastapi", "httpx", "jinja2", "sqlalchemy", "yaml"),
        ),
        ("api.server.services", ("fastapi", "httpx", "jinja2", "prometheus_client", "celery", "alembic")),
        ("api.client.client", ("asyncio", "fastapi", "ganlib.spec.job", "httpx", "sqlalchemy", "tqdm", "yaml")),
    ],
)
def test_a_step_loads_nothing_of_the_next(modules: str, absent: tuple[str, ...]) -> None:
    program = f"import sys; import {modules}; print([name for name in {absent} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "[]"


def test_a_service_that_only_waits_loads_neither_specs_nor_events_nor_webhooks(home: Path) -> None:
    # With a round of the reaper and of the housekeeping.
    program = f"""
import sys
from api.server.services import build_services
from api.server.settings import Settings
services = build_services(Settings(home={str(home)!r}))
services.start()
services.reaper.run_once()
services.notify_streams()
services.end_streams()
services.stop()
absent = ("ganlib.events", "ganlib.spec.job", "api.jobs.queries", "api.events.feed", "yaml",
          "api.events.findings.webhooks")
print([name for name in absent if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "[]"


def test_the_process_says_that_it_lives_before_and_after_the_routes_are_loaded(home: Path) -> None:
    service = Service(home)
    with service.connect() as client:
        for _ in range(2):
            answer = client.get("/livez", headers={"host": "localhost"})
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
            assert client.get("/livez", headers={"host": "evil.example"}).status_code == 403
            assert client.get("/jobs").status_code == 200
    assert len(SECURITY_HEADERS) < len(answer.headers)


def test_health_is_told_below_the_prefix_too(home: Path) -> None:
    app = LazyApp(Settings(home=home, root_path="/lab"), lambda _: None, lambda _: None)
    with TestClient(app, base_url=URL) as client:
        assert [client.get(path).status_code for path in ("/lab/healthz", "/healthz", "/lab/livez")] == [200] * 3
        assert app._app is None
