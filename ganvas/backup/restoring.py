"""Restores a backup into an empty service, after a check of all that it holds."""

from pathlib import Path

from sqlalchemy import Table, func, insert, select, text
from sqlalchemy.orm import Session

from api.artifacts.storage import Blobs
from api.attempts.claims import end_attempt
from api.errors import ArtifactRefused
from api.server.database.engine import HEAD_REVISION, Database, build_database, find_revision, migrate
from api.server.database.models import Base, Job
from api.server.http.schemas import Reason
from api.server.services import build_blobs
from api.server.settings import Settings
from ganvas.backup.manifest import CHUNK_BYTES, BackupInvalid, Say, blob_path, list_files, verify_backup
from ganvas.backup.rows import find_tables, read_rows


def read_backup(settings: Settings, folder: Path, say: Say) -> None:
    """Restore a backup into an empty service; raises BackupInvalid, and then no row was written.

    Attempts that ran while the backup was made count as lost: their jobs are queued again and resume from their
    checkpoints, and workers that still run them are refused.
    """
    manifest = verify_backup(folder, say)
    database = build_database(settings)
    try:
        _refuse_filled(database)
        blobs = build_blobs(settings)
        names = list_files(folder, manifest)
        for index, name in enumerate(names):
            _copy_in(blobs, folder, name)
            if index and index % 1000 == 0:
                say(f"{index:,} of {len(names):,} files restored")
        say(f"{len(names):,} files restored, each with its sha256")
        if manifest.lost:
            say(f"WARNING: {len(manifest.lost):,} files were lost before the backup was made.")
        # Rows of an earlier version go into that version's tables, and its migrations then change them.
        migrate(database.engine, manifest.revision)
        with database.write() as session:
            tables = find_tables(session.connection())
            rows = sum(_read_table(session, table, folder, manifest.revision) for table in tables)
            _set_sequences(session)
        migrate(database.engine)
        _end_running(database)
        say(f"{rows:,} rows restored")
    finally:
        database.close()


def _copy_in(blobs: Blobs, folder: Path, name: str) -> None:
    path = blob_path(folder, name)
    writer = blobs.begin(name)
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                writer.write(chunk)
        writer.commit()
    except ArtifactRefused:
        raise BackupInvalid(f"{path} is damaged: its bytes have another sha256 than its name.") from None
    finally:
        writer.abort()


def _refuse_filled(database: Database) -> None:
    revision = find_revision(database.engine)
    if revision is None:
        return
    if revision != HEAD_REVISION:
        migrate(database.engine)
    with database.read() as session:
        jobs = session.scalar(select(func.count()).select_from(Job))
    if jobs:
        raise BackupInvalid(
            f"This service has {jobs:,} jobs already; a backup is restored into an empty one: choose another "
            "--data-dir, or an empty database."
        )


def _read_table(session: Session, table: Table, folder: Path, revision: str) -> int:
    """Insert the rows of a table; returns how many."""
    count = 0
    for rows in read_rows(table, folder, revision):
        session.execute(insert(table), rows)
        count += len(rows)
    return count


def _set_sequences(session: Session) -> None:
    """Make PostgreSQL continue after the restored ids; SQLite does so by itself."""
    if session.get_bind().dialect.name != "postgresql":
        return
    for table in Base.metadata.sorted_tables:
        counted = table.autoincrement_column
        if counted is not None:
            # A sequence begins at 1, though a row with the id 0 may be there.
            query = "SELECT setval(pg_get_serial_sequence(:table, :column), max({0})) FROM {1} WHERE {0} > 0"
            names = {"table": table.name, "column": counted.name}
            # Both names come from our own models, not from input.
            session.execute(text(query.format(counted.name, table.name)), names)


def _end_running(database: Database) -> None:
    reason = Reason(code="attempt_lost", message="The service was restored from a backup while this attempt ran.")
    with database.write() as session:
        for job in session.scalars(select(Job).where(Job.state == "running")).all():
            end_attempt(session, job, "lost", reason)
