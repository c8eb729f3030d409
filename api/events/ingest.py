"""Ingests events of a worker: checks fence and numbers, stores each once, and projects them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Update, bindparam, select, update
from sqlalchemy.orm import Session

from api.attempts.leases import LeasedJob, extend_lease, lock_without_lease
from api.curves.queries import collect_tail, fold_long_tail
from api.errors import RequestInvalid, SequenceConflict
from api.events.log import insert_batch, pack_body, unpack_body
from api.events.parsing import MetricsRow, OtherEvent, PostedEvent, encode_events, post_event
from api.events.projections import apply_events
from api.events.schemas import NumberedEvent
from api.server.database.clock import database_now
from api.server.database.models import GANLIB, Attempt, EventBatch, Job
from ganlib.events import BIN_COUNT, Event, HistogramsLogged, LatentsFixed, SampleGridSaved

MAX_POINTS = 20_000
# Condition of every batch: it continues the stored numbers.
NEXT_IN_SEQUENCE: tuple[ColumnElement[bool], ...] = (Attempt.next_seq == bindparam("first"),)


def build_sequence_update(follows: Iterable[ColumnElement[bool]]) -> Update:
    """Return the conditional UPDATE that claims a batch's numbers; it changes no row if they do not come next."""
    own = (Attempt.job_id == bindparam("leased_job"), Attempt.attempt == bindparam("leased_attempt"))
    taken = {"next_seq": bindparam("following"), "heartbeat_at": database_now()}
    return update(Attempt).where(*own, *follows).values(taken)


# Built once: see `api.attempts.leases`.
SEQUENCE_UPDATE = build_sequence_update(NEXT_IN_SEQUENCE)
_TAKE_NUMBERS = (
    update(Attempt)
    .where(Attempt.job_id == bindparam("leased_job"), Attempt.attempt == bindparam("leased_attempt"))
    .values(next_seq=Attempt.next_seq + bindparam("taken"), heartbeat_at=database_now())
    .returning(Attempt.next_seq)
)
_JOB_UPDATE = (
    update(Job)
    .where(Job.id == bindparam("leased_job"))
    .values(
        iteration=bindparam("reached"),
        last_event_id=bindparam("batch_id"),
        folded_event_id=bindparam("folded"),
        tail_batches=bindparam("batches"),
        tail_points=bindparam("points"),
    )
)


@dataclass(frozen=True)
class Accepted:
    """The number that is expected after a batch, and checkpoints whose files may be deleted.

    cancel_requested: the trainer must stop. new_events, new_points, new_grids: counts of those not stored before.
    found: the rules whose findings began.
    """

    next_seq: int
    cancel_requested: bool
    retired: list[str] = field(default_factory=list)
    new_events: int = 0
    new_points: int = 0
    new_grids: int = 0
    found: list[str] = field(default_factory=list)


def insert_events(
    session: Session,
    job_id: str,
    attempt: int,
    events: Sequence[PostedEvent],
    lease_seconds: float,
    checkpoints_kept: int = 2,
) -> Accepted:
    """Store and project a batch as a whole; a batch that is already stored changes nothing.

    Raises AttemptFenced, SequenceConflict (with `next_seq`), ArtifactMissing, and RequestInvalid for too many
    points.
    """
    _check_size(events)
    job = extend_lease(session, job_id, attempt, lease_seconds)
    new, next_seq = _claim_numbers(session, job, events)
    if not new:
        return Accepted(next_seq, job.cancel_requested_at is not None)
    return _insert_new(session, job, new, next_seq, checkpoints_kept)


def append_events(session: Session, job_id: str, events: Sequence[tuple[datetime, Event]]) -> Accepted:
    """Store and project events that the service itself reports for a job, in any of its states, without a lease.

    events: each with the time at which it happened; they take the numbers that come next in the newest attempt.
    Raises JobNotFound, ArtifactMissing, and RequestInvalid for too many points.
    """
    job = lock_without_lease(session, job_id)
    own = {"leased_job": job.id, "leased_attempt": job.attempt}
    # The job's row is locked: nobody else takes numbers.
    following = session.connection().execute(_TAKE_NUMBERS, {**own, "taken": len(events)}).scalar_one()
    first = following - len(events)
    numbered = [
        post_event(NumberedEvent.model_construct(seq=first + place, at=at, event=event))
        for place, (at, event) in enumerate(events)
    ]
    _check_size(numbered)
    if not numbered:
        return Accepted(first, job.cancel_requested_at is not None)
    return _insert_new(session, job, numbered, following, checkpoints_kept=2)


def _insert_new(
    session: Session, job: LeasedJob, new: Sequence[PostedEvent], next_seq: int, checkpoints_kept: int
) -> Accepted:
    """Project and log events whose numbers are claimed."""
    reached = _find_iteration(job, new)
    arriving = collect_tail(
        (item.event.iteration, item.event.values) for item in new if isinstance(item.event, MetricsRow)
    )
    # Before the batch has its id: from then on the watermark waits for this transaction.
    is_folded = fold_long_tail(session, job, arriving)
    applied = apply_events(session, job, new, arriving, checkpoints_kept)
    _store(session, job, new, reached, is_folded)
    if job.origin != GANLIB and 0 < job.iterations < reached:
        # A loop of somebody's own went on beyond its plan.
        session.execute(update(Job).where(Job.id == job.id).values(iterations=reached))
    points = sum(_count_points(item.event) for item in new)
    is_cancelled = job.cancel_requested_at is not None
    grids = sum(isinstance(item.event, SampleGridSaved) for item in new)
    return Accepted(next_seq, is_cancelled, applied.retired, len(new), points, grids, applied.found)


