"""Rows of a backup: one JSON object a line, compressed, with the columns that the database has at any revision."""

import base64
import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Column, Connection, DateTime, LargeBinary, MetaData, Select, Table, func, select
from sqlalchemy.orm import Session

from api.server.database.models import Base, Delivery, Login
from ganvas.backup.manifest import CHUNK_BYTES, BackupInvalid, TableFacts, read_lines, table_path

ROWS_AT_ONCE = 500
# The default would take three times as long for a twentieth less.
_COMPRESSION = 5
# Rows are only added, with rising ids, and deleted with their job: what a backup has need not be read again.
GROWING = ("event_batches", "log_lines")


def find_tables(connection: Connection) -> list[Table]:
    """Return the tables as the database has them, each after those that it refers to; without logins and posts."""
    metadata = MetaData()
    # People log in anew, and a service that was restored does not announce what another one has announced.
    known = set(Base.metadata.tables) - {Login.__tablename__, Delivery.__tablename__}
    metadata.reflect(connection, only=lambda name, _: name in known)
    return [table for table in metadata.sorted_tables if table.name in known]


def write_table(session: Session, table: Table, folder: Path) -> TableFacts:
    """Write all rows of a table, in the order of its key."""
    with durable_file(table_path(folder, table.name)) as file:
        digest = hashlib.sha256()
        rows, last_id = _write_rows(session, table, _ordered(table), file, digest)
    return TableFacts(rows=rows, sha256=digest.hexdigest(), last_id=last_id)


def extend_table(
    session: Session, table: Table, folder: Path, previous: Path, facts: TableFacts
) -> TableFacts | None:
    """Write a growing table as the previous backup has it and what came since; None if it has to be written anew.

    Compressed rows are appended to the previous file's: together they are read as one.
    """
    if table.name not in GROWING or facts.last_id is None:
        return None
    old, new = table_path(previous, table.name), table_path(folder, table.name)
    kept = select(func.count()).select_from(table).where(table.c.id <= facts.last_id)
    if session.scalar(kept) != facts.rows:
        return None
    if not session.scalar(select(func.max(table.c.id))) > facts.last_id:
        link_or_copy(old, new)
        return facts
    digest = hashlib.sha256()
    try:
        for line in read_lines(old):
            digest.update(line)
    except BackupInvalid:
        return None
    if digest.hexdigest() != facts.sha256:
        return None
    with durable_file(new) as file:
        with old.open("rb") as source:
            while chunk := source.read(CHUNK_BYTES):
                file.write(chunk)
        later = _ordered(table).where(table.c.id > facts.last_id)
        rows, last_id = _write_rows(session, table, later, file, digest)
    return TableFacts(rows=facts.rows + rows, sha256=digest.hexdigest(), last_id=last_id)


def read_rows(table: Table, folder: Path, revision: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a table, some at a time; raises BackupInvalid where its columns are others."""
    rows: list[dict[str, Any]] = []
    for line in read_lines(table_path(folder, table.name)):
        cells: dict[str, Any] = json.loads(line)
        try:
            rows.append({name: _decode(table.columns[name], value) for name, value in cells.items()})
        except (KeyError, TypeError, ValueError) as error:
            path = table_path(folder, table.name)
            raise BackupInvalid(f"{path} does not fit tables of revision {revision}: {error}") from None
        if len(rows) == ROWS_AT_ONCE:
            yield rows
            rows = []
    if rows:
        yield rows


def link_or_copy(source: Path, target: Path) -> None:
    """Make the same file appear at `target`, as a link where the disk has links."""
    try:
        os.link(source, target)
    except OSError:
        with durable_file(target) as file, source.open("rb") as original:
            shutil.copyfileobj(original, file)


@contextmanager
def durable_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing; at the end of the block its bytes are on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _ordered(table: Table) -> Select[Any]:
    return select(table).order_by(*table.primary_key.columns)


def _write_rows(
    session: Session, table: Table, query: Select[Any], file: BinaryIO, digest: "hashlib._Hash"
) -> tuple[int, int | None]:
    """Append rows; returns their number, and the last id of a growing table."""
    rows, last_id = 0, None
    # The time in a gzip header would give the same rows other bytes.
    with gzip.GzipFile(fileobj=file, filename="", mode="wb", compresslevel=_COMPRESSION, mtime=0) as compressed:
        for row in session.execute(query.execution_options(yield_per=ROWS_AT_ONCE)):
            cells = {column.name: _encode(row._mapping[column]) for column in table.columns}
            line = json.dumps(cells).encode() + b"\n"
            compressed.write(line)
            digest.update(line)
            rows += 1
            last_id = cells["id"] if table.name in GROWING else None
    return rows, last_id


def _encode(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        # SQLite keeps none of the zone.
        return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    return value


def _decode(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, LargeBinary):
        return base64.b64decode(value)
    return datetime.fromisoformat(value).astimezone(UTC) if isinstance(column.type, DateTime) else value
