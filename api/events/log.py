"""The log of a job: event batches, whose row ids are the stream's event ids."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from pydantic_core import from_json
from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from api.events.watermark import announcement
from api.server.database.clock import database_now
from api.server.database.engine import dialect_name
from api.server.database.models import EventBatch, Job, LogLine


@dataclass(frozen=True)
class Batch:
    """Events that arrived together; `body` holds them packed."""

    id: int
    attempt: int | None
    body: bytes

    @property
    def events(self) -> list[dict[str, Any]]:
        """Events as they were posted: each a mapping with `event`, `at` and, if a worker sent it, `seq`.

        Unpacked on access, because that takes many times the memory of the body.
        """
        return unpack_body(self.body)


def pack_body(events_json: bytes) -> bytes:
    """Compress a JSON list of events."""
    return zlib.compress(events_json, 3)


def unpack_body(body: bytes) -> list[dict[str, Any]]:
    """Read the events of a batch."""
    # Twice as fast as the standard library, and it dominates reading a curve.
    events: list[dict[str, Any]] = from_json(zlib.decompress(body))
    return events


def insert_batch(session: Session, job_id: str, **columns: Any) -> int:
    """Store one batch and return its id.

    The caller has locked the job's row, so ids of one job rise in the order of commits; ids of several may not.
    """
    insert_row = _build_insert_for(dialect_name(session))
    batch_id: int = session.connection().execute(insert_row, {"job_id": job_id, **columns}).scalar_one()
    return batch_id


def build_insert(dialect: str, *, announces: bool) -> ReturningInsert[int]:
    """Return the INSERT of a batch, which on PostgreSQL announces its id before allocating it."""
    columns = (
        EventBatch.job_id,
        EventBatch.attempt,
        EventBatch.first_seq,
        EventBatch.last_seq,
        EventBatch.body,
    )
    values: dict[str, Any] = {column.key: bindparam(column.key, type_=column.type) for column in columns}
    values["created_at"] = database_now()
    row = insert(EventBatch).values(values)
    if dialect == "postgresql" and announces:
        row = insert(EventBatch).from_select(list(values), select(*values.values()).select_from(announcement()))
    return row.returning(EventBatch.id)


@cache
def _build_insert_for(dialect: str) -> ReturningInsert[int]:
    # Built once: see `api.attempts.leases`.
    return build_insert(dialect, announces=True)


def insert_service_events(session: Session, job: Job, *events: dict[str, Any], at: datetime | None = None) -> None:
    """Store events of the service itself, such as a change of state, so that streams send them.

    at: when they happened, where that was earlier; a run may have been recorded without the service.
    """
    now = session.execute(select(database_now())).scalar_one()
    at = now if at is None else min(at, now)
    body = json.dumps([{"at": at.isoformat(), "event": event} for event in events]).encode()
    for event in events:
        if event["kind"] == "line_logged":
            line = {name: event[name] for name in ("iteration", "level", "text")}
            session.execute(insert(LogLine).values(job_id=job.id, attempt=job.attempt, at=at, **line))
    batch_id = insert_batch(
        session,
        job.id,
        attempt=job.attempt or None,
        first_seq=None,
        last_seq=None,
        body=pack_body(body),
    )
    values = {"last_event_id": batch_id, "tail_batches": Job.tail_batches + 1}
    session.execute(update(Job).where(Job.id == job.id).values(values))
    session.refresh(job)


def log_line_event(job: Job, text: str, level: str = "info") -> dict[str, Any]:
    """Return the event that adds a line of the service to the job's log."""
    return {"kind": "line_logged", "iteration": job.iteration, "level": level, "text": text[:4000]}


def list_batches(session: Session, job_id: str, after: int, limit: int) -> list[Batch]:
    """Return the job's batches after this event id, in order."""
    columns = (EventBatch.id, EventBatch.attempt, EventBatch.body)
    query = select(*columns).where(EventBatch.job_id == job_id, EventBatch.id > after).order_by(EventBatch.id)
    rows: Sequence[Any] = session.execute(query.limit(limit)).all()
    return [Batch(*row) for row in rows]


def list_batch_ids(session: Session, after: int, watermark: int, limit: int) -> list[tuple[int, str]]:
    """Return (event id, job id) of every job's batches after this event id, up to the watermark, in order."""
    query = select(EventBatch.id, EventBatch.job_id).where(EventBatch.id > after, EventBatch.id <= watermark)
    return [(row.id, row.job_id) for row in session.execute(query.order_by(EventBatch.id).limit(limit))]


def list_changed_jobs(session: Session, after: int, watermark: int, limit: int) -> list[tuple[int, str]]:
    """Return (newest event id, job id) of the jobs with events between these ids, by event id."""
    newest = func.max(EventBatch.id).label("newest")
    query = select(newest, EventBatch.job_id).where(EventBatch.id > after, EventBatch.id <= watermark)
    rows = session.execute(query.group_by(EventBatch.job_id).order_by(newest).limit(limit))
    return [(row.newest, row.job_id) for row in rows]
