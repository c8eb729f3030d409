"""The engine: what it leaves behind when it is closed, and a file that goes while it is used."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, text

from api.main import build_service
from api.server.database.engine import Database
from api.server.settings import Settings
from tests.support.servers import make_home
from tests.support.services import HOST, QUIET, TINY_SPEC


def test_a_connection_in_use_is_closed_when_it_is_given_back_to_a_closed_database(database: Database) -> None:
    closed: list[Any] = []
    event.listen(database.engine.pool, "close", lambda connection, _: closed.append(connection))
    with database.read() as session:
        session.execute(text("SELECT 1"))
        held = session.connection().connection.dbapi_connection
        # As a service that ends while one of its threads still reads.
        database.close()
        assert held not in closed
        session.execute(text("SELECT 1"))
    assert held in closed


def replace(home: Path) -> None:
    copy = home / "copy.sqlite3"
    shutil.copy(home / "ganvas.sqlite3", copy)
    copy.replace(home / "ganvas.sqlite3")


@pytest.mark.parametrize(
    "lose",
    [
        shutil.rmtree,
        lambda home: (home / "ganvas.sqlite3").unlink(),
        lambda home: home.rename(f"{home}-moved"),
        replace,
    ],
    ids=["folder deleted", "file deleted", "folder moved", "file replaced"],
)
def test_nothing_is_taken_once_the_database_s_file_is_gone(tmp_path: Path, lose: Callable[[Path], Any]) -> None:
    home = make_home(tmp_path / "home")
    with TestClient(build_service(Settings(home=home, **QUIET)), base_url=HOST) as client:
        assert client.post("/jobs", json=TINY_SPEC).status_code == 201
        lose(home)
        refused = client.post("/jobs", json=TINY_SPEC)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "service_unavailable")
        assert "was deleted, moved or replaced while the service ran" in refused.json()["error"]["message"]
        # What the process still has open can be read, and saved.
        assert len(client.get("/jobs").json()["items"]) == 1
