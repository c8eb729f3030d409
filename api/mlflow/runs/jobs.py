"""What MLflow's runs do to their jobs: open, append, end, hide; all through the same doors as any other run."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError
from sqlalchemy import update
from sqlalchemy.orm import Session

from api.attempts.opening import end_run, open_run
from api.attempts.schemas import Provenance, RunOpen
from api.events.ingest import append_events
from api.events.log import insert_service_events
from api.jobs.queries import lock_job, update_job
from api.mlflow.runs.params import name_job, show_note
from api.server.database.clock import database_now
from api.server.database.models import Attempt, Job
from api.server.http.schemas import TERMINAL_STATES, AttemptEnd, Reason
from ganlib.events import Event, MetricsLogged

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The last millisecond that a datetime holds in every time zone.
LAST_MS = 253_402_214_400_000
_COMMIT = re.compile(r"[0-9a-f]{40}")
_END_STATES: Mapping[AttemptEnd, str] = {"succeeded": "succeeded", "failed": "failed", "cancelled": "cancelled"}
_FAILED = Reason(code="mlflow_failed", message="Its program reported the status FAILED to MLflow's API.")


def open_job(
    session: Session, run_uuid: str, name: str, tags: Sequence[str], run_tags: Mapping[str, str], start_ms: int
) -> str:
    """Make the job of a new run; returns its id."""
    run = RunOpen(
        key=run_uuid,
        name=name_job(name),
        tags=list(tags),
        note=show_note(run_tags),
        origin="mlflow",
        started_at=to_time(start_ms) if 0 < start_ms <= LAST_MS else None,
        writer=_name_writer(run_tags),
        provenance=_read_provenance(run_tags),
    )
    return open_run(session, run, lease_seconds=None, token_sha256=None).job.id


def reopen_job(session: Session, job_id: str, run_uuid: str) -> None:
    """Let a run that has ended go on."""
    job = lock_job(session, job_id)
    if job.state == "running":
        return
    run = RunOpen(key=run_uuid, attempt=job.attempt, name=job.name, origin="mlflow", writer="MLflow's client")
    open_run(session, run, lease_seconds=None, token_sha256=None)


def end_job(session: Session, job_id: str, run_uuid: str, end: AttemptEnd, end_ms: int | None) -> None:
    """End a run, also one that had ended otherwise; end_ms: when it did, by its own clock."""
    job = lock_job(session, job_id)
    if job.state in TERMINAL_STATES and job.state != _END_STATES[end]:
        reopen_job(session, job_id, run_uuid)
    end_run(session, job_id, end, _FAILED if end == "failed" else None)
    session.refresh(job)
    if (
        end_ms is not None
        and 0 < end_ms <= LAST_MS
        and (job.started_at is None or to_time(end_ms) >= job.started_at)
    ):
        job.ended_at = to_time(end_ms)
        own = (Attempt.job_id == job_id, Attempt.attempt == job.attempt)
        session.execute(update(Attempt).where(*own).values(ended_at=to_time(end_ms)))


def append_metrics(session: Session, job_id: str, rows: Sequence[tuple[datetime, int, dict[str, float]]]) -> None:
    """Append logged values: the time, the step, and values by metric, at most 256 a row."""
    # Built without validation: the numbers and names were checked when they were read.
    append_events(
        session,
        job_id,
        [(at, MetricsLogged.model_construct(iteration=step, values=values)) for at, step, values in rows],
    )


def append_now(session: Session, job_id: str, events: Sequence[Event]) -> None:
    """Append events that happen now."""
    at = datetime.now(UTC)
    append_events(session, job_id, [(at, event) for event in events])


def hide_job(session: Session, job_id: str) -> None:
    """Hide a run's job from the lists, whatever it does; it is purged days later."""
    conditions = [Job.id == job_id, Job.deleted_at.is_(None)]
    job = update_job(session, conditions, deleted_at=database_now())
    if job is not None:
        insert_service_events(session, job, {"kind": "job_deleted"})


def show_job(session: Session, job_id: str) -> None:
    """Show a hidden job again."""
    job = update_job(session, [Job.id == job_id, Job.deleted_at.is_not(None)], deleted_at=None)
    if job is not None:
        insert_service_events(session, job, {"kind": "job_restored"})


def to_time(at_ms: int) -> datetime:
    """Return the time that is so many milliseconds after 1970."""
    return EPOCH + timedelta(milliseconds=at_ms)


def to_ms(at: datetime) -> int:
    """Return the milliseconds between 1970 and this time."""
    return (at - EPOCH) // timedelta(milliseconds=1)


def _name_writer(tags: Mapping[str, str]) -> str:
    user = "".join(sign for sign in tags.get("mlflow.user", "") if sign.isprintable()).strip()
    return f"{user[:150]} (MLflow)" if user else "MLflow's client"


def _read_provenance(tags: Mapping[str, str]) -> Provenance:
    commit = tags.get("mlflow.source.git.commit", "")
    dirty = tags.get("mlflow.source.git.dirty", "").lower()
    given: dict[str, Any] = {
        "commit": commit if _COMMIT.fullmatch(commit) else None,
        "branch": tags.get("mlflow.source.git.branch", "")[:200] or None,
        "remote": tags.get("mlflow.source.git.repoURL", "")[:300] or None,
        "dirty": {"true": True, "false": False}.get(dirty),
        "command": tags.get("mlflow.source.name", "")[:500],
    }
    try:
        return Provenance(**given)
    except ValidationError:
        return Provenance()
