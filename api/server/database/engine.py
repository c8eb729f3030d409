"""The database: engine, write and read transactions, and migrations at start."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Insert, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from api.errors import ServiceUnavailable, StorageFull
from api.server.database.status import HEAD_REVISION as HEAD_REVISION
from api.server.files import make_private, make_private_file
from api.server.settings import Settings
from ganlib.spec.storable import replace_all

_BUSY_SECONDS = 30.0
# Threads that answer the calls of MLflow's clients, beside the service's 40.
MLFLOW_THREADS = 8
# A connection for each thread, so that none waits for one that a slow reader holds.
_POOL: dict[str, Any] = {"pool_size": 20, "max_overflow": 20 + MLFLOW_THREADS}
_READ_ONLY = "ganvas_read_only"
# In a session's info: whether messages to a webhook are stored.
HAS_WEBHOOK = "ganvas_has_webhook"
# What one large transaction took of the disk for its log is returned down to this.
_MOST_LOG_BYTES = 64 * 1024**2
# Any fixed number: it names the lock that lets one process migrate at a time.
_MIGRATION_LOCK = 0x67616E766173


class TablesUnfit(Exception):
    """The service cannot start with these tables."""


class TablesOutdated(TablesUnfit):
    """The tables are older than this version needs, and may not be migrated now; why: what forbids it."""

    def __init__(self, revision: str | None, why: str = "GANVAS_MIGRATE=false forbids migrating at start") -> None:
        state = f"have revision {revision}" if revision else "do not exist yet"
        super().__init__(
            f"The database's tables {state}, but this version needs revision {HEAD_REVISION}, and {why}; "
            "run `ganvas migrate` first."
        )


class TablesTooNew(TablesUnfit):
    """A newer version has migrated the tables."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"The database's tables have revision {revision}, which a newer version of Ganvas made; this version "
            f"supports revisions up to {HEAD_REVISION}. Start the newer version, or restore a backup from "
            "before the upgrade into an empty folder or database (`ganvas restore`)."
        )


class DatabaseGone(ServiceUnavailable):
    """SQLite's file was deleted, moved or replaced under a running service, which would write on in vain."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            f"The database {file} was deleted, moved or replaced while the service ran, so nothing is stored any "
            "more. Stop the service, put the file back or restore a backup, and start it again."
        )


class Database:
    """The engine and its two kinds of transaction.

    `write()` commits at its end; on SQLite it holds the only write lock from its beginning. All queries of one
    `read()` see the same snapshot of the database.
    """

    def __init__(
        self, engine: Engine, *, is_read_only: bool = False, has_webhook: bool = False, file: Path | None = None
    ) -> None:
        self.engine = engine
        self._file = file
        self._identity: tuple[int, int] | None = None
        self._is_read_only = is_read_only
        options: dict[str, Any] = {_READ_ONLY: True}
        if engine.dialect.name == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._write = sessionmaker(engine, expire_on_commit=False, info={HAS_WEBHOOK: has_webhook})
        self._read = sessionmaker(engine.execution_options(**options), expire_on_commit=False)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a transaction that writes; raises DatabaseGone, and StorageFull in a service that only reads."""
        if self._is_read_only:
            raise StorageFull(
                "This service only reads, because its disk was full when it started; "
                "free some space and start it again."
            )
        self._check_file()
        with self._write.begin() as session:
            yield session

    def _check_file(self) -> None:
        """Raise DatabaseGone where what is written now would be lost with this process."""
        if self._file is None:
            return
        try:
            found = self._file.stat()
        except OSError as error:
            # Before the first write a connection makes it.
            if self._identity is not None:
                raise DatabaseGone(self._file) from error
            return
        identity = (found.st_dev, found.st_ino)
        self._identity = self._identity or identity
        if identity != self._identity:
            raise DatabaseGone(self._file)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a transaction that only reads."""
        with self._read.begin() as session:
            yield session

    def close(self) -> None:
        """Close all connections; one that a thread still uses is closed when it is given back."""
        pool = self.engine.pool
        self.engine.dispose()
        # The pool that they go back to is nobody's any more, and would let them go without closing them.
        event.listen(pool, "checkin", lambda _, record: record.invalidate())


def build_engine(settings: Settings) -> Engine:
    """Build the engine for the settings' database; SQLite's folder is created if necessary."""
    url = make_url(settings.sqlalchemy_url)
    options: dict[str, Any] = {"json_deserializer": _read_json, **_POOL}
    if url.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": _BUSY_SECONDS, "check_same_thread": False}
        if settings.read_only and url.database:
            return _build_reader(Path(url.database), options)
        make_private(settings.home.expanduser())
        if settings.sqlite_path is not None:
            make_private_file(settings.sqlite_path)
        engine = create_engine(url, **options)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    # A server whose encoding is SQL_ASCII would return bytes instead of text.
    encoding = {"client_encoding": "utf8"}
    return create_engine(url, connect_args=encoding, pool_pre_ping=True, **options)


def _build_reader(path: Path, options: dict[str, Any]) -> Engine:
    """Build the engine of a SQLite file beside which nothing can be written, not even the index of its log."""
    log = Path(f"{path}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    # With a log that a crash has left, the index is kept in memory, which only one connection at a time can do.
    mode, pool = ("mode=rw", {"pool_size": 1, "max_overflow": 0}) if has_log else ("immutable=1", {})
    engine = create_engine(f"sqlite:///{path.as_uri()}?{mode}&uri=true", **options | pool)

    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in (*(("locking_mode=EXCLUSIVE",) if has_log else ()), "query_only=ON"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def build_database(settings: Settings) -> Database:
    """Build the database for the settings."""
    has_webhook = settings.webhook_url is not None
    engine = build_engine(settings)
    return Database(engine, is_read_only=settings.read_only, has_webhook=has_webhook, file=settings.sqlite_path)


def insert_into(session: Session, table: type[DeclarativeBase]) -> Any:
    """Return this database's INSERT, which supports ON CONFLICT."""
    return insert_for(dialect_name(session), table)


