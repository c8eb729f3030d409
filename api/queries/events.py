"""Events from a worker: numbered, fenced, stored once, and applied to what lists and pages read."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from api.clock import database_now
from api.db import insert_into
from api.errors import ArtifactMissing, RequestInvalid, SequenceConflict
from api.models import Artifact, Attempt, Checkpoint, EventBatch, Job, LatestValue, LogLine, Sample
from api.queries.artifacts import require_artifacts, retire_checkpoints
from api.queries.attempts import hold_attempt
from api.queries.batches import insert_batch, pack_body
from api.queries.curves import fold_long_tail, latest_columns
from api.schemas import NumberedEvent
from ganlib.events import CheckpointSaved, LatentsFixed, LineLogged, MetricsLogged, SampleGridSaved

MAX_POINTS = 20_000
_DIGEST_BYTES = 8


@dataclass(frozen=True)
class Accepted:
    """The job after a batch, the number that is expected next, and checkpoints whose files may be deleted."""

    job: Job
    next_seq: int
    retired: list[str] = field(default_factory=list)


def insert_events(
    session: Session,
    job_id: str,
    attempt: int,
    events: Sequence[NumberedEvent],
    lease_seconds: float,
    checkpoints_kept: int = 2,
) -> Accepted:
    """Store a batch and apply it, all or nothing; a batch that is stored already changes nothing.

    Raises AttemptFenced, SequenceConflict (with `next_seq`), ArtifactMissing, and RequestInvalid for too many
    points.
    """
    _check_size(events)
    job = hold_attempt(session, job_id, attempt, lease_seconds)
    row = session.get_one(Attempt, (job_id, attempt))
    encoded = [event.model_dump_json().encode() for event in events]
    digests = [digest_event(item) for item in encoded]
    skipped = _count_stored(session, row, events, digests)
    if skipped == len(events):
        return Accepted(job, row.next_seq)
    new = events[skipped:]
    _check_iterations(job, new)
    retired = _apply(session, job, attempt, new, checkpoints_kept)
    _store(session, job, row, new, encoded[skipped:], digests[skipped:])
    fold_long_tail(session, job)
    return Accepted(job, row.next_seq, retired)


def digest_event(encoded: bytes) -> bytes:
    """Return the 8 bytes by which an event that comes again is compared."""
    return hashlib.sha256(encoded).digest()[:_DIGEST_BYTES]


def _check_size(events: Sequence[NumberedEvent]) -> None:
    points = sum(len(item.event.values) for item in events if isinstance(item.event, MetricsLogged))
    if points > MAX_POINTS:
        message = f"{points:,} points in one post are too many; at most {MAX_POINTS:,}"
        raise RequestInvalid(
            message, problems=[{"field": "events", "given": f"{points} points", "message": message}]
        )


def _check_iterations(job: Job, events: Sequence[NumberedEvent]) -> None:
    latest = max((item.event.iteration for item in events if not isinstance(item.event, LatentsFixed)), default=0)
    if latest > job.iterations:
        message = f"iteration {latest} is beyond the job's {job.iterations}"
        raise RequestInvalid(message, problems=[{"field": "events", "given": str(latest), "message": message}])


def _count_stored(
    session: Session, row: Attempt, events: Sequence[NumberedEvent], digests: Sequence[bytes]
) -> int:
    """Return how many of the first events are stored already; raises SequenceConflict."""
    first = events[0].seq
    if any(event.seq != first + index for index, event in enumerate(events)):
        raise SequenceConflict("The numbers of a batch are consecutive.", next_seq=row.next_seq)
    if first > row.next_seq:
        raise SequenceConflict(f"Event {row.next_seq} is expected next, but {first} came.", next_seq=row.next_seq)
    skipped = min(row.next_seq - first, len(events))
    if skipped:
        stored = _stored_digests(session, row, first, first + skipped - 1)
        for event, digest in zip(events[:skipped], digests, strict=False):
            if stored[event.seq] != digest:
                message = f"Event {event.seq} is stored already, with other content."
                raise SequenceConflict(message, next_seq=row.next_seq, seq=event.seq)
    return skipped


def _stored_digests(session: Session, row: Attempt, first: int, last: int) -> dict[int, bytes]:
    query = select(EventBatch.first_seq, EventBatch.digests).where(
        EventBatch.job_id == row.job_id,
        EventBatch.attempt == row.attempt,
        EventBatch.first_seq <= last,
        EventBatch.last_seq >= first,
    )
    digests: dict[int, bytes] = {}
    for first_seq, packed in session.execute(query):
        for place, start in enumerate(range(0, len(packed), _DIGEST_BYTES)):
            digests[int(first_seq or 0) + place] = packed[start : start + _DIGEST_BYTES]
    return digests


def _store(
    session: Session,
    job: Job,
    row: Attempt,
    events: Sequence[NumberedEvent],
    encoded: Sequence[bytes],
    digests: Sequence[bytes],
) -> None:
    """Write the batch into the raw log: last, because the lock on event ids is held until the commit."""
    points = sum(len(item.event.values) for item in events if isinstance(item.event, MetricsLogged))
    batch_id = insert_batch(
        session,
        job.id,
        attempt=row.attempt,
        first_seq=events[0].seq,
        last_seq=events[-1].seq,
        digests=b"".join(digests),
        body=pack_body(b"[" + b",".join(encoded) + b"]"),
    )
    row.next_seq = events[-1].seq + 1
    row.heartbeat_at = database_now()
    job.last_event_id = batch_id
    job.tail_batches += 1
    job.tail_points += points
    session.flush()


def _apply(
    session: Session, job: Job, attempt: int, events: Sequence[NumberedEvent], checkpoints_kept: int
) -> list[str]:
    """Bring newest values, timeline, log and checkpoints up to date; returns the retired checkpoints' sha256."""
    _apply_metrics(session, job, [item.event for item in events if isinstance(item.event, MetricsLogged)])
    files = [
        item.event.file.sha256
        for item in events
        if isinstance(item.event, SampleGridSaved | CheckpointSaved | LatentsFixed)
    ]
    artifacts = require_artifacts(session, files)
    _apply_lines(session, job, attempt, events)
    retired: list[str] = []
    has_checkpoint = False
    for item in events:
        event = item.event
        if isinstance(event, SampleGridSaved):
            _insert_sample(session, job, attempt, event, artifacts)
        elif isinstance(event, CheckpointSaved):
            _insert_checkpoint(session, job, attempt, event, artifacts)
            has_checkpoint = True
        elif isinstance(event, LatentsFixed):
            job.latents_sha256 = event.file.sha256
        if not isinstance(event, LatentsFixed):
            job.iteration = max(job.iteration, event.iteration)
    if has_checkpoint:
        retired = retire_checkpoints(session, job.id, checkpoints_kept)
    return retired


