"""Routes of what a job records: sample grids, neighbour grids, log lines, checkpoints."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.errors import JobNotFound, RequestInvalid
from api.jobs import queries as job_queries
from api.jobs.ids import NAMED_JOB
from api.samples import queries as sample_queries
from api.samples.schemas import CheckpointRead, LogLineRead, NeighbourGridRead, SampleRead
from api.server.access.scopes import needs
from api.server.http.dependencies import Cursor, ServicesDep
from api.server.http.responses import documented
from api.server.http.schemas import Page

router = APIRouter(tags=["jobs"], dependencies=[*needs("read"), NAMED_JOB])


@router.get(
    "/jobs/{job_id}/samples", response_model=Page[SampleRead], responses=documented(JobNotFound, RequestInvalid)
)
def list_samples(
    job_id: str, services: ServicesDep, limit: Annotated[int, Query(ge=1, le=5000)] = 1000, cursor: Cursor = None
) -> Any:
    """Read the image timeline, oldest grid first."""
    with services.database.read() as session:
        job_queries.get_job(session, job_id)
        return sample_queries.list_samples(session, job_id, limit, cursor)


@router.get(
    "/jobs/{job_id}/neighbours",
    response_model=Page[NeighbourGridRead],
    responses=documented(JobNotFound, RequestInvalid),
)
def list_neighbour_grids(
    job_id: str, services: ServicesDep, limit: Annotated[int, Query(ge=1, le=5000)] = 1000, cursor: Cursor = None
) -> Any:
    """Read the grids of nearest training images, oldest first, each laid out like its iteration's sample grid."""
    with services.database.read() as session:
        job_queries.get_job(session, job_id)
        return sample_queries.list_neighbour_grids(session, job_id, limit, cursor)


@router.get(
    "/jobs/{job_id}/log", response_model=Page[LogLineRead], responses=documented(JobNotFound, RequestInvalid)
)
def list_log_lines(
    job_id: str, services: ServicesDep, tail: Annotated[int, Query(ge=1, le=5000)] = 200, cursor: Cursor = None
) -> Any:
    """Read the newest lines of the log in the order in which they were written; `next` leads to older ones."""
    with services.database.read() as session:
        job_queries.get_job(session, job_id)
        return sample_queries.list_log_lines(session, job_id, tail, cursor)


@router.get("/jobs/{job_id}/checkpoints", response_model=Page[CheckpointRead], responses=documented(JobNotFound))
def list_checkpoints(job_id: str, services: ServicesDep) -> Any:
    """Read the committed checkpoints in order of iteration; `url` is null for those whose file was retired."""
    with services.database.read() as session:
        job_queries.get_job(session, job_id)
        return Page[CheckpointRead](items=sample_queries.list_checkpoints(session, job_id))
