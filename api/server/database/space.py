"""The space of SQLite's file: how much of it is free, and how free pages go back to the disk.

New databases keep track of their free pages (auto_vacuum=INCREMENTAL) and return them in small transactions. One
of an earlier version has to be written anew once (VACUUM), which holds up every writer meanwhile. PostgreSQL
reuses its space by itself.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from api.server.database.engine import Database

# So many pages a transaction, some 20 ms of the write lock.
_PAGES_AT_ONCE = 1000
_INCREMENTAL = 2
# A larger file is not written anew while the service runs: that takes some seconds, in which nobody can write.
MOST_BYTES_REWRITTEN = 256 * 1024**2
# Nor is one with less than a twentieth free.
_LEAST_FREE = 0.05


@dataclass(frozen=True)
class FileSpace:
    """Bytes of the file, bytes of it that hold nothing, and whether they can be returned a few at a time."""

    size: int
    free: int
    is_incremental: bool

    @property
    def is_worth_rewriting(self) -> bool:
        """Return whether enough is free to write an older file anew."""
        return self.free > self.size * _LEAST_FREE


def read_space(database: Database) -> FileSpace | None:
    """Return the space of SQLite's file; None on PostgreSQL."""
    if database.engine.dialect.name != "sqlite":
        return None
    with _driver_connection(database) as connection:
        return _read_space(connection)


def return_space(
    database: Database, may_block: Callable[[], bool], should_stop: Callable[[], bool] = lambda: False
) -> int:
    """Return free pages of SQLite's file to the disk, and how many bytes those are.

    may_block: whether every writer may wait for some seconds now. should_stop: asked between transactions.
    """
    before = read_space(database)
    if before is None or not before.free:
        return 0
    with _driver_connection(database) as connection:
        if before.is_incremental:
            _return_pages(connection, should_stop)
        elif before.is_worth_rewriting and _has_room(connection, before) and may_block():
            _rewrite(connection)
        _shorten(database, connection)
        return before.size - _read_space(connection).size


def _shorten(database: Database, connection: sqlite3.Connection) -> None:
    """Move what the log holds into the file, which becomes shorter only then."""
    # Nobody commits meanwhile: SQLite before 3.51.3 may damage a file whose log begins anew during a checkpoint.
    with database.write() as session:
        session.connection()
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def rewrite(database: Database) -> None:
    """Write the file anew without its free pages, however long that takes."""
    with _driver_connection(database) as connection:
        _rewrite(connection)
        _shorten(database, connection)


def _rewrite(connection: sqlite3.Connection) -> None:
    # From then on free pages are returned a few at a time.
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    connection.execute("VACUUM")


def _return_pages(connection: sqlite3.Connection, should_stop: Callable[[], bool]) -> None:
    free = _read_number(connection, "freelist_count")
    while free and not should_stop():
        # Each step frees a page, so all of them have to be taken.
        connection.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
        left = _read_number(connection, "freelist_count")
        if left >= free:
            break
        free = left


def _has_room(connection: sqlite3.Connection, space: FileSpace) -> bool:
    """Return whether the disk holds the file twice more: the new one passes through the log."""
    used = space.size - space.free
    path = Path(connection.execute("PRAGMA database_list").fetchone()[2])
    return used <= MOST_BYTES_REWRITTEN and shutil.disk_usage(path.parent).free > 2 * used


def _read_space(connection: sqlite3.Connection) -> FileSpace:
    page = _read_number(connection, "page_size")
    pages, free = (_read_number(connection, name) for name in ("page_count", "freelist_count"))
    return FileSpace(pages * page, free * page, _read_number(connection, "auto_vacuum") == _INCREMENTAL)


def _read_number(connection: sqlite3.Connection, pragma: str) -> int:
    number: int = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
    return number


@contextmanager
def _driver_connection(database: Database) -> Iterator[sqlite3.Connection]:
    """Return the driver's connection, outside of any transaction: VACUUM allows none."""
    pooled = database.engine.raw_connection()
    try:
        yield cast(sqlite3.Connection, pooled.driver_connection)
    finally:
        pooled.close()
