"""`ganvas token`: make, list and revoke the tokens of a service, on the machine that holds its database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganvas.commands.options import json_option, print_json
from ganvas.commands.server_options import data_dir_option, need_server_extra

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

DAY_SECONDS = 86_400.0


@click.group()
def command() -> None:
    """Make, list and revoke tokens. The first one that is made closes the service to everyone without one."""


@command.command()
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
    """Make a token and print it, this once."""
    from api import queries

    if not name.isprintable() or not 1 <= len(name) <= 100:
        raise click.ClickException("--name takes 1 to 100 printable characters.")
    with _writing(data_dir) as session:
        if path is not None and _adopt(session, path, name, scope):
            click.echo(f"The token in {path} is valid.", err=True)
            return
        _, text = queries.insert_token(session, name, scope, None if days is None else days * DAY_SECONDS)
        if path is not None:
            # Before the commit: a token that could not be written down is none.
            _write_token(path, text)
            return
    click.echo("Keep this token: it cannot be shown again.", err=True)
    click.echo(text)


def _adopt(session: "Session", path: Path, name: str, scope: str) -> bool:
    """Whether the file holds a token: one that works is kept, one made by `ganvas secrets` is made known.

    Raises ClickException where it holds anything else, a revoked token too.
    """
    from api.models import Token
    from api.queries.tokens import find_live_token, insert_made_token
    from api.tokens import hash_token, read_token

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


def _write_token(path: Path, text: str) -> None:
    from ganvas.cluster_secrets import write_secret

    write_secret(path, lambda: text, mode=0o400)


@command.command("list")
@data_dir_option
@json_option
def list_command(data_dir: Path | None, as_json: bool) -> None:
    """List the tokens that were made; their texts are not kept."""
    from api import queries

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
            for token in queries.list_tokens(session)
        ]
    if as_json:
        print_json({"items": rows, "next": None})
        return
    if not rows:
        click.echo("No token was ever made: whoever reaches this service may do everything.")
    for row in rows:
        state = "revoked" if row["revoked_at"] else f"until {row['expires_at']}" if row["expires_at"] else "valid"
        click.echo(f"{row['id']}  {row['scope']:<6}  {state:<8}  used {row['used_at'] or 'never'}  {row['name']}")


@command.command()
@click.argument("token_id")
@data_dir_option
def revoke(token_id: str, data_dir: Path | None) -> None:
    """End a token, and every login that was made with it, within two seconds."""
    from api import queries

    with _writing(data_dir) as session:
        token = queries.revoke_token(session, token_id)
    click.echo(f"{token.id} ({token.name}) is revoked.")


@contextmanager
def _writing(data_dir: Path | None) -> "Iterator[Session]":
    """One transaction in the service's database, whose tables are looked after first."""
    need_server_extra()
    from api.db import TablesUnfit, build_database, prepare_tables
    from api.settings import Settings

    given: dict[str, Any] = {} if data_dir is None else {"home": data_dir}
    settings = Settings(**given)
    database = build_database(settings)
    try:
        prepare_tables(database.engine, settings)
        with database.write() as session:
            yield session
    except TablesUnfit as error:
        raise click.ClickException(str(error)) from None
    finally:
        database.close()
