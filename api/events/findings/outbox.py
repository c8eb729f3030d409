"""The outbox of the webhook: messages are stored with what they are about, and claimed by one of the replicas."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from api.events.findings.reports import Change
from api.events.findings.schemas import rule_meaning, rule_title
from api.server.database.clock import database_now
from api.server.database.engine import HAS_WEBHOOK, insert_into
from api.server.database.models import Delivery, Job
from ganlib.evaluation.diagnosis.verdict import describe
from ganlib.events import FindingReported

# A try that has not ended after this long is taken over, such as after a crash.
CLAIM_SECONDS = 120.0
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 5.0, 3600.0
GIVE_UP_SECONDS = 86_400.0
KEPT_SECONDS = 30 * 86_400.0
_MAX_ERROR = 500


@dataclass(frozen=True)
class Claimed:
    """A message that this process delivers now; `key` names it for the receiver, also when it comes again."""

    id: int
    key: str
    tries: int
    body: dict[str, Any]


@dataclass(frozen=True)
class OutboxStatus:
    """What became of messages. error: why the newest try failed; None where it did not."""

    waiting: int
    given_up: int
    delivered_at: datetime | None
    error: str | None


def announce_finding(session: Session, job_id: str, event: FindingReported, change: Change) -> None:
    """Put a message about a finding that began, got worse or ended into the outbox, if there is a webhook.

    Trained again after a lost attempt, the same change is not announced twice.
    """
    if change == "changed" or not session.info.get(HAS_WEBHOOK):
        return
    ended = "" if event.ended is None else f"/{event.ended}"
    finding = event.model_dump(mode="json", exclude={"kind"})
    told = {"title": rule_title(event.rule), "meaning": rule_meaning(event.rule), "description": describe(event)}
    body = {"kind": "finding", "change": change, "finding": finding | told}
    _insert(session, job_id, f"{event.rule}/{event.since}/{change}/{event.severity}{ended}", body)


def announce_failure(session: Session, job: Job) -> None:
    """Put a message about a job that failed into the outbox, if there is a webhook."""
    if not session.info.get(HAS_WEBHOOK):
        return
    reason = {name: (job.reason or {}).get(name, "") for name in ("code", "message")}
    _insert(session, job.id, f"failed/{job.attempt}", {"kind": "job_failed", "reason": reason})


def claim_delivery(session: Session) -> Claimed | None:
    """Take the oldest message that is due, for CLAIM_SECONDS; returns None without any.

    One conditional UPDATE decides, so only one of several replicas gets it. Messages of one job go in order.
    """
    waiting = build_claim_conditions()
    chosen = select(Delivery.id).where(*waiting).order_by(Delivery.id).limit(1).with_for_update(skip_locked=True)
    taken = update(Delivery).where(Delivery.id == chosen.scalar_subquery(), *waiting)
    values = {"due_at": database_now(CLAIM_SECONDS), "tries": Delivery.tries + 1}
    columns = (Delivery.id, Delivery.key, Delivery.tries, Delivery.body)
    row = session.execute(
        taken.values(values).returning(*columns), execution_options={"synchronize_session": False}
    ).one_or_none()
    return Claimed(*row) if row is not None else None


def has_due(session: Session) -> bool:
    """Return whether any message is due: a read, which waits for no writer and holds up none."""
    return session.execute(select(Delivery.id).where(*build_claim_conditions()).limit(1)).first() is not None


def build_claim_conditions() -> list[ColumnElement[bool]]:
    """Return the conditions that a message is due and that no earlier one of its job waits."""
    earlier = aliased(Delivery)
    is_behind = exists().where(
        earlier.job_id == Delivery.job_id, earlier.id < Delivery.id, earlier.done_at.is_(None)
    )
    return [Delivery.done_at.is_(None), Delivery.due_at <= database_now(), ~is_behind]


def mark_delivered(session: Session, claimed: Claimed) -> None:
    """Record that a message was taken."""
    session.execute(update(Delivery).where(*_own(claimed)).values(done_at=database_now(), error=None))


def mark_failed(session: Session, claimed: Claimed, error: str) -> None:
    """Record why a try failed: the next one comes later each time, and none a day after the first."""
    delay = min(FIRST_DELAY_SECONDS * 2.0 ** min(claimed.tries - 1, 16), LONGEST_DELAY_SECONDS)
    own = _own(claimed)
    session.execute(update(Delivery).where(*own).values(due_at=database_now(delay), error=error[:_MAX_ERROR]))
    is_old = Delivery.created_at < database_now(-GIVE_UP_SECONDS)
    session.execute(update(Delivery).where(*own, is_old).values(done_at=database_now()))


def delete_old_deliveries(session: Session) -> None:
    """Delete messages that were delivered or given up long ago."""
    session.execute(delete(Delivery).where(Delivery.done_at < database_now(-KEPT_SECONDS)))


def read_status(session: Session) -> OutboxStatus:
    """Return what became of the messages so far."""
    waiting = session.scalar(select(func.count()).select_from(Delivery).where(Delivery.done_at.is_(None)))
    given_up = (Delivery.done_at.is_not(None), Delivery.error.is_not(None))
    lost = session.scalar(select(func.count()).select_from(Delivery).where(*given_up))
    taken = (Delivery.done_at.is_not(None), Delivery.error.is_(None))
    delivered_at = session.scalar(select(func.max(Delivery.done_at)).where(*taken))
    tried = select(Delivery.error).where(Delivery.tries > 0)
    newest = tried.order_by(func.coalesce(Delivery.done_at, Delivery.due_at).desc(), Delivery.id.desc()).limit(1)
    return OutboxStatus(waiting or 0, lost or 0, delivered_at, session.scalar(newest))


def _own(claimed: Claimed) -> list[ColumnElement[bool]]:
    # Another replica may have taken over what took too long; its try counts then.
    return [Delivery.id == claimed.id, Delivery.tries == claimed.tries, Delivery.done_at.is_(None)]


def _insert(session: Session, job_id: str, key: str, body: dict[str, Any]) -> None:
    job = session.execute(
        select(Job.name, Job.iteration, Job.iterations, Job.attempt).where(Job.id == job_id)
    ).one()
    at: datetime = session.execute(select(database_now())).scalar_one()
    row = {
        "job_id": job_id,
        "key": f"{job_id}/{key}",
        "body": {**body, "at": at.isoformat(), "job": {"id": job_id, **job._mapping}},
        "tries": 0,
        "created_at": database_now(),
        "due_at": database_now(),
    }
    session.execute(insert_into(session, Delivery).values(row).on_conflict_do_nothing(index_elements=["key"]))
