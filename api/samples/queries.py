"""Reads of what a job records in order: sample grids, neighbour grids, log lines, checkpoints."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.artifacts.best import find_best_checkpoint
from api.artifacts.queries import artifact_url
from api.samples.schemas import CheckpointRead, LogLineRead, NeighbourGridRead, SampleRead
from api.server.database.cursors import read_cursor, read_page
from api.server.database.models import Checkpoint, LogLine, NeighbourGrid, Sample
from api.server.http.schemas import Page


class GridRow(NamedTuple):
    """One sample grid, for readers of a whole timeline."""

    iteration: int
    sha256: str
    created_at: datetime
    rows: int
    columns: int
    cell_width: int
    cell_height: int
    latents_sha256: str

    @property
    def layout(self) -> tuple[int, int, int, int, str]:
        """Rows, columns, cell size and latents: grids that share them show the same latent in the same cell."""
        return self[3:]

    @property
    def has_known_latents(self) -> bool:
        """Whether a cell shows the same latents as in other grids of the layout."""
        return bool(self.latents_sha256)

    @property
    def width(self) -> int:
        """Width of the whole image in pixels."""
        return self.columns * self.cell_width

    @property
    def height(self) -> int:
        """Height of the whole image in pixels."""
        return self.rows * self.cell_height


def list_grid_rows(session: Session, job_id: str, first: int = 0, last: int | None = None) -> list[GridRow]:
    """Return the sample grids from iteration `first` to `last` (by default all) in order."""
    query = select(*(getattr(Sample, name) for name in GridRow._fields)).where(Sample.job_id == job_id)
    query = query.where(Sample.iteration >= first)
    if last is not None:
        query = query.where(Sample.iteration <= last)
    return [GridRow(*row) for row in session.execute(query.order_by(Sample.iteration))]


def list_samples(session: Session, job_id: str, limit: int = 1000, cursor: str | None = None) -> Page[SampleRead]:
    """Return one page of the timeline, oldest first."""
    query = select(Sample).where(Sample.job_id == job_id).order_by(Sample.iteration)
    if cursor is not None:
        query = query.where(Sample.iteration > read_cursor(cursor, int)[0])
    return read_page(session, query, limit, sample_read, lambda row: (row.iteration,))


def list_samples_at(session: Session, job_id: str, iterations: Sequence[int]) -> list[SampleRead]:
    """Return the existing sample grids of these iterations, oldest first."""
    wanted = (Sample.job_id == job_id, Sample.iteration.in_(iterations))
    return [sample_read(row) for row in session.scalars(select(Sample).where(*wanted).order_by(Sample.iteration))]


def list_neighbour_grids(
    session: Session, job_id: str, limit: int = 1000, cursor: str | None = None
) -> Page[NeighbourGridRead]:
    """Return one page of the grids of nearest training images, oldest first."""
    query = select(NeighbourGrid).where(NeighbourGrid.job_id == job_id).order_by(NeighbourGrid.iteration)
    if cursor is not None:
        query = query.where(NeighbourGrid.iteration > read_cursor(cursor, int)[0])
    return read_page(session, query, limit, neighbour_grid_read, lambda row: (row.iteration,))


def list_neighbour_iterations(session: Session, job_id: str) -> list[int]:
    """Return the iterations that have a grid of nearest training images, in order."""
    query = select(NeighbourGrid.iteration).where(NeighbourGrid.job_id == job_id)
    return list(session.scalars(query.order_by(NeighbourGrid.iteration)))


def find_neighbour_grid(session: Session, job_id: str, iteration: int) -> NeighbourGridRead | None:
    """Return the grid of nearest training images at this iteration, or None."""
    row = session.get(NeighbourGrid, (job_id, iteration))
    return neighbour_grid_read(row) if row is not None else None


def list_log_lines(session: Session, job_id: str, tail: int = 200, cursor: str | None = None) -> Page[LogLineRead]:
    """Return the newest `tail` lines in the order in which they were written; `next` leads to older ones."""
    query = select(LogLine).where(LogLine.job_id == job_id).order_by(LogLine.id.desc())
    if cursor is not None:
        query = query.where(LogLine.id < read_cursor(cursor, int)[0])
    newest_first = read_page(session, query, tail, LogLineRead.model_validate, lambda row: (row.id,))
    return Page(items=newest_first.items[::-1], next=newest_first.next)


def list_checkpoints(session: Session, job_id: str) -> list[CheckpointRead]:
    """Return every committed checkpoint in order of iteration, also those whose file was retired."""
    query = select(Checkpoint).where(Checkpoint.job_id == job_id).order_by(Checkpoint.iteration)
    best = find_best_checkpoint(session, job_id)
    return [_checkpoint_read(row, row.iteration == best) for row in session.scalars(query)]


def sample_read(sample: Sample) -> SampleRead:
    """Return the schema of a sample grid."""
    return SampleRead(**_grid_fields(sample))


def neighbour_grid_read(grid: NeighbourGrid) -> NeighbourGridRead:
    """Return the schema of a grid of nearest training images."""
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
        "latents_sha256": grid.latents_sha256 or None,
        "created_at": grid.created_at,
    }


def _checkpoint_read(checkpoint: Checkpoint, is_best: bool) -> CheckpointRead:
    return CheckpointRead(
        iteration=checkpoint.iteration,
        attempt=checkpoint.attempt,
        sha256=checkpoint.sha256,
        size=checkpoint.size,
        url=artifact_url(checkpoint.sha256) if checkpoint.stored else None,
        created_at=checkpoint.created_at,
        is_best=is_best,
    )