def _apply_metrics(session: Session, job: Job, events: Sequence[MetricsLogged]) -> None:
    newest: dict[str, tuple[int, float]] = {}
    for event in events:
        for metric, value in event.values.items():
            if metric not in newest or newest[metric][0] <= event.iteration:
                newest[metric] = (event.iteration, value)
    if not newest:
        return
    rows = [{"job_id": job.id, "metric": metric, **latest_columns(*point)} for metric, point in newest.items()]
    insert_latest = insert_into(session, LatestValue).values(rows)
    given = insert_latest.excluded
    session.execute(
        insert_latest.on_conflict_do_update(
            index_elements=["job_id", "metric"],
            set_={"iteration": given.iteration, "value": given.value, "flag": given.flag},
            where=given.iteration >= LatestValue.iteration,
        )
    )


def _apply_lines(session: Session, job: Job, attempt: int, events: Sequence[NumberedEvent]) -> None:
    lines = [
        {
            "job_id": job.id,
            "attempt": attempt,
            "iteration": item.event.iteration,
            "level": item.event.level,
            # PostgreSQL's texts cannot hold this character.
            "text": item.event.text.replace("\0", "\N{REPLACEMENT CHARACTER}"),
            "at": item.at,
        }
        for item in events
        if isinstance(item.event, LineLogged)
    ]
    if lines:
        session.execute(insert(LogLine), lines)


def _insert_sample(
    session: Session, job: Job, attempt: int, event: SampleGridSaved, artifacts: dict[str, Artifact]
) -> None:
    sha256 = event.file.sha256
    if artifacts[sha256].media_type != "image/png":
        raise ArtifactMissing("A sample grid must be put as image/png first.", sha256=[sha256])
    # A grid that comes again for the same iteration takes the place of the earlier one.
    session.execute(delete(Sample).where(Sample.job_id == job.id, Sample.iteration == event.iteration))
    row = insert(Sample).values(
        job_id=job.id,
        attempt=attempt,
        iteration=event.iteration,
        sha256=sha256,
        rows=event.rows,
        columns=event.columns,
        cell_width=event.cell_width,
        cell_height=event.cell_height,
        latents_sha256=event.latents_sha256,
        created_at=database_now(),
    )
    sample_id = session.execute(row.returning(Sample.id)).scalar_one()
    newest = session.get(Sample, job.newest_sample_id) if job.newest_sample_id is not None else None
    if newest is None or newest.iteration <= event.iteration:
        job.newest_sample_id = sample_id


def _insert_checkpoint(
    session: Session, job: Job, attempt: int, event: CheckpointSaved, artifacts: dict[str, Artifact]
) -> None:
    sha256 = event.file.sha256
    row: dict[str, Any] = {
        "attempt": attempt,
        "sha256": sha256,
        "size": artifacts[sha256].size,
        "stored": True,
        "created_at": database_now(),
    }
    insert_row = insert_into(session, Checkpoint).values(job_id=job.id, iteration=event.iteration, **row)
    session.execute(insert_row.on_conflict_do_update(index_elements=["job_id", "iteration"], set_=row))
