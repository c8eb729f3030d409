"""Rows as the schemas that leave over HTTP and that pages show."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.attempts.provenance import provenance_read
from api.jobs.schemas import AttemptRead, JobRead, JobSummary, LatestMetric
from api.samples.schemas import CheckpointRead, LogLineRead, NeighbourGridRead, SampleRead
from api.server.database.models import Attempt, Checkpoint, Job, LatestValue, LogLine, NeighbourGrid, Sample
from api.server.http.schemas import Reason
from api.workers.queries import find_obstacles

_FLAGGED = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


def artifact_url(sha256: str) -> str:
    """Return where a stored file is served."""
    return f"/artifacts/{sha256}"


def sample_read(sample: Sample) -> SampleRead:
    """Show one sample grid."""
    return SampleRead(**_grid_fields(sample))


def neighbour_grid_read(grid: NeighbourGrid) -> NeighbourGridRead:
    """Show one grid of nearest training images."""
    return NeighbourGridRead(**_grid_fields(grid))


def _grid_fields(grid: Sample | NeighbourGrid) -> dict[str, Any]:
    return {
        "iteration": grid.iteration,
        "attempt": grid.attempt,
        "sha256": grid.sha256,
        "url": artifact_url(grid.sha256),
        "rows": grid.rows,
        "columns": grid.columns,
        "cell_width": grid.cell_width,
        "cell_height": grid.cell_height,
        "latents_sha256": grid.latents_sha256,
        "created_at": grid.created_at,
    }


def checkpoint_read(checkpoint: Checkpoint) -> CheckpointRead:
    """Show one checkpoint."""
    return CheckpointRead(
        iteration=checkpoint.iteration,
        attempt=checkpoint.attempt,
        sha256=checkpoint.sha256,
        size=checkpoint.size,
        url=artifact_url(checkpoint.sha256) if checkpoint.stored else None,
        created_at=checkpoint.created_at,
    )


def attempt_read(attempt: Attempt) -> AttemptRead:
    """Show one attempt."""
    return AttemptRead.model_validate(
        {
            **{name: getattr(attempt, name) for name in AttemptRead.model_fields},
            "reason": _reason(attempt.reason),
            "provenance": provenance_read(attempt),
        }
    )


def log_line_read(line: LogLine) -> LogLineRead:
    """Show one log line."""
    return LogLineRead.model_validate(line)


def job_summaries(session: Session, jobs: Sequence[Job]) -> list[JobSummary]:
    """Show jobs as the list does, with two queries however many they are; three where some ask a lot."""
    latest = _latest_metrics(session, [job.id for job in jobs])
    sample_ids = [job.newest_sample_id for job in jobs if job.newest_sample_id is not None]
    rows = session.scalars(select(Sample).where(Sample.id.in_(sample_ids))) if sample_ids else ()
    samples = {sample.id: sample_read(sample) for sample in rows}
    obstacles = find_obstacles(session, jobs)
    return [
        JobSummary(
            id=job.id,
            name=job.name,
            tags=job.tags,
            state=job.state,
            attempt=job.attempt,
            iteration=job.iteration,
            iterations=job.iterations,
            created_at=job.created_at,
            started_at=job.started_at,
            ended_at=job.ended_at,
            cancel_requested_at=job.cancel_requested_at,
            commit=job.commit_hash,
            obstacle=obstacles.get(job.id),
            reason=_reason(job.reason),
            latest=latest.get(job.id, {}),
            newest_sample=samples.get(job.newest_sample_id) if job.newest_sample_id is not None else None,
            url=f"/runs/{job.id}",
            deleted_at=job.deleted_at,
        )
        for job in jobs
    ]


def job_summary(session: Session, job: Job) -> JobSummary:
    """Show one job as the list does."""
    return job_summaries(session, [job])[0]


def job_read(session: Session, job: Job) -> JobRead:
    """Show one job in full."""
    attempts = session.scalars(select(Attempt).where(Attempt.job_id == job.id).order_by(Attempt.attempt))
    checkpoints = session.scalars(
        select(Checkpoint).where(Checkpoint.job_id == job.id).order_by(Checkpoint.iteration)
    )
    summary = job_summary(session, job)
    return JobRead(
        **{name: getattr(summary, name) for name in JobSummary.model_fields},
        note=job.note,
        spec=job.spec,
        seed=job.seed,
        retry_of=job.retry_of,
        made_from=job.made_from,
        latents_sha256=job.latents_sha256,
        attempts=[attempt_read(attempt) for attempt in attempts],
        checkpoints=[checkpoint_read(checkpoint) for checkpoint in checkpoints],
        last_event_id=job.last_event_id,
    )


def _latest_metrics(session: Session, job_ids: list[str]) -> dict[str, dict[str, LatestMetric]]:
    latest: dict[str, dict[str, LatestMetric]] = {}
    columns = (LatestValue.job_id, LatestValue.metric, LatestValue.iteration, LatestValue.value, LatestValue.flag)
    query = (
        select(*columns).where(LatestValue.job_id.in_(job_ids)).order_by(LatestValue.job_id, LatestValue.metric)
    )
    for job_id, metric, iteration, value, flag in session.execute(query):
        number = _FLAGGED[flag] if flag else value
        latest.setdefault(job_id, {})[metric] = LatestMetric(iteration=iteration, value=number)
    return latest


def _reason(reason: dict[str, object] | None) -> Reason | None:
    return Reason.model_validate(reason) if reason else None
