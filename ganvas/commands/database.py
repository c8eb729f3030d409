"""`ganvas migrate`, `backup` and `restore`: a service's tables and all their rows."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from ganvas.commands.options import data_dir_option, read_settings

if TYPE_CHECKING:
    from api.settings import Settings
    from ganvas.backup import Say

RETRY_SECONDS = 1.0
Answer = TypeVar("Answer")
folder_argument = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


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
def migrate_command(wait_seconds: float, data_dir: Path | None) -> None:
    """Bring the tables of GANVAS_DATABASE_URL up to date and exit; running it again or twice at once does no harm.

    A service that is started with GANVAS_MIGRATE=false leaves them alone, and does not start while they are older.
    The bucket of GANVAS_BLOBS_URL is made where it is missing.
    """
    settings = read_settings(data_dir, migrate=True)
    from api.artifacts.s3 import S3Blobs
    from api.server.database.engine import HEAD_REVISION, TablesUnfit, build_engine, find_revision, prepare_tables
    from api.server.services import build_blobs

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
    """Return the answer once it is up; raises ClickException if it is still down after `wait_seconds`."""
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


@click.command()
@folder_argument
@data_dir_option
def backup_command(folder: Path, data_dir: Path | None) -> None:
    """Write rows and files into FOLDER, while the service and its jobs go on."""
    settings = read_settings(data_dir)
    from ganvas.backup import write_backup

    _run(write_backup, settings, folder)
    click.echo(f"The backup is in {folder}.")


@click.command()
@folder_argument
@data_dir_option
def restore_command(folder: Path, data_dir: Path | None) -> None:
    """Fill an empty service with the backup in FOLDER; stop the service before."""
    settings = read_settings(data_dir)
    from ganvas.backup import read_backup

    _run(read_backup, settings, folder)
    click.echo("Restored. Jobs that ran resume from their checkpoints once a worker claims them.")


def _run(command: "Callable[[Settings, Path, Say], None]", settings: "Settings", folder: Path) -> None:
    """Run either; progress goes to stderr."""
    from ganvas.backup import BackupInvalid

    try:
        command(settings, folder, lambda line: click.echo(line, err=True))
    except BackupInvalid as error:
        raise click.ClickException(str(error)) from None
