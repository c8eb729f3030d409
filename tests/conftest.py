"""What all tests share: settings of a throwaway home, and a real service that answers on loopback."""

import atexit
import gc
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from api.server.database import engine
from api.server.http.connections import build_config
from api.server.settings import Settings
from ganvas.app import build_app
from tests.support import endings
from tests.support.processes import run_starter
from tests.support.servers import make_home, serve_postgresql, share_compiled_statements, share_read_routes

# One thread a trainer: two that spin beside a busy neighbour are slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# None of what is imported until the tests begin is garbage: looking for some takes four tenths of that time.
gc.disable()
share_compiled_statements()
share_read_routes()

# Property of a test's report: a row of the table of faults.
FAULT = "fault"

# What takes longest begins first, so that processes end together: files, and folders of trainers and browsers.
SLOWEST_FIRST = (
    "tests/faults/test_full_disks.py",
    "tests/faults/test_trainers.py",
    "tests/worker/attempt/test_supervisor.py",
    "tests/worker/trainer/test_torchrun.py",
    "tests/dashboard/in_browser/timeline",
    "tests/ganvas/test_demo.py",
    "tests/ganlib/training/test_torch_compile.py",
    "tests/dashboard/in_browser/compare",
    "tests/ganlib/runtime/test_process_group.py",
    "tests/ganlib/recipes/test_extending.py",
    "tests/faults",
    "tests/dashboard/in_browser",
    "tests/worker",
    "tests/ganvas",
    "tests/ganlib",
)


@dataclass(frozen=True)
class LiveService:
    """A service, dashboard included, that answers at `url`."""

    url: str
    settings: Settings


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GANVAS_URL", "GANVAS_HOME", "GANVAS_TOKEN", "GANVAS_BROKER_URL", "GANVAS_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _quick_sqlite(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite wait for its disk in tests that are marked `durable` alone."""
    if "durable" in request.keywords:
        return
    set_up = engine._set_up_sqlite

    def set_up_quickly(connection: sqlite3.Connection, record: object) -> None:
        set_up(connection, record)
        connection.execute("PRAGMA synchronous=OFF")

    monkeypatch.setattr(engine, "_set_up_sqlite", set_up_quickly)


@pytest.fixture
def start_service() -> Iterator[Callable[[Settings], LiveService]]:
    """Start services in threads; they stop with the test."""
    with run_services() as start:
        yield start


@contextmanager
def run_services() -> Iterator[Callable[[Settings], LiveService]]:
    """Start services in threads; they stop at the end."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(settings: Settings) -> LiveService:
        config = build_config(build_app(settings), settings)
        config.timeout_graceful_shutdown = 1
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        running.append((server, thread))
        while not server.started:
            assert thread.is_alive(), "the service did not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        return LiveService(f"http://127.0.0.1:{port}", settings)

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def live_service(tmp_path: Path, start_service: Callable[[Settings], LiveService]) -> LiveService:
    """One service on SQLite and the filesystem broker, without a worker."""
    return start_service(Settings(home=make_home(tmp_path / "home"), port=0))


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    with serve_postgresql() as url:
        yield url


def pytest_configure(config: pytest.Config) -> None:
    """Tidy up before the run ends, whoever ends it; all processes of a run share one starter."""
    endings.pytest_configure(config)
    if not hasattr(config, "workerinput") and sys.platform == "linux":
        starter = run_starter()
        starter.__enter__()
        config.add_cleanup(lambda: starter.__exit__(None, None, None))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Look for garbage from the first test on, but not among what was imported: that takes a second each time."""
    result = yield
    gc.freeze()
    gc.enable()
    # Libraries complain about what is left behind when the interpreter ends.
    atexit.register(gc.unfreeze)
    return result


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow files first; within them, and among the others, the order stays."""
    items.sort(key=lambda item: _place_of(item.path.relative_to(Path(__file__).parents[1]).as_posix()))


def _place_of(path: str) -> int:
    places = (place for place, start in enumerate(SLOWEST_FIRST) if path.startswith(start))
    return next(places, len(SLOWEST_FIRST))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table of the faults that passed; the reports come from whichever process ran them."""
    reports = terminalreporter.getreports("passed")
    rows = [row for report in reports for name, row in report.user_properties if name == FAULT]
    if rows:
        terminalreporter.section("faults")
        terminalreporter.write_line("| fault | times | what had to hold | what came |\n| --- | --- | --- | --- |")
        for row in rows:
            terminalreporter.write_line(f"| {' | '.join(row)} |")
