"""`ganvas migrate`, `backup` and `restore`: a service's tables and all their rows."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from ganvas.commands.options import data_dir_option, read_settings

if TYPE_CHECKING:
    from api.server.settings import Settings

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
@click.option(
    "--compact", is_flag=True, help="Return the free space of SQLite's file, too; stop the service before."
)
@data_dir_option
def migrate_command(wait_seconds: float, compact: bool, data_dir: Path | None) -> None:
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
    if compact:
        _compact(settings)
    blobs = build_blobs(settings)
    if isinstance(blobs, S3Blobs) and _wait_for("file store", blobs.make_bucket, wait_seconds):
        click.echo(f"The bucket of {settings.blobs_url} is made.")


def _compact(settings: "Settings") -> None:
    from api.server.database.engine import build_database
    from api.server.database.space import rewrite
    from ganvas.startup.local import HomeInUse, hold_home

    if settings.sqlite_path is None:
        raise click.ClickException("--compact is for SQLite; in PostgreSQL, VACUUM FULL does it.")
    before = settings.sqlite_path.stat().st_size
    try:
        with hold_home(settings.home.expanduser()):
            database = build_database(settings)
            try:
                rewrite(database)
            finally:
                database.close()
    except HomeInUse as error:
        raise click.ClickException(f"{error} Stop that one first.") from None
    click.echo(f"{before - settings.sqlite_path.stat().st_size:,} bytes of the database's file were returned.")


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
@click.option("--verify", is_flag=True, help="Check the backup in FOLDER instead, every row and file of it.")
@click.option(
    "--incremental",
    is_flag=True,
    help="Add a backup to a series in FOLDER; what did not change is linked to the one before.",
)
@click.option("--keep", type=click.IntRange(1), help="With --incremental: delete the oldest beyond so many.")
@data_dir_option
def backup_command(folder: Path, verify: bool, incremental: bool, keep: int | None, data_dir: Path | None) -> None:
    """Write rows and files into FOLDER, while the service and its jobs go on.

    Tables are written as they are, of any earlier version, and nothing is migrated: back up before an upgrade with
    the version before it or with the new one. The exit status is 1 where the store itself has lost files.
    """
    if verify and (incremental or keep is not None):
        raise click.UsageError("--verify goes with no other option.")
    if keep is not None and not incremental:
        raise click.UsageError("--keep needs --incremental.")
    settings = read_settings(data_dir)
    from ganvas.backup import find_backup, verify_backup, write_backup, write_increment

    with _telling_refusals():
        if verify:
            folder = find_backup(folder)
            manifest = verify_backup(folder, _say)
            click.echo(f"{folder} is whole: {manifest.row_count:,} rows, {manifest.files:,} files.")
            return
        if incremental:
            folder, manifest = write_increment(settings, folder, keep, _say)
        else:
            manifest = write_backup(settings, folder, _say)
    click.echo(f"The backup is in {folder}: {manifest.row_count:,} rows, {manifest.files:,} files.")
    if manifest.lost:
        raise click.exceptions.Exit(1)


@click.command()
@folder_argument
@data_dir_option
def restore_command(folder: Path, data_dir: Path | None) -> None:
    """Fill an empty service with the backup in FOLDER; stop the service before.

    Of a series the newest one is taken, unless one is named. All of it is checked first. Jobs that ran resume from
    their checkpoints.
    """
    settings = read_settings(data_dir)
    from ganvas.backup import find_backup, read_backup
    from ganvas.startup.local import HomeInUse, hold_home

    folder = find_backup(folder)
    try:
        with hold_home(settings.home.expanduser()), _telling_refusals():
            read_backup(settings, folder, _say)
    except HomeInUse as error:
        raise click.ClickException(f"{error} Stop that one first, or choose another --data-dir.") from None
    click.echo(f"Restored {folder}. Jobs that ran resume from their checkpoints once a worker claims them.")


def _say(line: str) -> None:
    click.echo(line, err=True)


@contextmanager
def _telling_refusals() -> Iterator[None]:
    """Turn what is wrong with a backup or with the tables into a sentence."""
    from api.server.database.engine import TablesUnfit
    from ganvas.backup import BackupInvalid

    try:
        yield
    except (BackupInvalid, TablesUnfit) as error:
        raise click.ClickException(str(error)) from None
