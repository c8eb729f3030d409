"""A database in memory with a clock that can be set, emptied for each seed."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.pool import StaticPool

from api.server.database import engine as engines
from api.server.database.engine import Database
from tests.support.servers import read_migrated

BEGINS_AT = datetime(2026, 1, 1, tzinfo=UTC)


class Laboratory:
    """One SQLite database, used as the service uses it.

    wall: what the database believes the time to be.
    """

    def __init__(self) -> None:
        self.wall = BEGINS_AT
        engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        event.listen(engine, "connect", self._set_up)
        event.listen(engine, "begin", engines._begin_sqlite)
        self.database = Database(engine)
        self._connection: Any = None
        self._empty = bytearray(read_migrated())
        # A database in memory has no write-ahead log.
        self._empty[18:20] = b"\1\1"

    def empty(self) -> None:
        """Begin anew with tables that hold nothing."""
        self.wall = BEGINS_AT
        self.database.engine.connect().close()
        self._connection.deserialize(bytes(self._empty))

    def read(self, query: str) -> list[tuple[Any, ...]]:
        """Read past SQLAlchemy, which takes many times as long."""
        rows: list[tuple[Any, ...]] = self._connection.execute(query).fetchall()
        return rows

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def _set_up(self, connection: Any, _: object) -> None:
        self._connection = connection
        connection.isolation_level = None
        connection.create_function("strftime", 3, self._strftime)

    def _strftime(self, form: str, now: str, plus: str) -> str:
        # No two moments are the same.
        self.wall += timedelta(milliseconds=1)
        return (self.wall + timedelta(seconds=float(plus.split()[0]))).strftime("%Y-%m-%d %H:%M:%S.%f")
