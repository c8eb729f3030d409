"""`ganvas secrets`, and settings that are read from such files."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from api.server.settings import SecretsDirMissing, Settings
from ganvas.cli import cli
from ganvas.commands.access import write_cluster_secrets
from worker.settings import WorkerSettings


def read_all(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_the_parts_of_a_cluster_get_passwords_that_fit_each_other(tmp_path: Path) -> None:
    write_cluster_secrets(tmp_path, "postgres", "redis")
    files = read_all(tmp_path)
    assert urlsplit(files["service/ganvas_database_url"]).password == files["postgres/password"]
    broker = urlsplit(files["worker/ganvas_broker_url"])
    assert f"requirepass {broker.password}\n" in files["redis/redis.conf"]
    assert files["service/ganvas_broker_url"] == files["worker/ganvas_broker_url"]
    (identity,) = json.loads(files["store/s3.json"])["identities"]
    assert identity["credentials"][0]["secretKey"] in files["service/aws_credentials"]
    assert len(files["postgres/password"]) >= 32


def test_a_worker_is_not_told_the_password_of_the_database(tmp_path: Path) -> None:
    write_cluster_secrets(tmp_path, "postgres", "redis")
    files = read_all(tmp_path)
    told = "".join(text for name, text in files.items() if name.startswith("worker/"))
    assert files["postgres/password"] not in told


def test_passwords_are_made_once_and_what_is_missing_is_made_to_fit(tmp_path: Path) -> None:
    command = ["secrets", str(tmp_path)]
    assert CliRunner().invoke(cli, command).exit_code == 0
    before = read_all(tmp_path)
    (tmp_path / "service" / "ganvas_database_url").unlink()
    (tmp_path / "worker" / "ganvas_broker_url").unlink()
    assert CliRunner().invoke(cli, command).exit_code == 0
    assert read_all(tmp_path) == before
    assert "nothing was changed" in CliRunner().invoke(cli, command).output


def test_settings_are_read_from_files_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ganvas_token").write_text("from-a-file\n")
    (tmp_path / "ganvas_database_url").write_text("postgresql://ganvas@db/ganvas\n")
    monkeypatch.setenv("GANVAS_SECRETS_DIR", str(tmp_path))
    monkeypatch.delenv("GANVAS_TOKEN", raising=False)
    assert Settings().token == WorkerSettings().token == "from-a-file"
    assert Settings().sqlalchemy_url == "postgresql+psycopg://ganvas@db/ganvas"
    monkeypatch.setenv("GANVAS_TOKEN", "from-the-environment")
    assert Settings().token == WorkerSettings().token == "from-the-environment"


def test_a_folder_of_secrets_that_is_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_SECRETS_DIR", str(tmp_path / "missing"))
    with pytest.raises(SecretsDirMissing, match="must be a folder"):
        Settings()