def insert_for(dialect: str, table: type[DeclarativeBase]) -> Any:
    """Return the INSERT of this dialect, which supports ON CONFLICT."""
    # SQLAlchemy's PostgreSQL dialect is large, so it is loaded only where it is used.
    statement: Insert = import_module(f"sqlalchemy.dialects.{dialect}").insert(table)
    return statement


def dialect_name(session: Session) -> str:
    """Return the name of the database: `sqlite` or `postgresql`."""
    return session.get_bind().dialect.name


def migrate(engine: Engine, to: str = HEAD_REVISION) -> None:
    """Migrate the tables to this version, or to another revision; two processes may do so at once.

    Raises TablesTooNew.
    """
    revision = find_revision(engine)
    if revision == to:
        return
    if revision is not None and revision > HEAD_REVISION:
        raise TablesTooNew(revision)
    # Alembic is only loaded when there is something to do: it would double the time of a start.
    from alembic import command

    from api.server.database.migrations import build_config

    with engine.connect() as connection, _without_foreign_keys(connection), connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        change = command.upgrade if revision is None or revision < to else command.downgrade
        change(build_config(connection), to)


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Let SQLite replace a table, of which Alembic makes a copy, without deleting the rows that refer to it."""
    driver: Any = connection.connection.driver_connection
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        # Outside of a transaction: inside it changes nothing.
        driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        if is_sqlite:
            driver.execute("PRAGMA foreign_keys=ON")


def prepare_tables(engine: Engine, settings: Settings) -> None:
    """Migrate the tables or, with GANVAS_MIGRATE=false, check that they are current.

    Raises TablesOutdated and TablesTooNew.
    """
    revision = find_revision(engine)
    if revision is not None and revision > HEAD_REVISION:
        raise TablesTooNew(revision)
    if settings.migrate and not settings.read_only:
        migrate(engine)
    elif revision != HEAD_REVISION:
        raise TablesOutdated(revision)


def require_tables(engine: Engine, settings: Settings) -> None:
    """Check that the tables are current, for a command beside a service; only a database without any gets them.

    Raises TablesOutdated and TablesTooNew.
    """
    revision = find_revision(engine)
    if revision is None or revision >= HEAD_REVISION:
        prepare_tables(engine, settings)
    else:
        raise TablesOutdated(revision, "a service of an earlier version may be running on them")


def check_not_newer(settings: Settings) -> None:
    """Raise TablesTooNew if a newer version has migrated the tables of the settings' database."""
    engine = build_engine(settings)
    try:
        revision = find_revision(engine)
    finally:
        engine.dispose()
    if revision is not None and revision > HEAD_REVISION:
        raise TablesTooNew(revision)


def check_tables(settings: Settings) -> None:
    """Prepare the tables of the settings' database with a separate engine; raises as `prepare_tables` does."""
    engine = build_engine(settings)
    try:
        prepare_tables(engine, settings)
    finally:
        engine.dispose()


def find_revision(engine: Engine) -> str | None:
    """Return the revision of the tables, None where they do not exist yet."""
    with engine.connect().execution_options(**{_READ_ONLY: True}) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _read_json(text: str | bytes) -> Any:
    """Read a JSON column; what an earlier version took though no text can hold it is replaced."""
    value = json.loads(text)
    escape = b"\\u" if isinstance(text, bytes) else "\\u"
    return replace_all(value) if escape in text else value  # type: ignore[operator]


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver must not begin transactions by itself: _begin_sqlite chooses their kind.
    connection.isolation_level = None
    for pragma in (
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={int(_BUSY_SECONDS * 1000)}",
        f"journal_size_limit={_MOST_LOG_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    if connection.execute("PRAGMA page_count").fetchone() == (0,):
        # Only before the first page is written; it would write into a database that exists. See `.space`.
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    _switch_to_wal(connection)


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # The first switch of a new database needs a lock for which SQLite does not wait.
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
    # A deferred transaction that starts to write may fail at once; an immediate one waits for the lock.
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
