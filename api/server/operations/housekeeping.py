"""Housekeeping: deleted jobs whose days are over, files that nothing names, and the space that both leave.

What is due is known from the database's clock, so a service that is started now and then purges as much as one
that never stops.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import exists, select

from api.artifacts import queries as artifact_queries
from api.artifacts.storage import Blobs
from api.server.database.engine import Database
from api.server.database.models import Job
from api.server.database.space import return_space
from api.server.files import written_whole

logger = logging.getLogger(__name__)
DAY_SECONDS = 86_400.0
# Files that were put and never named.
ORPHAN_SECONDS = DAY_SECONDS
RECORD = "housekeeping.json"
_NAMES_AT_ONCE = 500


@dataclass(frozen=True)
class Returned:
    """What was removed: jobs, files and their bytes, and bytes of the database's file."""

    jobs: int = 0
    files: int = 0
    file_bytes: int = 0
    database_bytes: int = 0

    def __add__(self, other: "Returned") -> "Returned":
        """Return the sum."""
        return Returned(*(one + another for one, another in zip(self._counts(), other._counts(), strict=True)))

    def __str__(self) -> str:
        database = f" and {self.database_bytes:,} bytes of the database" if self.database_bytes else ""
        return f"{self.jobs:,} jobs, {self.files:,} files of {self.file_bytes:,} bytes{database}"

    def _counts(self) -> tuple[int, int, int, int]:
        return self.jobs, self.files, self.file_bytes, self.database_bytes


class Housekeeping:
    """All that a service tidies up; `run` is one round, and `stop` ends one early."""

    def __init__(self, database: Database, blobs: Blobs, home: Path, kept_seconds: float) -> None:
        self._database = database
        self._blobs = blobs
        self._home = home
        self._kept_seconds = kept_seconds
        self._stopping = threading.Event()
        self._listed_at = float("-inf")

    def run(self) -> Returned:
        """Purge what is due, delete what nothing names, return the space; a part that fails is logged.

        The record of it is what `ganvas doctor` shows.
        """
        returned = Returned()
        for part in (self._purge, self._delete_orphans, self._delete_unnamed, self._sweep, self._return_space):
            if self._stopping.is_set():
                break
            try:
                returned += part()
            except Exception:
                # One part, such as a store that is away, must not keep the others from their work.
                logger.exception("A part of the housekeeping failed; it is tried again in an hour.")
        if returned != Returned():
            logger.warning("Housekeeping removed %s.", returned)
        try:
            write_record(self._home, returned)
        except OSError:
            # On a full disk, what was removed counts more than its record.
            logger.exception("The record of the housekeeping could not be written.")
        return returned

    def stop(self) -> None:
        """Let a round that runs end soon."""
        self._stopping.set()

    def _purge(self) -> Returned:
        return purge_deleted_jobs(self._database, self._blobs, self._kept_seconds, self._stopping.is_set)

    def _delete_orphans(self) -> Returned:
        with self._database.read() as session:
            orphans = artifact_queries.list_orphans(session, ORPHAN_SECONDS)
        return delete_unused_blobs(self._database, self._blobs, orphans)

    def _delete_unnamed(self) -> Returned:
        # Once a day: this lists every file.
        if time.monotonic() - self._listed_at < DAY_SECONDS:
            return Returned()
        self._listed_at = time.monotonic()
        return delete_unnamed_blobs(self._database, self._blobs, ORPHAN_SECONDS)

    def _sweep(self) -> Returned:
        self._blobs.sweep(ORPHAN_SECONDS)
        return Returned()

    def _return_space(self) -> Returned:
        return Returned(database_bytes=return_space(self._database, self._is_quiet, self._stopping.is_set))

    def _is_quiet(self) -> bool:
        """Return whether no job runs, so that nobody writes for some seconds."""
        with self._database.read() as session:
            return not session.scalar(select(exists().where(Job.state == "running")))


def purge_deleted_jobs(
    database: Database, blobs: Blobs, kept_seconds: float, should_stop: Callable[[], bool] = lambda: False
) -> Returned:
    """Delete the records of all jobs that were deleted longer ago than this; one job a transaction."""
    returned = Returned()
    with database.read() as session:
        if not session.scalar(select(exists().where(Job.deleted_at.is_not(None)))):
            return returned
    # Loaded when there is a deleted job: an idle service does without jobs' specs and schemas.
    from api.jobs import edits

    while True:
        with database.read() as session:
            job_ids = edits.list_purgeable(session, kept_seconds)
        for job_id in job_ids:
            if should_stop():
                return returned
            with database.write() as session:
                names = edits.purge_job(session, job_id, kept_seconds)
            returned += replace(delete_unused_blobs(database, blobs, names), jobs=1)
            logger.info("The deleted job %s and the files that only it used were removed.", job_id)
        if not job_ids:
            return returned


def delete_unused_blobs(database: Database, blobs: Blobs, names: Iterable[str]) -> Returned:
    """Delete rows and files of those of these artifacts that nothing refers to; failures are logged, not raised.

    The row goes first, in a transaction of its own: whatever fails then, no row is left without its file.
    """
    returned = Returned()
    for name in names:
        try:
            with database.write() as session:
                size = artifact_queries.delete_unused_artifact(session, name)
            if size is not None and _delete_blob(database, blobs, name):
                returned += Returned(files=1, file_bytes=size)
        except Exception:
            logger.exception("The file %s could not be deleted.", name)
    return returned


def delete_unnamed_blobs(database: Database, blobs: Blobs, older_than_seconds: float) -> Returned:
    """Delete files without a row that are older than this, as a crash leaves between a file and its row."""
    returned = Returned()
    for listed in _in_parts(blobs.list_older(older_than_seconds)):
        with database.read() as session:
            named = artifact_queries.list_known(session, listed)
        for name in listed.keys() - named:
            if _delete_blob(database, blobs, name):
                returned += Returned(files=1, file_bytes=listed[name])
    return returned


def _in_parts(files: Iterator[tuple[str, int]]) -> Iterator[dict[str, int]]:
    while part := dict(islice(files, _NAMES_AT_ONCE)):
        yield part


def _delete_blob(database: Database, blobs: Blobs, name: str) -> bool:
    """Delete a file that has no row; returns False if it has one again.

    A row that is never committed holds the name meanwhile: a concurrent upload of the same bytes waits for it, and
    then finds the file missing (see `api.artifacts.routes`).
    """
    with database.engine.connect() as connection, connection.begin() as transaction:
        is_free = artifact_queries.hold_name(connection, name)
        if is_free:
            blobs.delete(name)
        transaction.rollback()
    return is_free


def write_record(home: Path, returned: Returned) -> None:
    """Record a round: when it was, and what the last one that removed something removed."""
    if not home.is_dir():
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    record = read_record(home) | {"ran_at": now}
    if returned != Returned():
        record |= {"returned_at": now, "returned": asdict(returned)}
    with written_whole(home / RECORD) as file:
        file.write(json.dumps(record).encode())


def read_record(home: Path) -> dict[str, Any]:
    """Return the record; empty where there is none that can be read."""
    try:
        record = json.loads((home / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
