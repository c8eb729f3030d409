"""Claims and ends of attempts. Conditional UPDATEs decide which worker holds a job."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, func, insert, literal, select, update
from sqlalchemy.orm import Session

from api.attempts.leases import extend_lease
from api.attempts.outcomes import Outcome, decide_outcome, decide_own_outcome, describe_end
from api.attempts.schemas import ClaimRequest, FinishPost, Provenance
from api.curves.queries import discard_points, fold_tail
from api.errors import AttemptFenced, JobStateConflict, SequenceConflict
from api.events.findings.outbox import announce_failure
from api.events.findings.reports import discard_reports
from api.events.log import insert_service_events, log_line_event
from api.jobs.queries import join_labels, state_changed_event, update_job
from api.server.database.clock import database_now
from api.server.database.models import (
    GANLIB,
    Attempt,
    Checkpoint,
    CurveChunk,
    HistogramRow,
    Job,
    NeighbourGrid,
    RunFile,
    Sample,
)
from api.server.http.schemas import AttemptEnd, Reason
from api.workers.queue import is_claimable


@dataclass(frozen=True)
class ClaimedJob:
    """A job that a worker now holds, and the checkpoint to resume from."""

    job: Job
    resume: Checkpoint | None


def claimable_by(offer: ClaimRequest) -> list[ColumnElement[bool]]:
    """Return the conditions under which a worker with this offer may claim a job."""
    return [
        is_claimable(),
        Job.device.in_(["auto", *offer.devices]),
        Job.gpus <= offer.gpus,
        Job.gpu_memory <= case((Job.gpus > 1, offer.gpu_memory_each), else_=offer.gpu_memory),
        _runs_pinned_commit(offer.provenance),
        # Every subset of this worker's labels: there are few, and both databases support equality.
        Job.worker_labels.in_(_label_sets(offer.labels)),
    ]


def claim_job(
    session: Session,
    request: ClaimRequest,
    lease_seconds: float,
    is_stored: Callable[[str], bool],
    token_sha256: str | None = None,
) -> ClaimedJob | None:
    """Give the next queued job to this worker; returns None without a claimable job.

    token_sha256: hash of the token that authorises the attempt's writes.

    One conditional UPDATE decides, so only one of two workers gets a job. Records of earlier attempts after the
    checkpoint that this one resumes from are removed, because they will be written again.
    """
    # Checked again in the UPDATE itself: on PostgreSQL the row may have changed since it was selected.
    conditions = claimable_by(request)
    chosen = select(Job.id).where(*conditions).order_by(Job.priority.desc(), Job.created_at, Job.id).limit(1)
    values = {
        "state": "running",
        "attempt": Job.attempt + 1,
        "lease_ends_at": database_now(lease_seconds),
        "started_at": func.coalesce(Job.started_at, database_now()),
        "not_before": None,
        "commit_hash": request.provenance.commit,
    }
    taken = chosen.with_for_update(skip_locked=True).scalar_subquery()
    job = update_job(session, [Job.id == taken, *conditions], **values)
    if job is None:
        return None
    resume = find_resume_point(session, job.id, is_stored)
    _begin_attempt(session, job, request, resume.iteration if resume else 0, token_sha256)
    discard_after(session, job, resume.iteration if resume else -1)
    resumed_from = resume.iteration if resume else 0
    started = {"kind": "attempt_started", "attempt": job.attempt, "resumed_from": resumed_from}
    begins = f"resumes from iteration {resumed_from}" if resumed_from else "begins"
    line = log_line_event(job, f"Attempt {job.attempt} {begins} on worker {request.worker}.")
    insert_service_events(session, job, state_changed_event(job), started, line)
    return ClaimedJob(job, resume)


def find_resume_point(session: Session, job_id: str, is_stored: Callable[[str], bool]) -> Checkpoint | None:
    """Return the newest committed checkpoint whose file is stored, or None."""
    query = select(Checkpoint).where(Checkpoint.job_id == job_id, Checkpoint.stored)
    candidates = session.scalars(query.order_by(Checkpoint.iteration.desc()))
    return next((checkpoint for checkpoint in candidates if is_stored(checkpoint.sha256)), None)


def discard_after(session: Session, job: Job, iteration: int) -> None:
    """Remove records after this iteration (−1: all of them), except the log."""
    discard_points(session, job, iteration)
    for table in (Sample, NeighbourGrid, HistogramRow, Checkpoint, RunFile):
        session.execute(delete(table).where(table.job_id == job.id, table.iteration > iteration))
    discard_reports(session, job.id, iteration)
    newest = select(Sample.id).where(Sample.job_id == job.id).order_by(Sample.iteration.desc()).limit(1)
    values = {"iteration": max(iteration, 0), "newest_sample_id": newest.scalar_subquery()}
    session.execute(update(Job).where(Job.id == job.id).values(values))
    session.refresh(job)


def finish_attempt(session: Session, job_id: str, attempt: int, finish: FinishPost, lease_seconds: float) -> Job:
    """End the attempt as its worker reports; the same finish may be sent again.

    Raises SequenceConflict when events are missing, JobStateConflict for a cancel that nobody requested, and
    AttemptFenced.
    """
    try:
        extend_lease(session, job_id, attempt, lease_seconds)
    except AttemptFenced:
        if _has_ended_as(session, job_id, attempt, finish.end):
            return session.get_one(Job, job_id)
        raise
    job = session.get_one(Job, job_id, populate_existing=True)
    row = session.get_one(Attempt, (job_id, attempt), populate_existing=True)
    if finish.events_count != row.next_seq:
        message = f"The attempt counts {finish.events_count} events, but {row.next_seq} are stored."
        raise SequenceConflict(message, next_seq=row.next_seq)
    if finish.end == "cancelled" and job.cancel_requested_at is None and job.origin == GANLIB:
        raise JobStateConflict(
            "No cancel of this job was requested; finish the attempt as preempted.", state=job.state
        )
    end_attempt(session, job, finish.end, finish.reason)
    if finish.ended_at is not None and job.origin != GANLIB:
        ended_at = max(finish.ended_at, job.started_at or finish.ended_at)
        session.execute(update(Job).where(Job.id == job.id).values(ended_at=ended_at))
        session.refresh(job)
    return job


def end_attempt(session: Session, job: Job, end: AttemptEnd, reason: Reason | None) -> Outcome:
    """End the job's live attempt and set the job's next state; the caller has locked the job's row."""
    outcome = _decide(session, job, end, reason)
    written = reason.model_dump() if reason else None
    own = (Attempt.job_id == job.id, Attempt.attempt == job.attempt)
    session.execute(update(Attempt).where(*own).values(end=end, reason=written, ended_at=database_now()))
    fold_tail(session, job)
    is_queued = outcome.state == "queued"
    values: dict[str, Any] = {
        "state": outcome.state,
        "iteration": _count_done(session, job, outcome),
        "lease_ends_at": None,
        "attempts_used": Job.attempts_used + int(outcome.uses_attempt),
        "not_before": database_now(outcome.backoff_seconds) if outcome.backoff_seconds else None,
        "ended_at": None if is_queued else database_now(),
        "reason": outcome.reason.model_dump() if outcome.reason else None,
    }
    session.execute(update(Job).where(Job.id == job.id).values(values))
    session.refresh(job)
    text, level = describe_end(job.attempt, end, reason, outcome)
    insert_service_events(session, job, state_changed_event(job), log_line_event(job, text, level))
    if outcome.state == "failed":
        announce_failure(session, job)
    return outcome


