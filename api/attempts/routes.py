"""Routes of attempts: claim, heartbeat, events, finish.

Every write names its attempt; an attempt that no longer holds the job gets 409.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse

from api.attempts import claims, leases, opening
from api.attempts import queries as attempt_queries
from api.attempts.schemas import (
    AttemptPosition,
    ClaimRead,
    ClaimRequest,
    FinishPost,
    LeaseRead,
    ResumePoint,
    RunOpen,
    RunOpened,
)
from api.errors import (
    ArtifactMissing,
    AttemptFenced,
    BodyTooLarge,
    DiffNotFound,
    IdempotencyConflict,
    JobNotFound,
    JobStateConflict,
    RequestInvalid,
    SequenceConflict,
    TooManyRequests,
)
from api.events import ingest
from api.events.parsing import read_events
from api.events.schemas import EventsAccepted, EventsPost
from api.jobs import queries as job_queries
from api.jobs import serializers
from api.jobs.ids import NAMED_JOB
from api.jobs.schemas import JobRead
from api.server.access.grants import hash_token, make_attempt_token
from api.server.access.scopes import OWN_ATTEMPT, needs
from api.server.http.bodies import parse_body
from api.server.http.dependencies import AttemptPath, Caller, RawBody, ServicesDep
from api.server.http.openapi import CLAIM_EXAMPLE, EVENTS_EXAMPLE, FINISH_EXAMPLE, RUN_EXAMPLE, request_body
from api.server.http.responses import documented

EventCount = Annotated[int | None, Query(ge=0, le=2**53, description="How many events its writer holds")]

open_runs = APIRouter(tags=["runs"], dependencies=needs("user"))
claim = APIRouter(tags=["workers"], dependencies=needs("worker"))
report = APIRouter(tags=["workers"], dependencies=[*needs("attempt"), OWN_ATTEMPT])
read = APIRouter(tags=["jobs"], dependencies=[*needs("read"), NAMED_JOB])


@claim.post(
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
        claimed = claims.claim_job(session, request, lease_seconds, services.blobs.exists, hash_token(token))
    if claimed is None:
        return Response(status_code=204)
    services.feed.notify()
    resume = claimed.resume
    return ClaimRead(
        job_id=claimed.job.id,
        attempt=claimed.job.attempt,
        spec=_spec_for_trainer(claimed.job.spec),
        lease_seconds=lease_seconds,
        token=token,
        resume=ResumePoint(iteration=resume.iteration, sha256=resume.sha256, size=resume.size) if resume else None,
    )


@open_runs.post(
    "/runs",
    response_model=RunOpened,
    responses=documented(
        RequestInvalid, BodyTooLarge, IdempotencyConflict, JobStateConflict, AttemptFenced, TooManyRequests
    ),
    openapi_extra=request_body(RunOpen, RUN_EXAMPLE),
)
def open_run(raw: RawBody, services: ServicesDep, caller: Caller) -> Any:
    """Open a run of a loop that Ganvas does not start, or open it again, and let the caller write it.

    Its events, files and end are then posted as a worker posts those of an attempt, with the token of the answer.
    """
    services.rate_limits.count_submit(caller)
    run = parse_body(RunOpen, raw)
    lease_seconds = services.settings.lease_seconds
    token = make_attempt_token()
    with services.database.write() as session:
        opened = opening.open_run(session, run, lease_seconds, hash_token(token))
        job = opened.job
        answer = RunOpened(
            lease_seconds=lease_seconds,
            cancel_requested=job.cancel_requested_at is not None,
            job_id=job.id,
            attempt=job.attempt,
            token="" if opened.is_whole else token,
            next_seq=opened.next_seq,
            state=job.state,
            is_whole=opened.is_whole,
            url=f"/runs/{job.id}",
        )
    services.feed.notify()
    return answer


@report.post(
    "/jobs/{job_id}/attempts/{attempt}/heartbeat",
    response_model=LeaseRead,
    responses=documented(JobNotFound, AttemptFenced),
)
def renew_lease(job_id: str, attempt: AttemptPath, services: ServicesDep) -> Any:
    """Renew the lease; the answer says whether the job is to be cancelled."""
    with services.database.write() as session:
        job = leases.renew_lease(session, job_id, attempt, services.settings.lease_seconds)
    lease = LeaseRead(
        lease_seconds=services.settings.lease_seconds, cancel_requested=job.cancel_requested_at is not None
    )
    return _lease_response(lease)


@report.post(
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
        accepted = ingest.insert_events(
            session, job_id, attempt, events, settings.lease_seconds, settings.checkpoints_kept
        )
    services.feed.notify()
    services.tell_of_grids(job_id, accepted.new_grids)
    services.prometheus.events.inc(accepted.new_events)
    services.prometheus.points.inc(accepted.new_points)
    services.prometheus.findings.count(accepted.found)
    services.delete_unused_blobs(accepted.retired)
    answer = EventsAccepted(
        lease_seconds=settings.lease_seconds,
        cancel_requested=accepted.cancel_requested,
        next_seq=accepted.next_seq,
    )
    return _lease_response(answer)


@report.post(
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
        job = claims.finish_attempt(session, job_id, attempt, finish, services.settings.lease_seconds)
        shown = serializers.job_read(session, job)
    services.feed.notify()
    if job.state == "queued" and job.not_before is None:
        services.waker.wake_workers()
    return shown


@read.get(
    "/jobs/{job_id}/attempts/{attempt}/diff",
    response_class=PlainTextResponse,
    responses=documented(JobNotFound, DiffNotFound),
)
def get_diff(job_id: str, attempt: AttemptPath, services: ServicesDep) -> Response:
    """Download an attempt's uncommitted changes, as `git diff` writes them."""
    with services.database.read() as session:
        job_queries.get_job(session, job_id)
        diff = attempt_queries.get_diff(session, job_id, attempt)
    return PlainTextResponse(
        diff, headers={"content-disposition": f'attachment; filename="attempt-{attempt}.diff"'}
    )


@read.get(
    "/jobs/{job_id}/attempts/{attempt}/position", response_model=AttemptPosition, responses=documented(JobNotFound)
)
def get_position(job_id: str, attempt: AttemptPath, services: ServicesDep, before: EventCount = None) -> Any:
    """Return how far an attempt is stored, and when its last event happened, or the last before this number."""
    with services.database.read() as session:
        job = job_queries.get_job(session, job_id)
        return attempt_queries.read_position(session, job, attempt, before)


def _spec_for_trainer(spec: dict[str, Any]) -> dict[str, Any]:
    """Leave out empty fields of `queue`: a worker of an older commit refuses fields that it does not know."""
    requirements = {name: value for name, value in spec.get("queue", {}).items() if value}
    return {**spec, "queue": requirements}


def _lease_response(body: LeaseRead) -> Response:
    # Serialised here: FastAPI would validate and copy it first, for each of a swarm of workers.
    return Response(body.model_dump_json(), media_type="application/json")
