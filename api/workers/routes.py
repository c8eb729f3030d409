"""Routes of workers: their descriptions, and the queue that they work off."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from api.errors import RequestInvalid
from api.jobs import queries as job_queries
from api.server.access.scopes import needs
from api.server.http.bodies import parse_body
from api.server.http.dependencies import RawBody, ServicesDep
from api.server.http.openapi import WORKER_EXAMPLE, request_body
from api.server.http.responses import documented
from api.server.http.schemas import Page
from api.workers import queries as worker_queries
from api.workers import queue
from api.workers.schemas import QueuePart, QueueRead, WorkerPost, WorkerRead

describe = APIRouter(tags=["workers"], dependencies=needs("worker"))
read = APIRouter(tags=["workers"], dependencies=needs("read"))

# `pinned` lists at most this many commits.
MAX_PINNED = 100


@read.get("/workers", response_model=Page[WorkerRead])
def list_workers(services: ServicesDep) -> Any:
    """List the workers that described themselves in the last day, with their hardware and current job."""
    with services.database.read() as session:
        return Page[WorkerRead](items=worker_queries.list_workers(session))


@describe.post(
    "/workers/heartbeat",
    status_code=204,
    responses=documented(RequestInvalid),
    openapi_extra=request_body(WorkerPost, WORKER_EXAMPLE),
)
def record_worker(raw: RawBody, services: ServicesDep) -> Response:
    """Store a worker's description of itself; this renews no lease."""
    post = parse_body(WorkerPost, raw)
    with services.database.write() as session:
        worker_queries.record_worker(session, post)
    return Response(status_code=204)


@read.get("/queue", response_model=QueueRead, responses=documented(RequestInvalid))
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
    """Count the jobs that wait for a worker or have one; their sum is the number of workers `wanted`."""
    with services.database.read() as session:
        queued = job_queries.count_states(session).get("queued", 0)
        demand = queue.list_demand(session)
    chosen = queue.select_demand(demand, commit.lower() if commit else None)
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
