"""Submits and retries jobs, for the REST routes and the dashboard's forms."""

from api.jobs import edits, serializers
from api.jobs import queries as job_queries
from api.jobs.schemas import JobRead
from api.server.services import Services
from ganlib.spec.job import JobSpec


def submit_job(
    services: Services, spec: JobSpec, idempotency_key: str | None = None, made_from: str | None = None
) -> tuple[JobRead, bool]:
    """Store a queued job, then wake the workers; returns it and whether it is new.

    made_from: the job whose spec was changed. The caller has checked the rate limit. Raises IdempotencyConflict
    when the key was used with another spec, and JobNotFound when made_from does not exist.
    """
    allowed = services.settings.attempts_allowed
    with services.database.write() as session:
        job, is_new = job_queries.insert_job(session, spec, allowed, idempotency_key, made_from=made_from)
        shown = serializers.job_read(session, job)
    if is_new:
        _announce(services)
    return shown, is_new


def retry_job(
    services: Services, job_id: str, from_start: bool = False, idempotency_key: str | None = None
) -> tuple[JobRead, bool]:
    """Store a queued job that repeats a failed or cancelled one, then wake the workers.

    Returns it and whether it is new. It resumes from the newest stored checkpoint unless `from_start` is set.
    Raises JobNotFound, JobStateConflict, IdempotencyConflict when the key made another job than a retry of this
    one, and SpecRefused when this version no longer accepts the spec.
    """
    blobs = None if from_start else services.blobs
    allowed = services.settings.attempts_allowed
    with services.database.write() as session:
        job, is_new = edits.retry_job(session, job_id, allowed, blobs, idempotency_key)
        shown = serializers.job_read(session, job)
    if is_new:
        _announce(services)
    return shown, is_new


def _announce(services: Services) -> None:
    services.waker.wake_workers()
    services.feed.notify()
