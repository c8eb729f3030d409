"""Submitting a job: the one way, whether over REST or from a form of the dashboard."""

from api.jobs import edits, serializers
from api.jobs import queries as job_queries
from api.jobs.schemas import JobRead
from api.server.services import Services
from ganlib.spec.job import JobSpec


def submit_job(
    services: Services, spec: JobSpec, idempotency_key: str | None = None, made_from: str | None = None
) -> tuple[JobRead, bool]:
    """Store a queued job, then wake the workers; returns it and whether it is new.

    made_from: the job from whose spec it was made. Whoever calls has counted the submit. Raises
    IdempotencyConflict when the key came with another spec, and JobNotFound when made_from is no job.
    """
    allowed = services.settings.attempts_allowed
    with services.database.write() as session:
        job, is_new = job_queries.insert_job(session, spec, allowed, idempotency_key, made_from=made_from)
        shown = serializers.job_read(session, job)
    if is_new:
        _tell(services)
    return shown, is_new


def retry_job(
    services: Services, job_id: str, from_start: bool = False, idempotency_key: str | None = None
) -> JobRead:
    """Store a queued job that repeats one which failed or was cancelled, then wake the workers.

    It goes on from the newest checkpoint that is stored unless it is to begin anew. Raises JobNotFound,
    JobStateConflict, and SpecRefused when this version no longer takes the spec.
    """
    blobs = None if from_start else services.blobs
    allowed = services.settings.attempts_allowed
    with services.database.write() as session:
        job = edits.retry_job(session, job_id, allowed, blobs, idempotency_key)
        shown = serializers.job_read(session, job)
    _tell(services)
    return shown


def _tell(services: Services) -> None:
    services.waker.wake_workers()
    services.feed.nudge()
