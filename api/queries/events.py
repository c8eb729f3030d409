"""Events from a worker: numbered, fenced, stored once, and applied to what lists and pages read."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.clock import database_now
from api.errors import RequestInvalid, SequenceConflict
from api.models import Attempt, EventBatch, Job
from api.posted_events import MetricsRow, OtherEvent, PostedEvent, encode_events, post_event
from api.queries.attempts import hold_attempt
from api.queries.batches import insert_batch, pack_body, unpack_body
from api.queries.curves import collect_tail, fold_long_tail
from api.queries.effects import apply_events
from api.schemas import NumberedEvent
from ganlib.events import BIN_COUNT, HistogramsLogged, LatentsFixed

MAX_POINTS = 20_000


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
    events: Sequence[PostedEvent],
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
    skipped = _count_stored(session, row, events)
    if skipped == len(events):
        return Accepted(job, row.next_seq)
    new = events[skipped:]
    _check_iterations(job, new)
    arriving = collect_tail(
        (item.event.iteration, item.event.values) for item in new if isinstance(item.event, MetricsRow)
    )
    # Before this batch has its id: from there on readers of all jobs' news wait for it.
    is_folded = fold_long_tail(session, job, arriving)
    retired = apply_events(session, job, attempt, new, arriving, checkpoints_kept)
    _store(session, job, row, new, is_folded)
    points = sum(_count_points(item.event) for item in new)
    return Accepted(job, row.next_seq, retired, len(new), points)


def encode_event(event: PostedEvent) -> bytes:
    """Return the bytes by which an event that comes again is compared with the stored one."""
    return encode_events([event])


def _check_size(events: Sequence[PostedEvent]) -> None:
    points = sum(_count_points(item.event) for item in events)
    if points > MAX_POINTS:
        message = f"{points:,} points in one post are too many; at most {MAX_POINTS:,}"
        raise RequestInvalid(
            message, problems=[{"field": "events", "given": f"{points} points", "message": message}]
        )


def _count_points(event: MetricsRow | OtherEvent) -> int:
    """Return how many numbers an event brings: each metric's, and each bin of a histogram."""
    if isinstance(event, MetricsRow):
        return len(event.values)
    return BIN_COUNT * len(event.histograms) if isinstance(event, HistogramsLogged) else 0


def _check_iterations(job: Job, events: Sequence[PostedEvent]) -> None:
    latest = max((item.event.iteration for item in events if not isinstance(item.event, LatentsFixed)), default=0)
    if latest > job.iterations:
        message = f"iteration {latest} is beyond the job's {job.iterations}"
        raise RequestInvalid(message, problems=[{"field": "events", "given": str(latest), "message": message}])


def _count_stored(session: Session, row: Attempt, events: Sequence[PostedEvent]) -> int:
    """Return how many of the first events are stored already; raises SequenceConflict."""
    first = events[0].seq
    if any(event.seq != first + index for index, event in enumerate(events)):
        raise SequenceConflict("The numbers of a batch are consecutive.", next_seq=row.next_seq)
    if first > row.next_seq:
        raise SequenceConflict(f"Event {row.next_seq} is expected next, but {first} came.", next_seq=row.next_seq)
    skipped = min(row.next_seq - first, len(events))
    if skipped:
        stored = _read_stored(session, row, first, first + skipped - 1)
        for event in events[:skipped]:
            if encode_event(stored[event.seq]) != encode_event(event):
                message = f"Event {event.seq} is stored already, with other content."
                raise SequenceConflict(message, next_seq=row.next_seq, seq=event.seq)
    return skipped


def _read_stored(session: Session, row: Attempt, first: int, last: int) -> dict[int, PostedEvent]:
    query = select(EventBatch.body).where(
        EventBatch.job_id == row.job_id,
        EventBatch.attempt == row.attempt,
        EventBatch.first_seq <= last,
        EventBatch.last_seq >= first,
    )
    return {
        item["seq"]: post_event(NumberedEvent.model_validate(item))
        for body in session.scalars(query)
        for item in unpack_body(body)
    }


def _store(session: Session, job: Job, row: Attempt, events: Sequence[PostedEvent], is_folded: bool) -> None:
    """Write the batch into the raw log: last, because readers of all jobs' news wait from here to the commit."""
    body = pack_body(encode_events(events))
    # What has changed of the job is written once, below.
    with session.no_autoflush:
        batch_id = insert_batch(
            session,
            job.id,
            attempt=row.attempt,
            first_seq=events[0].seq,
            last_seq=events[-1].seq,
            body=body,
        )
    row.next_seq = events[-1].seq + 1
    row.heartbeat_at = database_now()
    job.last_event_id = batch_id
    if is_folded:
        job.folded_event_id = batch_id
    else:
        job.tail_batches += 1
        job.tail_points += sum(len(item.event.values) for item in events if isinstance(item.event, MetricsRow))
    session.flush()
