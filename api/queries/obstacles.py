"""Why no worker takes a queued job: what it asks for, and that nobody who was heard of offers it."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from api.models import Job
from api.queries.workers import list_workers
from api.schemas import WorkerRead


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
