"""Events from a worker: numbered, fenced, stored once, and applied to what lists and pages read."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.clock import database_now
from api.errors import RequestInvalid, SequenceConflict
from api.models import Attempt, EventBatch, Job
from api.queries.attempts import hold_attempt
from api.queries.batches import insert_batch, pack_body
from api.queries.curves import fold_long_tail
from api.queries.effects import apply_events
from api.schemas import NumberedEvent
from ganlib.events import BIN_COUNT, Event, HistogramsLogged, LatentsFixed, MetricsLogged

MAX_POINTS = 20_000
_DIGEST_BYTES = 8


@dataclass(frozen=True)
class Accepted:
    """The job after a batch, the number that is expected next, and checkpoints whose files may be deleted.

    new_events, new_points: how many of the batch were not stored before.
    """

    job: Job
    next_seq: int
    retired: list[str] = field(default_factory=list)
    new_events: int = 0
    new_points: int = 0


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
    # Before this batch has its id: the lock on event ids holds up every other job's batches.
    fold_long_tail(session, job)
    retired = apply_events(session, job, attempt, new, checkpoints_kept)
    _store(session, job, row, new, encoded[skipped:], digests[skipped:])
    points = sum(_count_points(item.event) for item in new)
    return Accepted(job, row.next_seq, retired, len(new), points)


def digest_event(encoded: bytes) -> bytes:
    """Return the 8 bytes by which an event that comes again is compared."""
    return hashlib.sha256(encoded).digest()[:_DIGEST_BYTES]


def _check_size(events: Sequence[NumberedEvent]) -> None:
    points = sum(_count_points(item.event) for item in events)
    if points > MAX_POINTS:
        message = f"{points:,} points in one post are too many; at most {MAX_POINTS:,}"
        raise RequestInvalid(
            message, problems=[{"field": "events", "given": f"{points} points", "message": message}]
        )


def _count_points(event: Event) -> int:
    """Return how many numbers an event brings: each metric's, and each bin of a histogram."""
    if isinstance(event, HistogramsLogged):
        return BIN_COUNT * len(event.histograms)
    return len(event.values) if isinstance(event, MetricsLogged) else 0


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
