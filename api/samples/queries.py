"""What a job's page shows in order: sample grids, log lines, attempts, checkpoints."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.jobs.schemas import AttemptRead
from api.jobs.serializers import attempt_read, checkpoint_read, log_line_read, neighbour_grid_read, sample_read
from api.samples.schemas import CheckpointRead, LogLineRead, NeighbourGridRead, SampleRead
from api.server.database.cursors import read_cursor, write_cursor
from api.server.database.models import Attempt, Checkpoint, LogLine, NeighbourGrid, Sample
from api.server.http.schemas import Page


class GridRow(NamedTuple):
    """One sample grid, for whoever reads a whole timeline of them."""

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
        """What two grids must share, so that a cell of one is the same latent in the other."""
        return self[3:]

    @property
    def width(self) -> int:
        """The whole image's, in pixels."""
        return self.columns * self.cell_width

    @property
    def height(self) -> int:
        """The whole image's, in pixels."""
        return self.rows * self.cell_height


def list_grid_rows(session: Session, job_id: str, first: int = 0, last: int | None = None) -> list[GridRow]:
    """Return the sample grids from one iteration to another (by default all) in order."""
    query = select(*(getattr(Sample, name) for name in GridRow._fields)).where(Sample.job_id == job_id)
    query = query.where(Sample.iteration >= first)
    if last is not None:
        query = query.where(Sample.iteration <= last)
    return [GridRow(*row) for row in session.execute(query.order_by(Sample.iteration))]


def list_samples(session: Session, job_id: str, limit: int = 1000, cursor: str | None = None) -> Page[SampleRead]:
    """Return one page of the timeline, oldest first."""
    query = select(Sample).where(Sample.job_id == job_id).order_by(Sample.iteration).limit(limit + 1)
    if cursor is not None:
        query = query.where(Sample.iteration > read_cursor(cursor, int)[0])
    rows = list(session.scalars(query))
    page = rows[:limit]
    more = len(rows) > limit
    return Page(items=[sample_read(row) for row in page], next=write_cursor(page[-1].iteration) if more else None)


def list_samples_at(session: Session, job_id: str, iterations: Sequence[int]) -> list[SampleRead]:
    """Return the sample grids of these iterations, as far as there are any, oldest first."""
    wanted = (Sample.job_id == job_id, Sample.iteration.in_(iterations))
    return [sample_read(row) for row in session.scalars(select(Sample).where(*wanted).order_by(Sample.iteration))]


def list_neighbour_grids(
    session: Session, job_id: str, limit: int = 1000, cursor: str | None = None
) -> Page[NeighbourGridRead]:
    """Return one page of the grids of nearest training images, oldest first."""
    query = select(NeighbourGrid).where(NeighbourGrid.job_id == job_id).order_by(NeighbourGrid.iteration)
    if cursor is not None:
        query = query.where(NeighbourGrid.iteration > read_cursor(cursor, int)[0])
    rows = list(session.scalars(query.limit(limit + 1)))
    page = rows[:limit]
    more = write_cursor(page[-1].iteration) if len(rows) > limit else None
    return Page(items=[neighbour_grid_read(row) for row in page], next=more)


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
    query = select(LogLine).where(LogLine.job_id == job_id).order_by(LogLine.id.desc()).limit(tail + 1)
    if cursor is not None:
        query = query.where(LogLine.id < read_cursor(cursor, int)[0])
    rows = list(session.scalars(query))
    page = rows[:tail][::-1]
    more = len(rows) > tail
    return Page(items=[log_line_read(row) for row in page], next=write_cursor(page[0].id) if more else None)


def list_attempts(session: Session, job_id: str) -> list[AttemptRead]:
    """Return every attempt, first one first."""
    query = select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.attempt)
    return [attempt_read(row) for row in session.scalars(query)]


def list_checkpoints(session: Session, job_id: str) -> list[CheckpointRead]:
    """Return every committed checkpoint in order of iteration, also those whose file made room."""
    query = select(Checkpoint).where(Checkpoint.job_id == job_id).order_by(Checkpoint.iteration)
    return [checkpoint_read(row) for row in session.scalars(query)]
