"""`ganvas token` and `ganvas secrets`: the tokens of a service, and the passwords of a cluster's parts."""

import json
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.server.access.grants import make_token
from ganvas.commands.options import SuggestingGroup, data_dir_option, json_option, print_json, read_settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

DAY_SECONDS = 86_400.0
PASSWORD_BYTES = 24
# Containers run as different users; access is limited by mounting each folder only where it is needed.
READABLE = 0o444


@click.group(cls=SuggestingGroup)
def token_command() -> None:
    """Make, list and revoke tokens. The first one that is made closes the service to everyone without one."""


@token_command.command()
@click.option("--name", required=True, help="Whose it is, or what for.")
@click.option(
    "--scope",
    type=click.Choice(["read", "user", "worker"]),
    required=True,
    help="read: look at runs; user: submit and cancel too; worker: claim and report.",
)
@click.option(
    "--days", type=click.FloatRange(0, 36_500, min_open=True), help="How long it is valid; else for ever."
)
@click.option(
    "--file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it into this new file and print nothing; one that `ganvas secrets` made is kept and made known.",
)
@data_dir_option
def create(name: str, scope: Any, days: float | None, path: Path | None, data_dir: Path | None) -> None:
    """Make a token and print it, this once.

    The first one closes a running service within seconds to everyone who has none: commands and scripts of this
    machine then need `export GANVAS_TOKEN=…` with one of scope user (read, to look alone), a browser logs in with
    one, a worker elsewhere has one of scope worker. The worker of `ganvas up` goes on.
    """
    from api.server.access import tokens

    if not name.isprintable() or not 1 <= len(name) <= 100:
        raise click.ClickException("--name takes 1 to 100 printable characters.")
    with _writing(data_dir) as session:
        if path is not None and _adopt(session, path, name, scope):
            click.echo(f"The token in {path} is valid.", err=True)
            return
        is_first = not tokens.has_tokens(session)
        _, text = tokens.insert_token(session, name, scope, None if days is None else days * DAY_SECONDS)
        if path is not None:
            # Before the commit: a token whose file cannot be written is not kept.
            write_secret(path, text, mode=0o400)
    if is_first:
        click.echo(_explain_closing(scope, path), err=True)
    if path is None:
        click.echo("Keep this token: it cannot be shown again.", err=True)
        click.echo(text)


def _explain_closing(scope: str, path: Path | None) -> str:
    """Return what the first token changes for everybody, and how to go on here."""
    text = "TOKEN" if path is None else f"$(cat {shlex.quote(str(path))})"
    closed = "It is the first token: a running service is now closed to everyone who has none."
    if scope != "worker":
        only = " to look at runs (submitting needs one of scope user)" if scope == "read" else ""
        return f"{closed} Commands and scripts here take it from GANVAS_TOKEN{only}:\n  export GANVAS_TOKEN={text}"
    return (
        f"{closed} Workers elsewhere take it from GANVAS_TOKEN. Commands and browsers need one more:\n"
        "  ganvas token create --name me --scope user"
    )


def _adopt(session: "Session", path: Path, name: str, scope: str) -> bool:
    """Return whether the file holds a token; one from `ganvas secrets` is stored in the database.

    Raises ClickException if it holds anything else, such as a revoked token.
    """
    from api.server.access.grants import hash_token, read_token
    from api.server.access.tokens import find_live_token, insert_made_token
    from api.server.database.models import Token

    if not path.exists():
        return False
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    made = read_token(text)
    if made is not None and made[1] == scope:
        if find_live_token(session, hash_token(text)) is not None:
            return True
        if session.get(Token, made[0]) is None:
            insert_made_token(session, name, made[1], made[0], text)
            return True
    raise click.ClickException(
        f"{path} holds no valid token of the scope {scope}; remove it, or name another file."
    )


@token_command.command("list")
@data_dir_option
@json_option
def list_command(data_dir: Path | None, as_json: bool) -> None:
    """List the tokens that were made; their texts are not kept."""
    from api.server.access import tokens

    with _writing(data_dir) as session:
        rows = [
            {
                "id": token.id,
                "name": token.name,
                "scope": token.scope,
                "created_at": token.created_at.isoformat(),
                "expires_at": token.expires_at and token.expires_at.isoformat(),
                "revoked_at": token.revoked_at and token.revoked_at.isoformat(),
                "used_at": token.used_at and token.used_at.isoformat(),
            }
            for token in tokens.list_tokens(session)
        ]
    if as_json:
        print_json({"items": rows, "next": None})
        return
    if not rows:
        click.echo("There are no tokens: anyone who reaches this service may do everything.")
    for row in rows:
        state = "revoked" if row["revoked_at"] else f"until {row['expires_at']}" if row["expires_at"] else "valid"
        click.echo(f"{row['id']}  {row['scope']:<6}  {state:<8}  used {row['used_at'] or 'never'}  {row['name']}")


