"""`ganvas token` against a service's own database."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient

from api.server.settings import Settings
from ganvas.app import build_app
from ganvas.cli import cli
from ganvas.commands.access import write_cluster_secrets
from tests.ganvas.conftest import RunCommand
from tests.support.services import HOST, QUIET

CLAIM = {"worker": "gpu-1", "devices": ["cpu"]}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["token", *arguments, "--data-dir", str(home)])


def test_a_token_is_printed_once_and_lets_its_holder_in(home: Path) -> None:
    made = run(home, "create", "--name", "Ada", "--scope", "read")
    assert made.exit_code == 0, made.output
    token = made.stdout.strip()
    assert token.startswith("gnv_read_")
    assert token not in run(home, "list").output
    # The first one alone locks everybody out.
    assert "a running service is now closed" in made.stderr
    assert "  export GANVAS_TOKEN=TOKEN" in made.stderr
    assert "closed" not in run(home, "create", "--name", "Bob", "--scope", "read").stderr
    with TestClient(build_app(Settings(home=home, **QUIET)), base_url=HOST) as client:
        assert client.get("/jobs").status_code == 401
        assert client.get("/jobs", headers={"authorization": f"Bearer {token}"}).status_code == 200


def test_tokens_are_listed_and_revoked_by_id(home: Path) -> None:
    assert "There are no tokens" in run(home, "list").output
    run(home, "create", "--name", "gpu-1", "--scope", "worker", "--days", "30")
    (token,) = json.loads(run(home, "list", "--json").stdout)["items"]
    assert (token["name"], token["scope"], token["revoked_at"]) == ("gpu-1", "worker", None)
    assert token["expires_at"] > token["created_at"]
    assert run(home, "revoke", token["id"]).exit_code == 0
    assert "revoked" in run(home, "list").output


def test_bad_requests_say_what_is_wrong(home: Path) -> None:
    assert "'admin' is not one of" in run(home, "create", "--name", "x", "--scope", "admin").output
    assert "printable" in run(home, "create", "--name", "a\nb", "--scope", "read").output
    from api.errors import TokenNotFound

    assert isinstance(run(home, "revoke", "nothing").exception, TokenNotFound)


def test_a_token_can_be_written_into_a_file_once(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "ganvas_token"
    arguments = ("create", "--name", "gpus", "--scope", "worker", "--file", str(path))
    made = run(home, *arguments)
    assert (made.exit_code, made.stdout) == (0, "")
    assert path.stat().st_mode & 0o777 == 0o400
    text = path.read_text()
    assert text.startswith("gnv_worker_")
    again = run(home, *arguments)
    assert (again.exit_code, path.read_text()) == (0, text)
    assert len(json.loads(run(home, "list", "--json").stdout)["items"]) == 1


def test_a_file_that_holds_something_else_is_neither_kept_nor_overwritten(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes")
    refused = run(home, "create", "--name", "gpus", "--scope", "worker", "--file", str(path))
    assert refused.exit_code == 1
    assert "holds no valid token" in refused.output
    assert path.read_text() == "my notes"


def test_a_token_that_ganvas_secrets_made_becomes_known_once(home: Path, tmp_path: Path) -> None:
    write_cluster_secrets(tmp_path, "postgres", "redis")
    path = tmp_path / "worker" / "ganvas_token"
    arguments = ("create", "--name", "gpus", "--scope", "worker", "--file", str(path))
    for _ in range(2):
        assert run(home, *arguments).exit_code == 0
    (token,) = json.loads(run(home, "list", "--json").stdout)["items"]
    assert (token["name"], token["scope"]) == ("gpus", "worker")
    with TestClient(build_app(Settings(home=home, **QUIET)), base_url=HOST) as client:
        headers = {"authorization": f"Bearer {path.read_text()}"}
        assert client.get("/jobs").status_code == 401
        assert client.post("/workers/claim", json=CLAIM, headers=headers).status_code == 204


def test_a_revoked_token_does_not_come_back_from_its_file(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "ganvas_token"
    arguments = ("create", "--name", "gpus", "--scope", "worker", "--file", str(path))
    run(home, *arguments)
    (token,) = json.loads(run(home, "list", "--json").stdout)["items"]
    run(home, "revoke", token["id"])
    refused = run(home, *arguments)
    assert (refused.exit_code, "no valid token" in refused.output) == (1, True)


def test_a_file_with_a_token_of_another_scope_is_refused(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "ganvas_token"
    run(home, "create", "--name", "a", "--scope", "worker", "--file", str(path))
    refused = run(home, "create", "--name", "b", "--scope", "user", "--file", str(path))
    assert (refused.exit_code, "no valid token of the scope user" in refused.output) == (1, True)


@pytest.mark.parametrize("command", [("token", "list"), ("backup", "copy")], ids=" ".join)
def test_a_database_that_is_away_gets_one_sentence(
    ganvas: RunCommand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANVAS_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    outcome = ganvas(*command)
    assert outcome.status == 1
    assert outcome.err.startswith("Error: The database cannot be used: ")
    assert outcome.err.count("\n") == 1
