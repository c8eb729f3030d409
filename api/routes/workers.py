"""What workers ask and report. Every write names its attempt; one that no longer holds the job gets 409."""

from typing import Any

from fastapi import APIRouter, Response

from api import queries
from api.bodies import parse_body
from api.deps import AttemptPath, RawBody, ServicesDep
from api.errors import (
    ArtifactMissing,
    AttemptFenced,
    BodyTooLarge,
    JobNotFound,
    JobStateConflict,
    RequestInvalid,
    SequenceConflict,
)
from api.openapi import request_body
from api.posted_events import read_events
from api.responses import documented
from api.routes.examples import CLAIM_EXAMPLE, EVENTS_EXAMPLE, FINISH_EXAMPLE, WORKER_EXAMPLE
from api.schemas import (
    ClaimRead,
    ClaimRequest,
    EventsAccepted,
    EventsPost,
    FinishPost,
    JobRead,
    LeaseRead,
    Page,
    ResumePoint,
    WorkerPost,
    WorkerRead,
)
from api.security import OWN_ATTEMPT, needs
from api.tokens import hash_token, make_attempt_token

claims = APIRouter(tags=["workers"], dependencies=needs("worker"))
listing = APIRouter(tags=["workers"], dependencies=needs("read"))
attempts = APIRouter(tags=["workers"], dependencies=[*needs("attempt"), OWN_ATTEMPT])


@listing.get("/workers", response_model=Page[WorkerRead])
def list_workers(services: ServicesDep) -> Any:
    """List the workers that were heard of in the last day: what they run on, and what they are doing."""
    with services.database.read() as session:
        return Page[WorkerRead](items=queries.list_workers(session))


@claims.post(
    "/workers/heartbeat",
    status_code=204,
    responses=documented(RequestInvalid),
    openapi_extra=request_body(WorkerPost, WORKER_EXAMPLE),
)
def record_worker(raw: RawBody, services: ServicesDep) -> Response:
    """Take in how a worker describes itself; this renews no lease."""
    post = parse_body(WorkerPost, raw)
    with services.database.write() as session:
        queries.record_worker(session, post)
    return Response(status_code=204)


@claims.post(
    "/workers/claim",
    response_model=ClaimRead,
    responses={204: {"description": "No job can be claimed now."}, **documented(RequestInvalid)},
    openapi_extra=request_body(ClaimRequest, CLAIM_EXAMPLE),
)
def claim_job(raw: RawBody, services: ServicesDep) -> Any:
    """Take the next queued job: highest priority first, then the oldest."""
    request = parse_body(ClaimRequest, raw)
    lease_seconds = services.settings.lease_seconds
    token = make_attempt_token()
    with services.database.write() as session:
        claimed = queries.claim_job(session, request, lease_seconds, services.blobs.exists, hash_token(token))
    if claimed is None:
        return Response(status_code=204)
    services.feed.nudge()
    resume = claimed.resume
    return ClaimRead(
        job_id=claimed.job.id,
        attempt=claimed.job.attempt,
        spec=_spec_for_trainer(claimed.job.spec),
        lease_seconds=lease_seconds,
        token=token,
        resume=ResumePoint(iteration=resume.iteration, sha256=resume.sha256, size=resume.size) if resume else None,
    )


@attempts.post(
    "/jobs/{job_id}/attempts/{attempt}/heartbeat",
    response_model=LeaseRead,
    responses=documented(JobNotFound, AttemptFenced),
)
def renew_lease(job_id: str, attempt: AttemptPath, services: ServicesDep) -> Any:
    """Renew the lease; the answer says whether the job is to be cancelled."""
    with services.database.write() as session:
        job = queries.renew_lease(session, job_id, attempt, services.settings.lease_seconds)
    lease = LeaseRead(
        lease_seconds=services.settings.lease_seconds, cancel_requested=job.cancel_requested_at is not None
    )
    return _answer(lease)


@attempts.post(
    "/jobs/{job_id}/attempts/{attempt}/events",
    response_model=EventsAccepted,
    responses=documented(
        JobNotFound, AttemptFenced, SequenceConflict, ArtifactMissing, RequestInvalid, BodyTooLarge
    ),
    openapi_extra=request_body(EventsPost, EVENTS_EXAMPLE),
)
def post_events(job_id: str, attempt: AttemptPath, raw: RawBody, services: ServicesDep) -> Any:
    """Store a batch of numbered events and renew the lease. The same batch may be sent again."""
    events = read_events(raw)
    settings = services.settings
    with services.database.write() as session:
        accepted = queries.insert_events(
            session, job_id, attempt, events, settings.lease_seconds, settings.checkpoints_kept
        )
    services.feed.nudge()
    services.metrics.events.inc(accepted.new_events)
    services.metrics.points.inc(accepted.new_points)
    services.delete_unused_blobs(accepted.retired)
    answer = EventsAccepted(
        lease_seconds=settings.lease_seconds,
        cancel_requested=accepted.cancel_requested,
        next_seq=accepted.next_seq,
    )
    return _answer(answer)


@attempts.post(
    "/jobs/{job_id}/attempts/{attempt}/finish",
    response_model=JobRead,
    responses=documented(JobNotFound, AttemptFenced, SequenceConflict, JobStateConflict, RequestInvalid),
    openapi_extra=request_body(FinishPost, FINISH_EXAMPLE),
)
def finish_attempt(job_id: str, attempt: AttemptPath, raw: RawBody, services: ServicesDep) -> Any:
    """End the attempt. `events_count` must equal the number of stored events. May be sent again."""
    finish = parse_body(FinishPost, raw)
    if finish.reason is not None and finish.reason.code == "checkpoint_unreadable":
        services.delete_damaged_checkpoint(job_id, attempt)
    with services.database.write() as session:
        job = queries.finish_attempt(session, job_id, attempt, finish, services.settings.lease_seconds)
        shown = queries.job_read(session, job)
    services.feed.nudge()
    if job.state == "queued" and job.not_before is None:
        services.waker.wake_workers()
    return shown


def _spec_for_trainer(spec: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the job does not ask: a worker of an older commit refuses fields that it does not know."""
    asked = {name: value for name, value in spec.get("queue", {}).items() if value}
    return {**spec, "queue": asked}


def _answer(body: LeaseRead) -> Response:
    # Written here: FastAPI would check and copy it first, for each of a swarm of workers.
    return Response(body.model_dump_json(), media_type="application/json")
