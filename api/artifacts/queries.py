"""Reads and writes of artifacts: rows that refer to blobs by their sha256."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, exists, select, update
from sqlalchemy.orm import Session

from api.errors import ArtifactMissing, ArtifactNotFound
from api.server.database.clock import database_now
from api.server.database.engine import dialect_name, insert_for, insert_into
from api.server.database.mlflow_tables import MlflowFile
from api.server.database.models import Artifact, Attempt, Checkpoint, Job, NeighbourGrid, RunFile, Sample

if TYPE_CHECKING:
    from api.server.http.schemas import MediaType

# Databases limit the number of parameters of one statement.
_NAMES_AT_ONCE = 1000


def artifact_url(sha256: str) -> str:
    """Return the address at which a stored file is served."""
    return f"/artifacts/{sha256}"


def record_artifact(session: Session, sha256: str, size: int, media_type: "MediaType") -> None:
    """Record a stored blob as `insert_artifact` does, without reading its row."""
    given = {"sha256": sha256, "size": size, "media_type": media_type}
    statement = _build_insert(dialect_name(session), media_type == "image/png")
    session.connection().execute(statement, given)


@cache
def _build_insert(dialect: str, is_image: bool) -> Any:
    # Built once: see `api.attempts.leases`.
    columns = (Artifact.sha256, Artifact.size, Artifact.media_type)
    values: dict[str, Any] = {column.key: bindparam(column.key, type_=column.type) for column in columns}
    insert = insert_for(dialect, Artifact).values(values | {"created_at": database_now()})
    changed: dict[str, Any] = {"created_at": database_now()}
    if is_image:
        changed["media_type"] = insert.excluded.media_type
    return insert.on_conflict_do_update(index_elements=["sha256"], set_=changed)


def insert_artifact(session: Session, sha256: str, size: int, media_type: "MediaType") -> Artifact:
    """Record a stored blob; a repeated upload as a checked PNG makes it an image."""
    insert = insert_into(session, Artifact).values(
        sha256=sha256, size=size, media_type=media_type, created_at=database_now()
    )
    changed = {"created_at": database_now()} | ({"media_type": media_type} if media_type == "image/png" else {})
    stored = insert.on_conflict_do_update(index_elements=["sha256"], set_=changed).returning(Artifact)
    artifact: Artifact = session.scalars(stored, execution_options={"populate_existing": True}).one()
    return artifact


def get_artifact(session: Session, sha256: str) -> Artifact:
    """Return the row; raises ArtifactNotFound."""
    artifact = session.get(Artifact, sha256)
    if artifact is None:
        raise ArtifactNotFound(sha256=sha256)
    return artifact


def read_sizes(session: Session, sha256s: Sequence[str]) -> dict[str, int]:
    """Return the sizes in bytes of the stored files among these, by sha256."""
    sizes: dict[str, int] = {}
    for start in range(0, len(sha256s), _NAMES_AT_ONCE):
        names = sha256s[start : start + _NAMES_AT_ONCE]
        rows = session.execute(select(Artifact.sha256, Artifact.size).where(Artifact.sha256.in_(names)))
        sizes.update((sha256, size) for sha256, size in rows)
    return sizes


def require_artifacts(session: Session, sha256s: Iterable[str]) -> dict[str, Artifact]:
    """Return the rows by sha256; raises ArtifactMissing with those that are not stored."""
    names = sorted(set(sha256s))
    if not names:
        return {}
    rows = {row.sha256: row for row in session.scalars(select(Artifact).where(Artifact.sha256.in_(names)))}
    missing = [name for name in names if name not in rows]
    if missing:
        raise ArtifactMissing(sha256=missing)
    return rows


def retire_checkpoints(session: Session, job_id: str, kept: int, best: int | None = None) -> list[str]:
    """Mark all but the newest `kept` stored checkpoints, and that of iteration `best`, as no longer stored.

    Returns their sha256. A live attempt resumes from the newest one or has written newer ones, so retired ones are
    not in use.
    """
    own = (Checkpoint.job_id == job_id, Checkpoint.stored)
    newest = select(Checkpoint.iteration).where(*own).order_by(Checkpoint.iteration.desc()).limit(kept)
    retired = update(Checkpoint).where(
        *own, Checkpoint.iteration.not_in(newest), Checkpoint.iteration != (-1 if best is None else best)
    )
    return list(session.scalars(retired.values(stored=False).returning(Checkpoint.sha256)))


def forget_checkpoints(session: Session, sha256: str) -> None:
    """Mark every checkpoint with this file as no longer stored."""
    session.execute(update(Checkpoint).where(Checkpoint.sha256 == sha256).values(stored=False))


def find_resumed_checkpoint(session: Session, job_id: str, attempt: int) -> str | None:
    """Return the sha256 of the checkpoint that this attempt resumed from, or None."""
    query = select(Checkpoint.sha256).join(
        Attempt, (Attempt.job_id == Checkpoint.job_id) & (Attempt.resumed_from == Checkpoint.iteration)
    )
    return session.scalars(query.where(Attempt.job_id == job_id, Attempt.attempt == attempt)).one_or_none()


def delete_unused_artifact(session: Session, sha256: str) -> int | None:
    """Delete the row if nothing refers to it, and return the file's size then; the blob goes after the commit."""
    deleted = delete(Artifact).where(Artifact.sha256 == sha256, *_is_unused(sha256))
    return session.scalars(deleted.returning(Artifact.size)).one_or_none()


def hold_name(connection: Connection, sha256: str) -> bool:
    """Insert a row that the caller never commits, unless there is one; returns whether there was none.

    Until the transaction ends, an upload of the same bytes waits for it.
    """
    insert = insert_for(connection.dialect.name, Artifact).values(
        sha256=sha256, size=0, media_type="application/octet-stream", created_at=database_now()
    )
    held = insert.on_conflict_do_nothing(index_elements=["sha256"]).returning(Artifact.sha256)
    return connection.execute(held).one_or_none() is not None


def list_known(session: Session, sha256s: Iterable[str]) -> set[str]:
    """Return those of these names that have a row."""
    return set(session.scalars(select(Artifact.sha256).where(Artifact.sha256.in_(list(sha256s)))))


def list_orphans(session: Session, older_than_seconds: float, limit: int = 1000) -> list[str]:
    """Return artifacts that are older than this and that nothing refers to."""
    old = Artifact.created_at < database_now(-older_than_seconds)
    return list(session.scalars(select(Artifact.sha256).where(old, *_is_unused(Artifact.sha256)).limit(limit)))


def _is_unused(sha256: object) -> list[ColumnElement[bool]]:
    in_samples = exists().where(Sample.sha256 == sha256)
    in_neighbours = exists().where(NeighbourGrid.sha256 == sha256)
    in_checkpoints = exists().where(Checkpoint.sha256 == sha256, Checkpoint.stored)
    in_latents = exists().where(Job.latents_sha256 == sha256)
    in_files = exists().where(RunFile.sha256 == sha256)
    in_mlflow = exists().where(MlflowFile.sha256 == sha256)
    return [~in_samples, ~in_neighbours, ~in_checkpoints, ~in_latents, ~in_files, ~in_mlflow]
