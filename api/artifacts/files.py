"""Reads of a job's files: names of a table, never paths of a disk."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.artifacts.queries import artifact_url
from api.artifacts.schemas import RunFileRead
from api.errors import ArtifactNotFound
from api.server.database.cursors import read_cursor, read_page
from api.server.database.models import RunFile
from api.server.http.schemas import Page


def list_files(
    session: Session, job_id: str, under: str = "", limit: int = 1000, cursor: str | None = None
) -> Page[RunFileRead]:
    """Return one page of a job's files by name; under: only those whose names begin so."""
    query = select(RunFile).where(RunFile.job_id == job_id).order_by(RunFile.name)
    if under:
        query = query.where(RunFile.name.startswith(under, autoescape=True))
    if cursor is not None:
        query = query.where(RunFile.name > read_cursor(cursor, str)[0])
    return read_page(session, query, limit, file_read, lambda row: (row.name,))


def count_files(session: Session, job_id: str) -> tuple[int, int]:
    """Return how many files a job has, and their size together in bytes."""
    counted = select(func.count(), func.coalesce(func.sum(RunFile.size), 0)).where(RunFile.job_id == job_id)
    count, size = session.execute(counted).one()
    return count, int(size)


def get_file(session: Session, job_id: str, name: str) -> RunFile:
    """Return the file of this name; raises ArtifactNotFound."""
    file = session.get(RunFile, (job_id, name)) if "\0" not in name else None
    if file is None:
        raise ArtifactNotFound(f"This run has no file of the name {name[:200]}.")
    return file


def file_read(file: RunFile) -> RunFileRead:
    """Return the schema of a file."""
    return RunFileRead(
        name=file.name,
        iteration=file.iteration,
        attempt=file.attempt,
        sha256=file.sha256,
        size=file.size,
        media_type=file.media_type,
        url=artifact_url(file.sha256),
        created_at=file.created_at,
    )
