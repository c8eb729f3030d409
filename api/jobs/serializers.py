"""Job rows as the schemas that routes answer with and pages show."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.attempts.queries import list_attempts
from api.attempts.schemas import AttemptRead
from api.events.findings.advice import add_advice
from api.events.findings.queries import judge_job, list_job_findings, read_findings
from api.jobs.schemas import JobRead, JobSummary, LatestMetric
from api.samples.queries import list_checkpoints, sample_read
from api.server.database.models import GANLIB, RUN_KEY, Job, LatestValue, Sample
from api.server.http.schemas import Reason
from api.workers.queries import find_unmet_requirements
from api.workers.queue import count_queue
from api.workers.waiting import explain_waiting

_FLAGGED = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


def job_summaries(session: Session, jobs: Sequence[Job]) -> list[JobSummary]:
    """Return the summaries of jobs with three queries, or four where a queued job has special requirements."""
    latest = _latest_metrics(session, [job.id for job in jobs])
    findings = read_findings(session, [job.id for job in jobs])
    sample_ids = [job.newest_sample_id for job in jobs if job.newest_sample_id is not None]
    rows = session.scalars(select(Sample).where(Sample.id.in_(sample_ids))) if sample_ids else ()
    samples = {sample.id: sample_read(sample) for sample in rows}
    unmet = find_unmet_requirements(session, jobs)
    return [
        JobSummary(
            id=job.id,
            origin=job.origin,
            name=job.name,
            tags=job.tags,
            state=job.state,
            attempt=job.attempt,
            iteration=job.iteration,
            iterations=job.iterations,
            created_at=job.created_at,
            started_at=job.started_at,
            ended_at=job.ended_at,
            cancel_requested_at=job.cancel_requested_at,
            commit=job.commit_hash,
            obstacle=unmet.get(job.id),
            verdict=judge_job(job, findings.get(job.id, ()), latest.get(job.id, {})),
            reason=_reason(job.reason),
            latest=latest.get(job.id, {}),
            newest_sample=samples.get(job.newest_sample_id) if job.newest_sample_id is not None else None,
            url=f"/runs/{job.id}",
            deleted_at=job.deleted_at,
        )
        for job in jobs
    ]


def job_summary(session: Session, job: Job) -> JobSummary:
    """Return the summary of one job."""
    return job_summaries(session, [job])[0]


def job_read(session: Session, job: Job, *, with_waiting: bool = False) -> JobRead:
    """Return one job in full.

    with_waiting: with the reasons why a queued one waits, for which the queue is counted.
    """
    summary = job_summary(session, job)
    shown = JobRead(
        **{name: getattr(summary, name) for name in JobSummary.model_fields},
        note=job.note,
        spec=job.spec,
        seed=read_seed(job),
        retry_of=job.retry_of,
        made_from=job.made_from,
        key=_read_key(job),
        latents_sha256=job.latents_sha256,
        attempts=_list_attempts(session, job),
        checkpoints=list_checkpoints(session, job.id),
        findings=add_advice(list_job_findings(session, job.id), job.spec if job.origin == GANLIB else None),
        last_event_id=job.last_event_id,
    )
    if with_waiting and job.state == "queued":
        shown.waiting = explain_waiting(shown, count_queue(session, job))
    return shown


def _read_key(job: Job) -> str | None:
    key = job.idempotency_key or ""
    return key.removeprefix(RUN_KEY) if job.origin != GANLIB and key.startswith(RUN_KEY) else None


def _list_attempts(session: Session, job: Job) -> list[AttemptRead]:
    attempts = list_attempts(session, job.id)
    if job.origin != GANLIB:
        for attempt in attempts:
            attempt.seed = read_seed(job)
    return attempts


def read_seed(job: Job) -> int | None:
    """Return the seed that a job was trained with, None where nobody said it."""
    if job.origin == GANLIB:
        return job.seed
    seed = job.spec.get("config", {}).get("seed")
    return seed if isinstance(seed, int) and not isinstance(seed, bool) else None


def _latest_metrics(session: Session, job_ids: list[str]) -> dict[str, dict[str, LatestMetric]]:
    latest: dict[str, dict[str, LatestMetric]] = {}
    columns = (LatestValue.job_id, LatestValue.metric, LatestValue.iteration, LatestValue.value, LatestValue.flag)
    query = (
        select(*columns).where(LatestValue.job_id.in_(job_ids)).order_by(LatestValue.job_id, LatestValue.metric)
    )
    for job_id, metric, iteration, value, flag in session.execute(query):
        number = _FLAGGED[flag] if flag else value
        latest.setdefault(job_id, {})[metric] = LatestMetric(iteration=iteration, value=number)
    return latest


def _reason(reason: dict[str, object] | None) -> Reason | None:
    return Reason.model_validate(reason) if reason else None
