"""Why a queued run waits: what became of its last attempt, what it waits for, and behind whom."""

from dataclasses import dataclass

from api.attempts.lease_expiry import Queue
from api.jobs.schemas import JobRead
from dashboard.web.formats import show_count

# How an attempt ended that was not the run's end.
ENDS = {
    "lost": "its worker was lost",
    "preempted": "its worker was stopped",
    "failed": "its trainer was killed",
}


@dataclass(frozen=True)
class WaitingView:
    """Sentences for the top of the page. command: the worker to start, any, one with CUDA, or none (empty)."""

    sentences: list[str]
    command: str


def explain_waiting(job: JobRead, queue: Queue) -> WaitingView | None:
    """Say why the run waits; None when it does not."""
    if job.state != "queued":
        return None
    interrupted = _explain_interruption(job)
    if job.obstacle:
        sentences = [interrupted, f"Nobody takes this run: {job.obstacle}."]
        return WaitingView([sentence for sentence in sentences if sentence], "")
    place = _explain_place(queue)
    wants_cuda = job.spec.get("device") == "cuda"
    sentences = [interrupted, place]
    if wants_cuda:
        sentences.append("It waits for a worker with a CUDA GPU, as its spec asks (device: cuda).")
    elif not interrupted and not place:
        sentences.append("No worker has claimed this run yet.")
    # With others under way there are workers; one that only lost its own may have none left.
    command = "" if queue.running else ("CUDA" if wants_cuda else "any")
    return WaitingView([sentence for sentence in sentences if sentence], command)


def _explain_interruption(job: JobRead) -> str:
    if not job.attempts:
        return ""
    last = job.attempts[-1]
    why = last.reason.message.rstrip(".") if last.reason else ""
    end = ENDS.get(last.end or "", "it ended")
    resume = max((point.iteration for point in job.checkpoints if point.url), default=0)
    goes_on = f"goes on from iteration {show_count(resume)}" if resume else "starts again at iteration 0"
    because = f" ({why})" if why else ""
    return f"Attempt {last.attempt} broke off: {end}{because}. The run {goes_on} as soon as a worker is free."


def _explain_place(queue: Queue) -> str:
    if not queue.running:
        return ""
    under_way = f"{show_count(queue.running)} run{' is' if queue.running == 1 else 's are'} under way"
    if not queue.before:
        return f"Waiting: {under_way}; this one is next."
    are = "is" if queue.before == 1 else "are"
    return f"Waiting: {under_way}, {show_count(queue.before)} {are} queued before this one."
