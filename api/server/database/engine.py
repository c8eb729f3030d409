"""The database: engine, write and read transactions, and bringing the tables up to date."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, Engine, Insert, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from api.settings import Settings

# The newest revision below migrations/versions; a test holds the two together.
HEAD_REVISION = "0009"
_BUSY_SECONDS = 30.0
_READ_ONLY = "ganvas_read_only"
# Any fixed number: it names the lock that lets one process migrate at a time.
_MIGRATION_LOCK = 0x67616E766173


class TablesUnfit(Exception):
    """The service does not start with these tables."""


class TablesOutdated(TablesUnfit):
    """The tables are older than this version needs, and it may not change them."""

    def __init__(self, revision: str | None) -> None:
        found = f"are of revision {revision}" if revision else "are not there yet"
        super().__init__(
            f"The database's tables {found}, this version needs {HEAD_REVISION}, and with GANVAS_MIGRATE=false it "
            "leaves them alone: run `ganvas migrate` first."
        )


class TablesTooNew(TablesUnfit):
    """A newer version has changed the tables."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"The database's tables are of revision {revision}, made by a newer version of Ganvas; this one knows "
            f"them up to {HEAD_REVISION}. Start that version, or restore a backup from before."
        )


class Database:
    """The engine and its two kinds of transaction.

    `write()` commits at its end; on SQLite it holds the only write lock from its beginning. `read()` sees one
    moment of the database, however many queries it makes.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        options: dict[str, Any] = {_READ_ONLY: True}
        if engine.dialect.name == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._write = sessionmaker(engine, expire_on_commit=False)
        self._read = sessionmaker(engine.execution_options(**options), expire_on_commit=False)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that writes."""
        with self._write.begin() as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One transaction that only reads."""
        with self._read.begin() as session:
            yield session

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()


def build_engine(settings: Settings) -> Engine:
    """Build the engine for the settings' database; the state folder is made when SQLite lies there."""
    url = make_url(settings.sqlalchemy_url)
    if url.get_backend_name() == "sqlite":
        settings.home.expanduser().mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    # A server whose encoding is SQL_ASCII would answer bytes instead of texts.
    encoding = {"client_encoding": "utf8"}
    return create_engine(url, connect_args=encoding, pool_pre_ping=True, pool_size=20, max_overflow=20)


def build_database(settings: Settings) -> Database:
    """Build the database for the settings."""
    return Database(build_engine(settings))


def insert_into(session: Session, table: type[DeclarativeBase]) -> Any:
    """Return this database's INSERT, which knows ON CONFLICT."""
    return insert_for(dialect_name(session), table)


def insert_for(dialect: str, table: type[DeclarativeBase]) -> Any:
    """Return the same for the database of this name."""
    # SQLAlchemy's PostgreSQL is large, and loaded where there is one.
    statement: Insert = import_module(f"sqlalchemy.dialects.{dialect}").insert(table)
    return statement


def dialect_name(session: Session) -> str:
    """Return which database this is: `sqlite` or `postgresql`."""
    return session.get_bind().dialect.name


def migrate(engine: Engine) -> None:
    """Bring the tables up to date; two processes may do so at once."""
    if find_revision(engine) == HEAD_REVISION:
        return
    # Alembic is only loaded when there is something to do: it would double the time of a start.
    from alembic import command

    from api.server.database.migrations import build_config

    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        command.upgrade(build_config(connection), "head")


def prepare_tables(engine: Engine, settings: Settings) -> None:
    """Bring the tables up to date or, with GANVAS_MIGRATE=false, look whether they are.

    Raises TablesOutdated and TablesTooNew.
    """
    revision = find_revision(engine)
    if revision is not None and revision > HEAD_REVISION:
        raise TablesTooNew(revision)
    if settings.migrate:
        migrate(engine)
    elif revision != HEAD_REVISION:
        raise TablesOutdated(revision)


def check_tables(settings: Settings) -> None:
    """Prepare the tables of the settings' database with an engine of its own; raises as `prepare_tables` does."""
    engine = build_engine(settings)
    try:
        prepare_tables(engine, settings)
    finally:
        engine.dispose()


def find_revision(engine: Engine) -> str | None:
    """Return the revision of the tables, None where there are none yet."""
    with engine.connect().execution_options(**{_READ_ONLY: True}) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver must not begin transactions by itself: _begin_sqlite says which kind is wanted.
    connection.isolation_level = None
    for pragma in ("synchronous=FULL", "foreign_keys=ON", f"busy_timeout={int(_BUSY_SECONDS * 1000)}"):
        connection.execute(f"PRAGMA {pragma}")
    _switch_to_wal(connection)


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # The very first switch takes a lock for which SQLite does not wait.
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get(_READ_ONLY, False)
    # A deferred transaction that turns to writing may fail at once; an immediate one waits for its turn.
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
