"""Why a queued job waits, in sentences, for its page and for the command line."""

from api.jobs.schemas import JobRead
from api.workers.queue import QueuePosition

# Ends of an attempt after which the run continues.
ATTEMPT_ENDS = {
    "lost": "its worker was lost",
    "preempted": "its worker was stopped",
    "failed": "its trainer was killed",
}


def explain_waiting(job: JobRead, queue: QueuePosition) -> list[str]:
    """Return why the job waits; nothing when it does not."""
    if job.state != "queued":
        return []
    interruption = _explain_interruption(job)
    if job.obstacle:
        sentences = [interruption, f"No worker takes this run: {job.obstacle}."]
        return [sentence for sentence in sentences if sentence]
    position = _describe_position(queue)
    sentences = [interruption, position]
    if job.spec.get("device") == "cuda":
        sentences.append("It waits for a worker with a CUDA GPU, as its spec asks (device: cuda).")
    elif not interruption and not position:
        sentences.append("No worker has claimed this run yet.")
    return [sentence for sentence in sentences if sentence]


def _explain_interruption(job: JobRead) -> str:
    if not job.attempts:
        return ""
    last = job.attempts[-1]
    why = last.reason.message.rstrip(".") if last.reason else ""
    resume = max((point.iteration for point in job.checkpoints if point.url), default=0)
    resumption = f"continues from iteration {resume:,}" if resume else "starts again at iteration 0"
    because = f" ({why})" if why else ""
    interruption = (
        f"Attempt {last.attempt} was interrupted: {ATTEMPT_ENDS.get(last.end or '', 'it ended')}{because}."
    )
    return f"{interruption} The run {resumption} as soon as a worker is free."


def _describe_position(queue: QueuePosition) -> str:
    if not queue.running:
        return ""
    under_way = f"{queue.running:,} run{' is' if queue.running == 1 else 's are'} under way"
    if not queue.before:
        return f"Waiting: {under_way}; this one is next."
    are = "is" if queue.before == 1 else "are"
    return f"Waiting: {under_way}, {queue.before:,} {are} queued before this one."
