"""Backups: every row, and every file that a row names, in one folder, made while jobs run.

    manifest.json             format, revision of the tables, time, rows and sha256 of each table, files left out
    tables/<table>.jsonl.gz   one row a line
    blobs/<ab>/<sha256>       the files

The rows are a snapshot. Files never change, so they are copied afterwards; one that is deleted meanwhile, for a
newer checkpoint, is listed as left out. The format does not depend on the database: a backup of SQLite can be
restored into PostgreSQL, and one of a local folder into a bucket.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Column, LargeBinary, Table, column, func, insert, select, text
from sqlalchemy import table as table_of
from sqlalchemy.orm import Session

from api.artifacts.storage import Blobs
from api.attempts.claims import end_attempt
from api.errors import ArtifactRefused
from api.server.database.engine import HEAD_REVISION, Database, build_database, migrate
from api.server.database.models import Artifact, Base, Job, Login, UtcDateTime
from api.server.http.schemas import Reason
from api.server.services import build_blobs
from api.settings import Settings

FORMAT = 1
# Backups of this revision of the tables and all later ones can be restored.
OLDEST_REVISION = "0009"
MANIFEST = "manifest.json"
ROWS_AT_ONCE = 500
CHUNK_BYTES = 1_048_576
# Logins are left out: people log in anew.
TABLES = [table for table in Base.metadata.sorted_tables if table.name != Login.__tablename__]
Say = Callable[[str], None]


class BackupInvalid(Exception):
    """The folder is not a backup, is damaged, or is of another version; the message says which."""


def write_backup(settings: Settings, folder: Path, say: Say) -> None:
    """Write a backup into a new or empty folder; raises BackupInvalid for another one.

    The manifest is written last: a folder without it is not a backup.
    """
    if folder.exists() and any(folder.iterdir()):
        raise BackupInvalid(f"{folder} is not empty; choose a new folder.")
    (folder / "tables").mkdir(parents=True)
    database = build_database(settings)
    try:
        migrate(database.engine)
        with database.read() as session:
            tables = {table.name: _write_table(session, table, folder) for table in TABLES}
            names = list(session.scalars(select(Artifact.sha256)))
        say(f"{sum(facts['rows'] for facts in tables.values()):,} rows written")
        left_out = _copy_out(build_blobs(settings), names, folder, say)
    finally:
        database.close()
    manifest = {
        "format": FORMAT,
        "revision": HEAD_REVISION,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "tables": tables,
        "files": len(names) - len(left_out),
        "left_out": left_out,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")


def read_backup(settings: Settings, folder: Path, say: Say) -> None:
    """Restore a backup into an empty service; raises BackupInvalid, and then no row was written.

    Attempts that ran while the backup was made count as lost: their jobs are queued again and resume from their
    checkpoints, and workers that still run them are refused.
    """
    manifest = _read_manifest(folder)
    database = build_database(settings)
    try:
        migrate(database.engine)
        _refuse_filled(database)
        blobs = build_blobs(settings)
        for path in sorted((folder / "blobs").glob("*/*")):
            _copy_in(blobs, path)
        say(f"{manifest['files']:,} files restored")
        # Rows of an earlier version go into that version's tables, and its migrations then change them.
        migrate(database.engine, manifest["revision"])
        with database.write() as session:
            for table in TABLES:
                _read_table(session, table, folder)
            _set_sequences(session)
        migrate(database.engine)
        _end_running(database)
        say(f"{sum(facts['rows'] for facts in manifest['tables'].values()):,} rows restored")
    finally:
        database.close()


def _write_table(session: Session, table: Table, folder: Path) -> dict[str, Any]:
    digest, rows = hashlib.sha256(), 0
    # The time in a gzip header would give the same rows other bytes.
    with gzip.GzipFile(_table_path(folder, table), "wb", mtime=0) as file:
        order = list(table.primary_key.columns)
        for row in session.execute(select(table).order_by(*order).execution_options(yield_per=ROWS_AT_ONCE)):
            cells = {column.name: _encode(row._mapping[column]) for column in table.columns}
            line = json.dumps(cells).encode() + b"\n"
            file.write(line)
            digest.update(line)
            rows += 1
    return {"rows": rows, "sha256": digest.hexdigest()}


def _encode(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, datetime) else value


def _decode(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, LargeBinary):
        return base64.b64decode(value)
    return datetime.fromisoformat(value) if isinstance(column.type, UtcDateTime) else value


def _copy_out(blobs: Blobs, names: list[str], folder: Path, say: Say) -> list[str]:
    left_out = []
    for index, name in enumerate(names, start=1):
        path = folder / "blobs" / name[:2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with blobs.open(name) as source, path.open("wb") as target:
                while chunk := source.read(CHUNK_BYTES):
                    target.write(chunk)
        except FileNotFoundError:
            left_out.append(name)
        if index % 1000 == 0:
            say(f"{index:,} of {len(names):,} files copied")
    return left_out


def _copy_in(blobs: Blobs, path: Path) -> None:
    try:
        writer = blobs.begin(path.name)
    except ValueError as error:
        raise BackupInvalid(f"{path} is not a file of a backup: {error}") from None
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                writer.write(chunk)
        writer.commit()
    except ArtifactRefused:
        raise BackupInvalid(f"{path} is damaged: its bytes have another sha256 than its name.") from None
    finally:
        writer.abort()


def _read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest after checking every table against its sha256."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise BackupInvalid(f"{folder} is not a complete backup: it has no readable {MANIFEST}.") from None
    revision = str(manifest.get("revision"))
    if manifest.get("format") != FORMAT or not OLDEST_REVISION <= revision <= HEAD_REVISION:
        raise BackupInvalid(
            f"{folder} was made by a version whose tables have revision {revision}; this one restores "
            f"{OLDEST_REVISION} to {HEAD_REVISION}. Restore it with that version, then start this one: "
            "it migrates the tables."
        )
    for table in TABLES:
        digest = hashlib.sha256()
        for line in _lines(folder, table):
            digest.update(line)
        if digest.hexdigest() != manifest["tables"].get(table.name, {}).get("sha256"):
            raise BackupInvalid(f"{_table_path(folder, table)} is damaged: its rows do not match the manifest.")
    return manifest


def _lines(folder: Path, table: Table) -> Iterator[bytes]:
    try:
        with gzip.open(_table_path(folder, table), "rb") as file:
            yield from file
    except (OSError, EOFError) as error:
        raise BackupInvalid(f"{_table_path(folder, table)} cannot be read: {error}") from None


def _refuse_filled(database: Database) -> None:
    with database.read() as session:
        jobs = session.scalar(select(func.count()).select_from(Job))
    if jobs:
        raise BackupInvalid(
            f"This service has {jobs:,} jobs already; a backup is restored into an empty one: choose another "
            "--data-dir, or an empty database."
        )


def _read_table(session: Session, table: Table, folder: Path) -> None:
    columns = {column.name: column for column in table.columns}
    rows: list[dict[str, Any]] = []

    def write_rows() -> None:
        # The columns that the backup has, and no others: its tables may be of an earlier version.
        present = [column(name, columns[name].type) for name in rows[0]]
        session.execute(insert(table_of(table.name, *present)), rows)
        rows.clear()

    for line in _lines(folder, table):
        cells: dict[str, Any] = json.loads(line)
        rows.append({name: _decode(columns[name], value) for name, value in cells.items()})
        if len(rows) == ROWS_AT_ONCE:
            write_rows()
    if rows:
        write_rows()


def _set_sequences(session: Session) -> None:
    """Make PostgreSQL continue after the restored ids; SQLite does so by itself."""
    if session.get_bind().dialect.name != "postgresql":
        return
    for table in TABLES:
        counted = table.autoincrement_column
        if counted is not None:
            query = "SELECT setval(pg_get_serial_sequence(:table, :column), max({0})) FROM {1}"
            names = {"table": table.name, "column": counted.name}
            # Both names come from our own models, not from input.
            session.execute(text(query.format(counted.name, table.name)), names)


def _end_running(database: Database) -> None:
    reason = Reason(code="attempt_lost", message="The service was restored from a backup while this attempt ran.")
    with database.write() as session:
        for job in session.scalars(select(Job).where(Job.state == "running")).all():
            end_attempt(session, job, "lost", reason)


def _table_path(folder: Path, table: Table) -> Path:
    return folder / "tables" / f"{table.name}.jsonl.gz"
