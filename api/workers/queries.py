"""Reads and writes of known workers, and the requirements of queued jobs that none of them meets."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session

from api.server.database.clock import database_now
from api.server.database.engine import dialect_name, insert_for
from api.server.database.models import Job, Worker
from api.workers.schemas import CpuState, GpuState, WorkerPost, WorkerRead

# Four missed descriptions in a row.
ALIVE_SECONDS = 60.0
REMEMBERED_SECONDS = 86_400.0
_DELETE_SILENT = delete(Worker).where(Worker.seen_at < database_now(-REMEMBERED_SECONDS))
_DESCRIBED = (
    "name",
    "device",
    "gpus",
    "gpu_count",
    "cpu",
    "commit_hash",
    "is_dirty",
    "version",
    "job_id",
    "attempt",
)


def record_worker(session: Session, post: WorkerPost) -> None:
    """Store a worker's description of itself; deletes workers that have been silent for a day."""
    described = {
        "name": post.name,
        "device": post.device,
        "gpus": [gpu.model_dump() for gpu in post.gpus],
        "gpu_count": post.gpu_count,
        "cpu": post.cpu.model_dump() if post.cpu else None,
        "commit_hash": post.commit,
        "is_dirty": post.dirty,
        "version": post.version,
        "job_id": post.job_id,
        "attempt": post.attempt,
    }
    connection = session.connection()
    connection.execute(_build_upsert(dialect_name(session)), described)
    connection.execute(_DELETE_SILENT)


@cache
def _build_upsert(dialect: str) -> Any:
    # Built once: see `api.attempts.leases`.
    given = {name: bindparam(name, type_=Worker.__table__.c[name].type) for name in _DESCRIBED}
    described = {**given, "seen_at": database_now()}
    insert = insert_for(dialect, Worker).values(first_seen_at=database_now(), **described)
    return insert.on_conflict_do_update(index_elements=["name"], set_=described)


def list_workers(session: Session) -> list[WorkerRead]:
    """Return every known worker of the last day, living ones first."""
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
            cpu=CpuState(**worker.cpu) if worker.cpu else None,
            commit=worker.commit_hash,
            dirty=worker.is_dirty,
            version=worker.version,
            # The last job of a dead worker is outdated.
            job_id=worker.job_id if alive else None,
            attempt=worker.attempt if alive else None,
        )
        for worker, alive in rows
    ]


def find_unmet_requirements(session: Session, jobs: Sequence[Job]) -> dict[str, str]:
    """Return a sentence for each queued job with a requirement that no living worker meets, by job id."""
    demanding = [job for job in jobs if job.state == "queued" and (job.pinned_commit or job.gpus)]
    if not demanding:
        return {}
    workers = [worker for worker in list_workers(session) if worker.is_alive]
    sentences = {job.id: _describe_unmet(job, workers) for job in demanding}
    return {job_id: sentence for job_id, sentence in sentences.items() if sentence}


def _describe_unmet(job: Job, workers: Sequence[WorkerRead]) -> str:
    able = workers
    if job.pinned_commit:
        pinned = f"pinned to commit {job.pinned_commit[:10]}"
        able = [worker for worker in workers if (worker.commit or "").startswith(job.pinned_commit)]
        if not able:
            return f"{pinned}; no known worker runs it"
        able = [worker for worker in able if not worker.dirty]
        if not able:
            return f"{pinned}; the workers on it have uncommitted changes, so they cannot claim it"
    if job.gpus and not any(worker.gpu_count >= job.gpus for worker in able):
        cards = "a GPU" if job.gpus == 1 else f"{job.gpus} GPUs on one machine"
        offer = "runs its commit and offers" if job.pinned_commit else "offers"
        return f"it needs {cards}; no known worker {offer} as many"
    return ""
