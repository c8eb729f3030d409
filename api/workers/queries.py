"""The workers that were heard of."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session

from api.server.database.clock import database_now
from api.server.database.engine import dialect_name, insert_for
from api.server.database.models import Job, Worker
from api.workers.schemas import GpuState, WorkerPost, WorkerRead

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
    # Built once: see `api.attempts.leases`.
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


def find_obstacles(session: Session, jobs: Sequence[Job]) -> dict[str, str]:
    """Return a sentence for each queued job that asks for what no worker that is alive offers, by the job's id."""
    asking = [job for job in jobs if job.state == "queued" and (job.pinned_commit or job.gpus)]
    if not asking:
        return {}
    workers = [worker for worker in list_workers(session) if worker.is_alive]
    found = {job.id: _explain(job, workers) for job in asking}
    return {job_id: sentence for job_id, sentence in found.items() if sentence}


def _explain(job: Job, workers: Sequence[WorkerRead]) -> str:
    able = workers
    if job.pinned_commit:
        pinned = f"pinned to commit {job.pinned_commit[:10]}"
        able = [worker for worker in workers if (worker.commit or "").startswith(job.pinned_commit)]
        if not able:
            return f"{pinned}; no worker that runs it was heard of"
        able = [worker for worker in able if not worker.dirty]
        if not able:
            return f"{pinned}; the workers on it have uncommitted changes, so they do not take it"
    if job.gpus and not any(worker.gpu_count >= job.gpus for worker in able):
        cards = "a GPU" if job.gpus == 1 else f"{job.gpus} GPUs on one machine"
        whose = "that runs its commit and offers" if job.pinned_commit else "that offers"
        return f"it asks for {cards}; no worker {whose} as many was heard of"
    return ""
