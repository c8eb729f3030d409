"""Reads revision and job counts of a SQLite database without SQLAlchemy, whose import is slower than a start."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

# The newest revision below migrations/versions; a test compares the two.
HEAD_REVISION = "0015"
_BUSY_SECONDS = 1.0


@dataclass(frozen=True)
class Status:
    """The revision of the tables, and how many jobs each state has."""

    revision: str
    jobs: dict[str, int]


def read_status(path: Path) -> Status | None:
    """Read the status of a database file; None where that fails, such as before the tables exist."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", timeout=_BUSY_SECONDS, uri=True)) as connection:
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            jobs = connection.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall()
    except sqlite3.Error:
        return None
    return Status(revision[0], dict(jobs)) if revision else None
