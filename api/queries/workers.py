"""The workers that were heard of."""

from functools import cache
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session

from api.clock import database_now
from api.db import dialect_name, insert_for
from api.models import Worker
from api.schemas import GpuState, WorkerPost, WorkerRead

# Four missed descriptions.
ALIVE_SECONDS = 60.0
REMEMBERED_SECONDS = 86_400.0
_FORGET = delete(Worker).where(Worker.seen_at < database_now(-REMEMBERED_SECONDS))
_DESCRIBED = (
    "name",
    "device",
    "gpus",
    "gpu_count",
    "commit_hash",
    "is_dirty",
    "version",
    "job_id",
    "attempt",
)


def record_worker(session: Session, post: WorkerPost) -> None:
    """Store a worker's description of itself in the place of its last; those not heard of for a day go."""
    described = {
        "name": post.name,
        "device": post.device,
        "gpus": [gpu.model_dump() for gpu in post.gpus],
        "gpu_count": post.gpu_count,
        "commit_hash": post.commit,
        "is_dirty": post.dirty,
        "version": post.version,
        "job_id": post.job_id,
        "attempt": post.attempt,
    }
    connection = session.connection()
    connection.execute(_describe_on(dialect_name(session)), described)
    connection.execute(_FORGET)


@cache
def _describe_on(dialect: str) -> Any:
    # Built once: see `api.queries.holding`.
    given = {name: bindparam(name, type_=Worker.__table__.c[name].type) for name in _DESCRIBED}
    described = {**given, "seen_at": database_now()}
    insert = insert_for(dialect, Worker).values(first_seen_at=database_now(), **described)
    return insert.on_conflict_do_update(index_elements=["name"], set_=described)


def list_workers(session: Session) -> list[WorkerRead]:
    """Return every worker that was heard of in the last day, those that are alive first."""
    is_alive = (Worker.seen_at > database_now(-ALIVE_SECONDS)).label("is_alive")
    rows = session.execute(select(Worker, is_alive).order_by(is_alive.desc(), Worker.name))
    return [
        WorkerRead(
            name=worker.name,
            first_seen_at=worker.first_seen_at,
            seen_at=worker.seen_at,
            is_alive=bool(alive),
            device=worker.device,
            gpus=[GpuState(**gpu) for gpu in worker.gpus],
            gpu_count=worker.gpu_count,
            commit=worker.commit_hash,
            dirty=worker.is_dirty,
            version=worker.version,
            # What a dead worker last said that it was doing is no news of the job.
            job_id=worker.job_id if alive else None,
            attempt=worker.attempt if alive else None,
        )
        for worker, alive in rows
    ]
