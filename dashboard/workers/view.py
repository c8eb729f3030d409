"""The queue and the workers: queued runs with the reason why each waits, and each worker's run and GPUs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from api.workers.queue import QueuedJob, RunningJob
from api.workers.schemas import CpuState, GpuState, WorkerRead
from dashboard.web.commit_links import short_commit
from dashboard.web.formats import NOTHING, show_count, show_duration, show_moment, show_percent
from dashboard.web.layout import Frame, Moment, moment_of

QUEUED_ROWS = 100
GIB = 1_073_741_824


@dataclass(frozen=True)
class QueueData:
    """The first queued jobs and the number of all, the running jobs, and the workers of the last day."""

    waiting: Sequence[QueuedJob]
    waiting_count: int
    running: Sequence[RunningJob]
    workers: Sequence[WorkerRead]
    last_event_id: int


@dataclass(frozen=True)
class WaitingRow:
    """One queued job: its position, its requirements, why no worker has taken it, and about when one will."""

    id: str
    position: str
    name: str
    href: str
    priority: str
    requirements: str
    why: str
    start: str
    created: Moment


@dataclass(frozen=True)
class CardView:
    """One GPU, or all cores: memory in use, and load (None where nobody reports it)."""

    name: str
    memory: str
    memory_used: int
    memory_total: int
    busy: str
    busy_percent: int | None


@dataclass(frozen=True)
class WorkerRow:
    """One worker: its run, its device and GPUs, and when it was last seen."""

    name: str
    is_alive: bool
    doing: str
    run_name: str
    run_id: str
    run_href: str
    progress: str
    left: str
    device: str
    cards: list[CardView]
    version: str
    seen: Moment


@dataclass(frozen=True)
class QueuePage:
    """The queue, and the workers."""

    title: str
    frame: Frame
    summary: str
    waiting: list[WaitingRow]
    more: str
    workers: list[WorkerRow]
    absence: str
    stream_url: str
    last_event_id: int


def build_queue_page(data: QueueData, frame: Frame, now: datetime) -> QueuePage:
    """Return the page."""
    more = data.waiting_count - len(data.waiting)
    starts = estimate_starts(data)
    workers = _worker_rows(data, now)
    return QueuePage(
        title="Queue and workers",
        frame=frame,
        summary=_summarise(data, workers),
        waiting=[
            _waiting_row(position, job, data, starts.get(job.id), now)
            for position, job in enumerate(data.waiting, 1)
        ],
        more=f"and {show_count(more)} more" if more else "",
        workers=workers,
        absence=_describe_absence(workers),
        stream_url="/events",
        last_event_id=data.last_event_id,
    )


def explain_waiting(job: QueuedJob, workers: Sequence[WorkerRead], running: Sequence[RunningJob]) -> str:
    """Return why no worker has taken the job; the labels of workers are not known here, so they are only named."""
    alive = [worker for worker in workers if worker.is_alive]
    away = len(workers) - len(alive)
    cards = [gpu.memory_total for worker in alive for gpu in worker.gpus]
    if job.not_before is not None:
        return f"Waits until {show_moment(job.not_before)}, after attempt {job.attempt} was lost."
    if not alive and running:
        # Workers that run something and have not described themselves.
        return _describe_busy(len({run.worker for run in running}))
    if not alive and away:
        return "The only worker is away." if away == 1 else f"All {away} workers are away."
    if not alive:
        return "There is no worker."
    if job.device == "cuda" and not cards:
        return "No worker has a CUDA card."
    if job.gpu_memory > max(cards, default=0):
        largest = f"the largest has {show_gib(max(cards))}" if cards else "none has any"
        return f"No worker has a card of {show_gib(job.gpu_memory)}; {largest}."
    if job.labels:
        return f"Waits for a worker with the label{'s' * (len(job.labels) > 1)} {', '.join(job.labels)}."
    if job.commit and not any(
        (worker.commit or "").startswith(job.commit) and not worker.dirty for worker in alive
    ):
        return f"No worker runs commit {short_commit(job.commit)}."
    busy = {run.worker for run in running}
    if all(worker.job_id or worker.name in busy for worker in alive):
        return _describe_busy(len(alive))
    return "A free worker takes it within seconds, if it can."


def _describe_busy(count: int) -> str:
    return "The worker is busy." if count == 1 else f"All {count} workers are busy."


def show_gib(size: int) -> str:
    """Bytes as GiB: 24 GiB, 7.5 GiB."""
    return f"{size / GIB:.1f}".removesuffix(".0") + " GiB"


def _describe_absence(workers: Sequence[WorkerRow]) -> str:
    """Return a sentence where no worker is there; the table below names those of the last day."""
    if any(worker.is_alive for worker in workers):
        return ""
    if not workers:
        return "No worker has been seen in the last day. Runs wait until one connects."
    if len(workers) == 1:
        return (
            f"The only worker was last seen {workers[0].seen.age}. Runs wait until it is back or another connects."
        )
    return f"All {len(workers)} workers are away. Runs wait until one is back or another connects."


def _summarise(data: QueueData, rows: Sequence[WorkerRow]) -> str:
    alive = sum(row.is_alive for row in rows)
    away = len(rows) - alive
    workers = "no worker" if not alive else "1 worker" if alive == 1 else f"{alive} workers"
    if not alive and away:
        workers = "1 worker away" if away == 1 else f"{away} workers away"
    parts = (f"{show_count(data.waiting_count)} waiting", f"{len(data.running)} running", workers)
    return ", ".join(parts)


def _seconds_left(run: RunningJob) -> float | None:
    if not run.speed or not 0 < run.speed < float("inf") or not run.iterations:
        return None
    return max(0, run.iterations - run.iteration) / run.speed


def estimate_starts(data: QueueData) -> dict[str, float]:
    """Return in about how many seconds queued jobs start, by id, as far as the pace of running ones tells.

    Every living worker takes the next job when its own is done; what starts then is taken to run at the mean pace
    of those that run now. Nothing is said where a worker's end is not known, nor of a job that needs a worker of
    its own kind.
    """
    running = {run.worker: run for run in data.running}
    alive = {worker.name for worker in data.workers if worker.is_alive} | set(running)
    ends = [_seconds_left(running[name]) if name in running else 0.0 for name in alive]
    known = sorted(end for end in ends if end is not None)
    paces = [1 / run.speed for run in data.running if run.speed and 0 < run.speed < float("inf")]
    # A worker of which nobody knows may be free at any time: the others tell no more than the latest start.
    if len(known) < len(ends) or not known or not paces:
        return {}
    pace, starts = sum(paces) / len(paces), {}
    for job in data.waiting:
        is_bound = job.not_before or job.labels or job.commit or job.gpus or job.gpu_memory or job.device == "cuda"
        if is_bound:
            continue
        starts[job.id] = known[0]
        known = sorted([*known[1:], known[0] + job.iterations * pace])
    return starts


def _waiting_row(position: int, job: QueuedJob, data: QueueData, start: float | None, now: datetime) -> WaitingRow:
    return WaitingRow(
        id=job.id,
        position=show_count(position),
        name=job.name,
        href=f"/runs/{job.id}",
        priority=f"{job.priority:+d}".replace("-", "−") if job.priority else "0",
        requirements=_show_requirements(job),
        why=explain_waiting(job, data.workers, data.running),
        start=f"about {show_duration(start)}" if start else "",
        created=moment_of(job.created_at, now),
    )


def _show_requirements(job: QueuedJob) -> str:
    requirements = [{"cuda": "CUDA", "cpu": "CPU"}.get(job.device, "")]
    requirements += [f"{show_gib(job.gpu_memory)} of a card"] if job.gpu_memory else []
    requirements += [f"{job.gpus} card{'s' * (job.gpus > 1)}"] if job.gpus else []
    requirements += [f"label {label}" for label in job.labels]
    requirements += [f"commit {short_commit(job.commit)}"] if job.commit else []
    return ", ".join(filter(None, requirements)) or "any worker"


def _worker_rows(data: QueueData, now: datetime) -> list[WorkerRow]:
    """Return the known workers, and after them those that run a job but have not described themselves."""
    by_worker = {run.worker: run for run in data.running}
    by_id = {run.id: run for run in data.running}
    rows = [
        _worker_row(worker, by_id.get(worker.job_id or "") or by_worker.get(worker.name), now)
        for worker in data.workers
    ]
    known = {worker.name for worker in data.workers}
    return rows + [_unknown_row(run, now) for run in data.running if run.worker not in known]


def _worker_row(worker: WorkerRead, run: RunningJob | None, now: datetime) -> WorkerRow:
    doing = "runs" if run else "idle" if worker.is_alive else "away"
    return WorkerRow(
        name=worker.name,
        is_alive=worker.is_alive,
        doing=doing,
        run_name=run.name if run else "",
        run_id=run.id if run else "",
        run_href=f"/runs/{run.id}" if run else "",
        progress=_show_progress(run) if run else "",
        left=_show_left(run) if run else "",
        device=worker.device or NOTHING,
        cards=[*([_cpu_card(worker.cpu)] if worker.cpu and worker.is_alive else []), *map(_card, worker.gpus)],
        version=worker.version,
        seen=moment_of(worker.seen_at, now),
    )


def _unknown_row(run: RunningJob, now: datetime) -> WorkerRow:
    return WorkerRow(
        name=run.worker,
        is_alive=True,
        doing="runs",
        run_name=run.name,
        run_id=run.id,
        run_href=f"/runs/{run.id}",
        progress=_show_progress(run),
        left=_show_left(run),
        device=NOTHING,
        cards=[],
        version="",
        seen=moment_of(run.heartbeat_at, now),
    )


def _show_progress(run: RunningJob) -> str:
    at = f"at {show_count(run.iteration)} of {show_count(run.iterations)}"
    return f"{at}, attempt {run.attempt}" if run.attempt > 1 else at


def _show_left(run: RunningJob) -> str:
    seconds = _seconds_left(run)
    return "" if seconds is None else f"about {show_duration(seconds)} left"


def _cpu_card(cpu: CpuState) -> CardView:
    return CardView(
        name=f"{show_count(cpu.cores)} core{'s' * (cpu.cores > 1)}",
        memory=f"{cpu.memory_used / GIB:.1f} of {show_gib(cpu.memory_total)}",
        memory_used=cpu.memory_used,
        memory_total=max(1, cpu.memory_total),
        busy=NOTHING if cpu.utilisation is None else f"{show_percent(cpu.utilisation)} busy",
        busy_percent=None if cpu.utilisation is None else round(100 * cpu.utilisation),
    )


def _card(gpu: GpuState) -> CardView:
    return CardView(
        name=f"{gpu.index}: {gpu.name}",
        memory=f"{gpu.memory_used / GIB:.1f} of {show_gib(gpu.memory_total)}",
        memory_used=gpu.memory_used,
        memory_total=max(1, gpu.memory_total),
        busy=NOTHING if gpu.utilisation is None else f"{show_percent(gpu.utilisation)} busy",
        busy_percent=None if gpu.utilisation is None else round(100 * gpu.utilisation),
    )
