"""`ganvas doctor`: what it finds, and what it says to do."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient
from sqlalchemy import update
from sqlalchemy.engine import make_url

from api.client.client import Client
from api.errors import NotAuthenticated
from api.events.findings.webhooks import WebhookSender
from api.server.database import engine
from api.server.database.clock import database_now
from api.server.database.models import Delivery, Job
from api.server.settings import Settings
from ganvas import doctor
from ganvas.address import write_service_url
from ganvas.app import build_app
from ganvas.cli import cli
from tests.conftest import LiveService
from tests.support.servers import make_home
from tests.support.services import (
    HOST,
    QUIET,
    add_claimed_job,
    make_finding,
    make_png,
    make_spec,
    post,
    sha256,
)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def ask(home: Path) -> tuple[Result, dict[str, Any]]:
    result = CliRunner().invoke(cli, ["doctor", "--data-dir", str(home), "--json"])
    return result, {finding["check"]: finding for finding in json.loads(result.output)["items"]}


def test_a_fresh_folder_is_healthy(tmp_path: Path) -> None:
    result, found = ask(tmp_path)
    assert result.exit_code == 0
    assert {finding["state"] for finding in found.values()} <= {"ok", "warning"}
    assert "no tables yet" in found["database"]["text"]
    text = CliRunner().invoke(cli, ["doctor", "--data-dir", str(tmp_path)]).output
    assert "ok       broker" in text


def test_a_full_disk_fails_and_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 10**12, 10**8))
    result, found = ask(tmp_path)
    assert (result.exit_code, found["disk"]["state"]) == (1, "failed")
    assert "free some space" in found["disk"]["advice"]


def test_files_that_are_gone_are_found(tmp_path: Path) -> None:
    png = make_png()
    with TestClient(build_app(Settings(home=tmp_path, **QUIET)), base_url=HOST) as client:
        put = client.put(f"/artifacts/{sha256(png)}", content=png, headers={"content-type": "image/png"})
        assert put.status_code == 200
    assert ask(tmp_path)[1]["files"]["state"] == "ok"
    shutil.rmtree(Settings(home=tmp_path).blobs_dir)
    result, found = ask(tmp_path)
    assert (result.exit_code, found["files"]["state"]) == (1, "failed")


def test_a_folder_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    result, found = ask(tmp_path / "mistyped")
    assert result.exit_code == 0
    assert "there is no folder" in found["folder"]["text"]
    assert "--data-dir" in found["folder"]["advice"]
    assert not (tmp_path / "mistyped").exists()


def test_tables_of_a_newer_version_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TestClient(build_app(Settings(home=tmp_path, **QUIET)), base_url=HOST):
        pass
    monkeypatch.setattr(engine, "HEAD_REVISION", "0001")
    _, found = ask(tmp_path)
    assert found["database"]["state"] == "failed"


@pytest.mark.parametrize(
    ("variable", "value", "check"),
    [
        ("GANVAS_BROKER_URL", "redis://127.0.0.1:9/0", "broker"),
        ("GANVAS_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none", "database"),
        ("GANVAS_DATA", "/no/such/folder", "data"),
    ],
)
def test_what_cannot_be_reached_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, check: str
) -> None:
    monkeypatch.setenv(variable, value)
    result, found = ask(tmp_path)
    assert (result.exit_code, found[check]["state"]) == (1, "failed")
    assert found[check]["advice"]


@pytest.mark.parametrize(
    ("version", "is_faulty"),
    [
        ((3, 6, 23), False),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
    ],
)
def test_sqlite_with_the_fault_of_its_log_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], is_faulty: bool
) -> None:
    monkeypatch.setattr(doctor.sqlite3, "sqlite_version_info", version)
    found = doctor.check_sqlite(Settings(home=tmp_path))
    assert found.state == ("warning" if is_faulty else "ok")
    assert ("3.51.3 or newer" in found.advice) is is_faulty
    assert doctor.check_sqlite(Settings(database_url="postgresql://any")).state == "ok"


def test_what_was_purged_and_what_is_overdue_are_told(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, deleted_kept_days=0, **QUIET)
    with TestClient(build_app(settings), base_url=HOST) as client:
        for _ in range(2):
            job_id = client.post("/jobs", json=make_spec()).json()["id"]
            client.post(f"/jobs/{job_id}/cancel")
            assert client.delete(f"/jobs/{job_id}").status_code == 200
        services = client.app.state.services  # type: ignore[attr-defined]
        with services.database.write() as session:
            session.execute(update(Job).values(deleted_at=database_now(-3 * 3600)))
        found = doctor.check_space(settings)
        assert (found.state, found.text.split(";")[0]) == ("warning", "2+ deleted runs are overdue")
        services.reaper.run_once()
    found = doctor.check_space(settings)
    assert found.state == "ok"
    assert "removed 2 jobs, 0 files" in found.text
    assert "MiB hold nothing" in found.text


def test_every_check_is_named_by_its_function(tmp_path: Path) -> None:
    assert len(ask(tmp_path)[1]) == len(doctor.CHECKS) + len(doctor.LOCAL_CHECKS)


@pytest.fixture
def ascii_database(postgresql_url: str) -> Iterator[str]:
    """A database whose server does not know which encoding its texts have."""
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(
            "CREATE DATABASE plain ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        )
        yield make_url(postgresql_url).set(database="plain").render_as_string(hide_password=False)
        connection.execute("DROP DATABASE plain WITH (FORCE)")


def test_a_database_without_an_encoding_keeps_every_text_and_is_healthy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ascii_database: str
) -> None:
    settings = Settings(home=tmp_path, database_url=ascii_database, **QUIET)
    with TestClient(build_app(settings), base_url=HOST) as client:
        path = f"/jobs/{client.post('/jobs', json=make_spec()).json()['id']}"
        assert client.patch(path, json={"note": "größer ▲"}).status_code == 200
        assert client.get(path).json()["note"] == "größer ▲"
    monkeypatch.setenv("GANVAS_DATABASE_URL", ascii_database)
    result, found = ask(tmp_path)
    assert (result.exit_code, found["database"]["state"], found["files"]["state"]) == (0, "ok", "ok")
    assert found["database"]["text"] == f"postgresql, revision {engine.HEAD_REVISION}"


def look(*arguments: str) -> tuple[Result, dict[str, Any]]:
    result = CliRunner().invoke(cli, ["doctor", *arguments, "--json"])
    return result, {finding["check"]: finding for finding in json.loads(result.output)["items"]}


def test_the_service_that_other_commands_ask_is_looked_at_and_named(
    tmp_path: Path, live_service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_HOME", str(tmp_path))
    monkeypatch.setenv("GANVAS_URL", live_service.url)
    result, found = look()
    assert (result.exit_code, found["service"]["state"]) == (0, "ok")
    assert found["service"]["text"].startswith(f"{live_service.url} answers: version ")
    # This folder is not that service's, so nothing is said of it.
    assert not {"database", "files", "broker"} & set(found)
    result, found = look("--url", "http://127.0.0.1:9")
    assert (result.exit_code, found["service"]["state"]) == (1, "failed")
    assert "No Ganvas service answers at http://127.0.0.1:9" in found["service"]["text"]
    # The folder of that service: the address in it is the same.
    write_service_url(tmp_path, live_service.url.replace("127.0.0.1", "localhost"))
    assert look()[1]["database"]["text"].endswith("no tables yet")
    # A folder that is named says itself which service is meant.
    monkeypatch.delenv("GANVAS_URL")
    assert look("--data-dir", str(tmp_path))[1]["service"]["text"].startswith("http://localhost:")


def test_a_service_that_takes_no_token_of_ours_says_so(
    tmp_path: Path, live_service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotAuthenticated

    monkeypatch.setattr(Client, "list_page", refuse)
    assert look("--url", live_service.url)[1]["service"]["state"] == "warning"
    monkeypatch.setenv("GANVAS_TOKEN", "gnv_wrong")
    result, found = look("--url", live_service.url)
    assert (result.exit_code, found["service"]["advice"]) == (1, "set GANVAS_TOKEN to one")


def test_a_webhook_that_takes_nothing_is_told_and_one_that_does_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home(tmp_path / "home")
    assert ask(home)[1]["webhook"]["text"] == "none is set (GANVAS_WEBHOOK_URL)"
    monkeypatch.setenv("GANVAS_WEBHOOK_URL", "http://127.0.0.1:9/hook")
    monkeypatch.setenv("GANVAS_WEBHOOK_SECRET", "s" * 16)
    assert ask(home)[1]["webhook"]["text"] == "nothing was delivered yet; 0 wait"
    database = engine.build_database(Settings(home=home))
    with database.write() as session:
        post(session, add_claimed_job(session), [make_finding(100)])
    sender = WebhookSender(database, Settings(home=home), lambda *_: 200)
    sender.deliver_due()
    found = ask(home)[1]["webhook"]
    assert (found["state"], "127.0.0.1, which is not public" in found["text"]) == ("warning", True)
    assert "1 wait" in found["text"]
    with database.write() as session:
        session.execute(update(Delivery).values(due_at=database_now(-1)))
    WebhookSender(database, Settings(home=home, webhook_private=True), lambda *_: 200).deliver_due()
    database.close()
    found = ask(home)[1]["webhook"]
    assert (found["state"], found["text"].startswith("the last delivery worked at 20")) == ("ok", True)


def test_a_store_that_is_away_fails_also_before_the_first_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with TestClient(build_app(Settings(home=tmp_path, **QUIET)), base_url=HOST):
        pass
    assert ask(tmp_path)[1]["files"]["text"] == "none yet"
    monkeypatch.setenv("GANVAS_BLOBS_URL", "s3://any")
    monkeypatch.setenv("GANVAS_S3_ENDPOINT_URL", "http://127.0.0.1:1")
    result, found = ask(tmp_path)
    assert (result.exit_code, found["files"]["state"]) == (1, "failed")
    assert "cannot be reached" in found["files"]["text"]