def encode_event(event: PostedEvent) -> bytes:
    """Return the bytes that compare a repeated event with the stored one."""
    return encode_events([event])


def _check_size(events: Sequence[PostedEvent]) -> None:
    points = sum(_count_points(item.event) for item in events)
    if points > MAX_POINTS:
        message = f"{points:,} points in one post are too many; send at most {MAX_POINTS:,}"
        raise RequestInvalid(
            message, problems=[{"field": "events", "given": f"{points} points", "message": message}]
        )


def _count_points(event: MetricsRow | OtherEvent) -> int:
    """Return the number of values of an event: metrics, and bins of histograms."""
    if isinstance(event, MetricsRow):
        return len(event.values)
    return BIN_COUNT * len(event.histograms) if isinstance(event, HistogramsLogged) else 0


def _find_iteration(job: LeasedJob, events: Sequence[PostedEvent]) -> int:
    """Return the iteration that the job has reached; raises RequestInvalid for one beyond its end."""
    latest = max((item.event.iteration for item in events if not isinstance(item.event, LatentsFixed)), default=0)
    if job.origin == GANLIB and latest > job.iterations:
        message = f"iteration {latest} is beyond the job's {job.iterations}"
        raise RequestInvalid(message, problems=[{"field": "events", "given": str(latest), "message": message}])
    return max(job.iteration, latest)


def _claim_numbers(
    session: Session, job: LeasedJob, events: Sequence[PostedEvent]
) -> tuple[Sequence[PostedEvent], int]:
    """Return the events that are new and the number after them; raises SequenceConflict."""
    # Usually all events are new, and one conditional UPDATE confirms that and claims their numbers.
    if _are_consecutive(events) and _claim(session, job, events):
        return events, events[-1].seq + 1
    own = (Attempt.job_id == job.id, Attempt.attempt == job.attempt)
    next_seq = session.execute(select(Attempt.next_seq).where(*own)).scalar_one()
    new = events[_count_stored(session, job, next_seq, events) :]
    if new:
        _claim(session, job, new)
    return new, new[-1].seq + 1 if new else next_seq


def _claim(session: Session, job: LeasedJob, events: Sequence[PostedEvent]) -> bool:
    numbers = {"first": events[0].seq, "following": events[-1].seq + 1}
    own = {"leased_job": job.id, "leased_attempt": job.attempt}
    return session.connection().execute(SEQUENCE_UPDATE, {**own, **numbers}).rowcount > 0


def _are_consecutive(events: Sequence[PostedEvent]) -> bool:
    first = events[0].seq
    return all(event.seq == first + index for index, event in enumerate(events))


def _count_stored(session: Session, job: LeasedJob, next_seq: int, events: Sequence[PostedEvent]) -> int:
    """Return how many of the first events are already stored; raises SequenceConflict."""
    first = events[0].seq
    if not _are_consecutive(events):
        raise SequenceConflict("The numbers of a batch must be consecutive.", next_seq=next_seq)
    if first > next_seq:
        raise SequenceConflict(
            f"Event {next_seq} is expected next, but event {first} was sent.", next_seq=next_seq
        )
    skipped = min(next_seq - first, len(events))
    if skipped:
        stored = _read_stored(session, job, first, first + skipped - 1)
        for event in events[:skipped]:
            if encode_event(stored[event.seq]) != encode_event(event):
                message = f"Event {event.seq} is already stored with other content."
                raise SequenceConflict(message, next_seq=next_seq, seq=event.seq)
    return skipped


def _read_stored(session: Session, job: LeasedJob, first: int, last: int) -> dict[int, PostedEvent]:
    query = select(EventBatch.body).where(
        EventBatch.job_id == job.id,
        EventBatch.attempt == job.attempt,
        EventBatch.first_seq <= last,
        EventBatch.last_seq >= first,
    )
    return {
        item["seq"]: post_event(NumberedEvent.model_validate(item))
        for body in session.scalars(query)
        for item in unpack_body(body)
    }


def _store(session: Session, job: LeasedJob, events: Sequence[PostedEvent], reached: int, is_folded: bool) -> None:
    """Write the batch into the log: last, because the watermark waits from here to the commit."""
    body = pack_body(encode_events(events))
    seqs = {"first_seq": events[0].seq, "last_seq": events[-1].seq}
    batch_id = insert_batch(session, job.id, attempt=job.attempt, body=body, **seqs)
    tail = _fold_all(batch_id) if is_folded else _lengthen_tail(job, events)
    moved = {"leased_job": job.id, "reached": reached, "batch_id": batch_id, **tail}
    session.connection().execute(_JOB_UPDATE, moved)


def _fold_all(batch_id: int) -> dict[str, int]:
    return {"folded": batch_id, "batches": 0, "points": 0}


def _lengthen_tail(job: LeasedJob, events: Sequence[PostedEvent]) -> dict[str, int]:
    points = sum(len(item.event.values) for item in events if isinstance(item.event, MetricsRow))
    return {"folded": job.folded_event_id, "batches": job.tail_batches + 1, "points": job.tail_points + points}
