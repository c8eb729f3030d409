"""What workers ask and report. Every write names its attempt; one that no longer holds the job gets 409."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from api.attempts import claims, leases
from api.errors import (
    ArtifactMissing,
    AttemptFenced,
    BodyTooLarge,
    JobNotFound,
    JobStateConflict,
    RequestInvalid,
    SequenceConflict,
)
from api.events import ingest
from api.events.parsing import read_events
from api.jobs import queries as job_queries
from api.jobs import serializers
from api.jobs.schemas import JobRead, QueuePart, QueueRead
from api.server.access.scopes import OWN_ATTEMPT, needs
from api.server.access.tokens import hash_token, make_attempt_token
from api.server.http.bodies import parse_body
from api.server.http.dependencies import AttemptPath, RawBody, ServicesDep
from api.server.http.openapi import CLAIM_EXAMPLE, EVENTS_EXAMPLE, FINISH_EXAMPLE, WORKER_EXAMPLE, request_body
from api.server.http.responses import documented
from api.server.http.schemas import Page
from api.workers import queries as worker_queries
from api.workers import queue
from api.workers.schemas import (
    ClaimRead,
    ClaimRequest,
    EventsAccepted,
    EventsPost,
    FinishPost,
    LeaseRead,
    ResumePoint,
    WorkerPost,
    WorkerRead,
)

claim_routes = APIRouter(tags=["workers"], dependencies=needs("worker"))
listing = APIRouter(tags=["workers"], dependencies=needs("read"))
attempts = APIRouter(tags=["workers"], dependencies=[*needs("attempt"), OWN_ATTEMPT])


@listing.get("/workers", response_model=Page[WorkerRead])
def list_workers(services: ServicesDep) -> Any:
    """List the workers that were heard of in the last day: what they run on, and what they are doing."""
    with services.database.read() as session:
        return Page[WorkerRead](items=worker_queries.list_workers(session))


@claim_routes.post(
    "/workers/heartbeat",
    status_code=204,
    responses=documented(RequestInvalid),
    openapi_extra=request_body(WorkerPost, WORKER_EXAMPLE),
)
def record_worker(raw: RawBody, services: ServicesDep) -> Response:
    """Take in how a worker describes itself; this renews no lease."""
    post = parse_body(WorkerPost, raw)
    with services.database.write() as session:
        worker_queries.record_worker(session, post)
    return Response(status_code=204)


@claim_routes.post(
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
        job = leases.renew_lease(session, job_id, attempt, services.settings.lease_seconds)
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
        accepted = ingest.insert_events(
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
        job = claims.finish_attempt(session, job_id, attempt, finish, services.settings.lease_seconds)
        shown = serializers.job_read(session, job)
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


router = APIRouter(tags=["workers"], dependencies=needs("read"))

# More commits than this are not waited for at once by anybody who should be answered in full.
MAX_PINNED = 100


@router.get("/queue", response_model=QueueRead, responses=documented(RequestInvalid))
def get_queue(
    services: ServicesDep,
    commit: Annotated[
        str | None,
        Query(
            pattern=r"^(none|[0-9a-fA-F]{7,40})$",
            description="only jobs pinned to this commit; `none`: only those that any commit may run",
        ),
    ] = None,
) -> Any:
    """Count the jobs that wait for a worker or have one: so many workers are `wanted`."""
    with services.database.read() as session:
        queued = job_queries.count_states(session).get("queued", 0)
        demand = queue.list_demand(session)
    chosen = queue.choose_demand(demand, commit.lower() if commit else None)
    commits = sorted({part.commit for part in chosen if part.commit})[:MAX_PINNED]
    return QueueRead(
        queued=queued,
        **_add_up(chosen).model_dump(),
        **{needs: _add_up([part for part in chosen if part.needs == needs]) for needs in queue.NEEDS},
        pinned={digits: _add_up([part for part in chosen if part.commit == digits]) for digits in commits},
    )


def _add_up(demand: list[queue.Demand]) -> QueuePart:
    return QueuePart(
        waiting=sum(part.waiting for part in demand),
        running=sum(part.running for part in demand),
        wanted=sum(part.wanted for part in demand),
    )
