"""`ganvas migrate`: database and bucket made ready, once, for a start of several replicas."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ganvas.commands.server_options import data_dir_option, need_server_extra

RETRY_SECONDS = 1.0
Answer = TypeVar("Answer")


@click.command()
@click.option(
    "--wait",
    "wait_seconds",
    metavar="SECONDS",
    type=click.FloatRange(0),
    default=0.0,
    help="How long to wait for a database, or a file store, that is not up yet.",
)
@data_dir_option
def command(wait_seconds: float, data_dir: Path | None) -> None:
    """Bring the tables of GANVAS_DATABASE_URL up to date and exit; running it again or twice at once does no harm.

    A service that is started with GANVAS_MIGRATE=false leaves them alone, and does not start while they are older.
    The bucket of GANVAS_BLOBS_URL is made where it is missing.
    """
    need_server_extra()
    from api.db import HEAD_REVISION, TablesUnfit, build_engine, find_revision, prepare_tables
    from api.services import build_blobs
    from api.settings import Settings
    from api.storage_s3 import S3Blobs

    given: dict[str, Any] = {} if data_dir is None else {"home": data_dir}
    settings = Settings(**given, migrate=True)
    engine = build_engine(settings)
    try:
        before = _wait_for("database", lambda: find_revision(engine), wait_seconds)
        prepare_tables(engine, settings)
    except TablesUnfit as error:
        raise click.ClickException(str(error)) from None
    finally:
        engine.dispose()
    was = "they were so before" if before == HEAD_REVISION else f"they were {before or 'not there'}"
    click.echo(f"The tables are of revision {HEAD_REVISION}; {was}.")
    blobs = build_blobs(settings)
    if isinstance(blobs, S3Blobs) and _wait_for("file store", blobs.make_bucket, wait_seconds):
        click.echo(f"The bucket of {settings.blobs_url} is made.")


def _wait_for(what: str, ask: Callable[[], Answer], wait_seconds: float) -> Answer:
    """Return what it answers once it is up; raises ClickException when it is not, so long after the first try."""
    from sqlalchemy.exc import OperationalError

    from api.errors import ServiceUnavailable

    ends_at: float | None = None
    while True:
        try:
            return ask()
        except (OperationalError, ServiceUnavailable) as error:
            if ends_at is None:
                ends_at = time.monotonic() + wait_seconds
                if wait_seconds:
                    click.echo(f"Waiting for the {what}, up to {wait_seconds:g} seconds …", err=True)
            if time.monotonic() >= ends_at:
                cause = getattr(error, "orig", error.__cause__) or error
                first = str(cause).strip().splitlines()[0]
                raise click.ClickException(f"The {what} cannot be reached: {first}") from None
            time.sleep(RETRY_SECONDS)
