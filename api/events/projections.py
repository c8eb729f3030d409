"""Projects events into read models: newest values, timeline, histograms, log lines, checkpoints, findings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from api.artifacts.best import find_best_checkpoint
from api.artifacts.queries import require_artifacts, retire_checkpoints
from api.attempts.leases import LeasedJob
from api.curves.histograms import insert_histograms
from api.curves.queries import Tail, latest_columns
from api.errors import ArtifactMissing
from api.events.findings.outbox import announce_finding
from api.events.findings.reports import apply_report
from api.events.parsing import MetricsRow, PostedEvent
from api.server.database.clock import database_now
from api.server.database.engine import dialect_name, insert_for, insert_into
from api.server.database.models import (
    Artifact,
    Checkpoint,
    Job,
    LatestValue,
    LogLine,
    NeighbourGrid,
    RunFile,
    Sample,
)
from ganlib.events import (
    CheckpointSaved,
    FileSaved,
    FindingReported,
    HistogramsLogged,
    LatentsFixed,
    LineLogged,
    NeighbourGridSaved,
    SampleGridSaved,
)


@dataclass
class Applied:
    """What events changed beyond their own rows: sha256 of retired checkpoints, and rules whose findings began."""

    retired: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)


def apply_events(
    session: Session, job: LeasedJob, events: Sequence[PostedEvent], points: Tail, checkpoints_kept: int
) -> Applied:
    """Update all read models. points: the metric values of the events."""
    _apply_points(session, job.id, points)
    # Metrics are most events; only the others are scanned several times.
    others = [item for item in events if not isinstance(item.event, MetricsRow)]
    return _apply_others(session, job, others, points, checkpoints_kept) if others else Applied()


def _apply_others(
    session: Session, job: LeasedJob, others: Sequence[PostedEvent], points: Tail, checkpoints_kept: int
) -> Applied:
    files = [
        item.event.file.sha256
        for item in others
        if isinstance(item.event, (SampleGridSaved, NeighbourGridSaved, CheckpointSaved, LatentsFixed, FileSaved))
    ]
    artifacts = require_artifacts(session, files)
    _apply_lines(session, job, others)
    insert_histograms(session, job.id, [item.event for item in others if isinstance(item.event, HistogramsLogged)])
    _apply_samples(session, job, others, artifacts)
    applied, has_checkpoint = Applied(), False
    for item in others:
        event = item.event
        if isinstance(event, NeighbourGridSaved):
            _insert_neighbour_grid(session, job, event, artifacts)
        elif isinstance(event, CheckpointSaved):
            _insert_checkpoint(session, job, event, artifacts)
            has_checkpoint = True
        elif isinstance(event, FileSaved):
            _insert_file(session, job, event, artifacts)
        elif isinstance(event, LatentsFixed):
            _update_job(session, job, latents_sha256=event.file.sha256)
        elif isinstance(event, FindingReported):
            change = apply_report(session, job.id, job.attempt, event)
            announce_finding(session, job.id, event, change)
            if change == "began":
                applied.found.append(event.rule)
    if has_checkpoint:
        best = find_best_checkpoint(session, job.id, points)
        applied.retired = retire_checkpoints(session, job.id, checkpoints_kept, best)
    return applied


def _apply_points(session: Session, job_id: str, points: Tail) -> None:
    newest = {metric: max(values) for metric, values in points.items()}
    rows = [
        {"job_id": job_id, "metric": metric, **latest_columns(iteration, points[metric][iteration])}
        for metric, iteration in newest.items()
    ]
    if rows:
        # executemany: a single statement would differ for each number of metrics.
        session.connection().execute(_keep_newest(dialect_name(session)), rows)


@cache
def _keep_newest(dialect: str) -> Any:
    insert_latest = insert_for(dialect, LatestValue)
    given = insert_latest.excluded
    return insert_latest.on_conflict_do_update(
        index_elements=["job_id", "metric"],
        set_={"iteration": given.iteration, "value": given.value, "flag": given.flag},
        where=given.iteration >= LatestValue.iteration,
    )


def _apply_lines(session: Session, job: LeasedJob, events: Sequence[PostedEvent]) -> None:
    lines = [
        {
            "job_id": job.id,
            "attempt": job.attempt,
            "iteration": item.event.iteration,
            "level": item.event.level,
            "text": item.event.text,
            "about": item.event.about,
            "at": item.at,
        }
        for item in events
        if isinstance(item.event, LineLogged)
    ]
    if lines:
        session.execute(insert(LogLine), lines)


def _apply_samples(
    session: Session, job: LeasedJob, events: Sequence[PostedEvent], artifacts: dict[str, Artifact]
) -> None:
    # A repeated grid of the same iteration replaces the earlier one.
    grids = {item.event.iteration: item.event for item in events if isinstance(item.event, SampleGridSaved)}
    if not grids:
        return
    session.execute(delete(Sample).where(Sample.job_id == job.id, Sample.iteration.in_(grids)))
    rows = [
        {"job_id": job.id, "iteration": iteration, **_grid_columns(job.attempt, event, artifacts)}
        for iteration, event in grids.items()
    ]
    session.execute(insert(Sample).values(created_at=database_now()), rows)
    newest = select(Sample.id).where(Sample.job_id == job.id).order_by(Sample.iteration.desc()).limit(1)
    _update_job(session, job, newest_sample_id=newest.scalar_subquery())


def _insert_neighbour_grid(
    session: Session, job: LeasedJob, event: NeighbourGridSaved, artifacts: dict[str, Artifact]
) -> None:
    row = {**_grid_columns(job.attempt, event, artifacts), "created_at": database_now()}
    insert_row = insert_into(session, NeighbourGrid).values(job_id=job.id, iteration=event.iteration, **row)
    session.execute(insert_row.on_conflict_do_update(index_elements=["job_id", "iteration"], set_=row))


def _grid_columns(
    attempt: int, event: SampleGridSaved | NeighbourGridSaved, artifacts: dict[str, Artifact]
) -> dict[str, Any]:
    sha256 = event.file.sha256
    if artifacts[sha256].media_type != "image/png":
        raise ArtifactMissing("Upload the file of a grid as image/png first.", sha256=[sha256])
    return {
        "attempt": attempt,
        "sha256": sha256,
        "rows": event.rows,
        "columns": event.columns,
        "cell_width": event.cell_width,
        "cell_height": event.cell_height,
        "latents_sha256": event.latents_sha256 or "",
    }


def _insert_checkpoint(
    session: Session, job: LeasedJob, event: CheckpointSaved, artifacts: dict[str, Artifact]
) -> None:
    sha256 = event.file.sha256
    row: dict[str, Any] = {
        "attempt": job.attempt,
        "sha256": sha256,
        "size": artifacts[sha256].size,
        "stored": True,
        "created_at": database_now(),
    }
    insert_row = insert_into(session, Checkpoint).values(job_id=job.id, iteration=event.iteration, **row)
    session.execute(insert_row.on_conflict_do_update(index_elements=["job_id", "iteration"], set_=row))


def _insert_file(session: Session, job: LeasedJob, event: FileSaved, artifacts: dict[str, Artifact]) -> None:
    sha256 = event.file.sha256
    if event.media_type == "image/png" and artifacts[sha256].media_type != "image/png":
        raise ArtifactMissing("Upload the file of a picture as image/png first.", sha256=[sha256])
    row: dict[str, Any] = {
        "attempt": job.attempt,
        "iteration": event.iteration,
        "sha256": sha256,
        "size": artifacts[sha256].size,
        "media_type": event.media_type,
        "created_at": database_now(),
    }
    insert_row = insert_into(session, RunFile).values(job_id=job.id, name=event.name, **row)
    session.execute(insert_row.on_conflict_do_update(index_elements=["job_id", "name"], set_=row))


def _update_job(session: Session, job: LeasedJob, **values: Any) -> None:
    session.connection().execute(update(Job).where(Job.id == job.id).values(values))