@token_command.command()
@click.argument("token_id")
@data_dir_option
def revoke(token_id: str, data_dir: Path | None) -> None:
    """End a token, and every login that was made with it, within two seconds."""
    from api.server.access import tokens

    with _writing(data_dir) as session:
        token = tokens.revoke_token(session, token_id)
    click.echo(f"{token.id} ({token.name}) is revoked.")


@contextmanager
def _writing(data_dir: Path | None) -> "Iterator[Session]":
    """One transaction in the service's database, which gets its tables if it has none yet."""
    settings = read_settings(data_dir)
    from api.server.database.engine import TablesUnfit, build_database, require_tables

    database = build_database(settings)
    try:
        require_tables(database.engine, settings)
        with database.write() as session:
            yield session
    except TablesUnfit as error:
        raise click.ClickException(str(error)) from None
    finally:
        database.close()


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--database-host", default="postgres", show_default=True, help="Where the service finds PostgreSQL.")
@click.option("--broker-host", default="redis", show_default=True, help="Where service and workers find Redis.")
def secrets_command(folder: Path, database_host: str, broker_host: str) -> None:
    """Make random passwords for PostgreSQL, Redis and the file store below FOLDER, and the addresses with them.

    What is there is kept. docker-compose.yml does this by itself; k8s/README.md says where Kubernetes wants them.
    """
    written = write_cluster_secrets(folder, database_host, broker_host)
    for path in written:
        click.echo(f"wrote {path}")
    if not written:
        click.echo(f"Everything is in {folder} already; nothing was changed.")


def write_cluster_secrets(folder: Path, database_host: str, broker_host: str) -> list[Path]:
    """Write the files that are missing below `folder`; return those that were written.

    postgres/password: PostgreSQL's. redis/redis.conf: with Redis' password. store/s3.json: the identity that
    SeaweedFS knows. service/: settings of the service, and its key to the store. worker/: the broker's address and
    the workers' token, which `ganvas token create --file` makes known to the service.
    """
    database_password = _keep_or_make(folder / "postgres" / "password")
    redis_conf = folder / "redis" / "redis.conf"
    redis_password = _read_after(redis_conf, "requirepass ") or _make_password()
    key = _read_after(folder / "service" / "aws_credentials", "aws_secret_access_key = ") or _make_password()
    broker_url = f"redis://:{redis_password}@{broker_host}:6379/0"
    texts = {
        folder / "postgres" / "password": database_password,
        redis_conf: f"requirepass {redis_password}\nbind * -::*\nappendonly yes\ndir /data\n",
        folder / "store" / "s3.json": json.dumps(_store_identity(key), indent=2) + "\n",
        folder / "service" / "aws_credentials": (
            f"[default]\naws_access_key_id = ganvas\naws_secret_access_key = {key}\n"
        ),
        folder / "service" / "ganvas_database_url": (
            f"postgresql://ganvas:{database_password}@{database_host}:5432/ganvas"
        ),
        folder / "service" / "ganvas_broker_url": broker_url,
        folder / "worker" / "ganvas_broker_url": broker_url,
        folder / "worker" / "ganvas_token": make_token("worker")[1],
    }
    return [path for path, text in texts.items() if _write_if_missing(path, text)]


def _keep_or_make(path: Path) -> str:
    return path.read_text(encoding="ascii").strip() if path.exists() else _make_password()


def _read_after(path: Path, prefix: str) -> str | None:
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return next((line.removeprefix(prefix) for line in lines if line.startswith(prefix)), None)


def _make_password() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)


def _store_identity(key: str) -> dict[str, object]:
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    credentials = [{"accessKey": "ganvas", "secretKey": key}]
    return {"identities": [{"name": "ganvas", "credentials": credentials, "actions": actions}]}


def _write_if_missing(path: Path, text: str) -> bool:
    if path.exists():
        return False
    write_secret(path, text)
    return True


def write_secret(path: Path, text: str, mode: int = READABLE) -> None:
    """Write the file whole or not at all; raises FileExistsError, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_text(text, encoding="ascii")
    partial.chmod(mode)
    # A link fails if the file exists, which a rename would replace.
    try:
        path.hardlink_to(partial)
    finally:
        partial.unlink()