def _count_done(session: Session, job: Job, outcome: Outcome) -> int:
    """Return the iterations done: a loop that counts from 0 has done all of them at its last step.

    The curves must be folded. Measurements of the machine may come before a loop's first step, and say nothing.
    """
    if job.origin == GANLIB or outcome.state != "succeeded" or job.iteration != job.iterations - 1:
        return job.iteration
    first = select(func.min(CurveChunk.first_iteration)).where(
        CurveChunk.job_id == job.id, CurveChunk.metric.not_like("system/%")
    )
    return job.iterations if session.scalar(first) == 0 else job.iteration


def _decide(session: Session, job: Job, end: AttemptEnd, reason: Reason | None) -> Outcome:
    if job.origin != GANLIB:
        return decide_own_outcome(end, reason)
    return decide_outcome(
        end,
        reason,
        job.attempts_used,
        job.attempts_allowed,
        cancel_requested=job.cancel_requested_at is not None,
        made_progress=_has_new_checkpoint(session, job),
    )


def _runs_pinned_commit(provenance: Provenance) -> ColumnElement[bool]:
    """Return the condition that a job is not pinned, or is pinned to the unmodified commit of this worker."""
    is_dirty = bool(provenance.uncommitted_diff) if provenance.dirty is None else provenance.dirty
    if provenance.commit is None or is_dirty:
        return Job.pinned_commit == ""
    return literal(provenance.commit).startswith(Job.pinned_commit)


def _label_sets(labels: Sequence[str]) -> list[str]:
    known = sorted(set(labels))
    return [join_labels(chosen) for count in range(len(known) + 1) for chosen in combinations(known, count)]


def _begin_attempt(
    session: Session, job: Job, request: ClaimRequest, resumed_from: int, token_sha256: str | None
) -> None:
    row = {
        "job_id": job.id,
        "attempt": job.attempt,
        "worker": request.worker,
        "claimed_at": database_now(),
        "heartbeat_at": database_now(),
        "resumed_from": resumed_from,
        "seed": job.seed,
        "token_sha256": token_sha256,
        "provenance": request.provenance.model_dump(mode="json"),
    }
    session.execute(insert(Attempt).values(row))


def _has_new_checkpoint(session: Session, job: Job) -> bool:
    """Return whether the live attempt has committed a checkpoint beyond the one that it resumed from."""
    own = (Attempt.job_id == job.id, Attempt.attempt == job.attempt)
    mine = (Checkpoint.job_id == job.id, Checkpoint.attempt == job.attempt)
    newer = (
        select(Checkpoint.iteration)
        .join(Attempt, and_(*own))
        .where(*mine, Checkpoint.iteration > Attempt.resumed_from)
    )
    return session.execute(newer.limit(1)).first() is not None


def _has_ended_as(session: Session, job_id: str, attempt: int, end: AttemptEnd) -> bool:
    row = session.get(Attempt, (job_id, attempt))
    return row is not None and row.end == end
