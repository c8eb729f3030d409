"""Jobs as people keep them in order: tags, a note, deleting, and bringing back."""

from typing import Any

from fastapi import APIRouter

from api import queries
from api.bodies import parse_body
from api.deps import RawBody, ServicesDep
from api.errors import BodyTooLarge, JobNotFound, JobStateConflict, RequestInvalid
from api.openapi import request_body
from api.responses import documented
from api.routes.examples import EDIT_EXAMPLE
from api.schemas import JobEdit, JobRead
from api.security import needs

router = APIRouter(tags=["jobs"], dependencies=needs("user"))


@router.patch(
    "/jobs/{job_id}",
    response_model=JobRead,
    responses=documented(JobNotFound, RequestInvalid, BodyTooLarge),
    openapi_extra=request_body(JobEdit, EDIT_EXAMPLE),
)
def edit_job(job_id: str, raw: RawBody, services: ServicesDep) -> Any:
    """Change a job's tags and note, whatever its state; the spec stays as it was submitted."""
    edit = parse_body(JobEdit, raw)
    with services.database.write() as session:
        shown = queries.job_read(session, queries.edit_job(session, job_id, edit))
    services.feed.nudge()
    return shown


@router.delete("/jobs/{job_id}", response_model=JobRead, responses=documented(JobNotFound, JobStateConflict))
def delete_job(job_id: str, services: ServicesDep) -> Any:
    """Delete a job that has ended: out of every list at once, its data some days later.

    Until then `POST /jobs/{id}/restore` brings it back.
    """
    with services.database.write() as session:
        shown = queries.job_read(session, queries.delete_job(session, job_id))
    services.feed.nudge()
    return shown


@router.post("/jobs/{job_id}/restore", response_model=JobRead, responses=documented(JobNotFound))
def restore_job(job_id: str, services: ServicesDep) -> Any:
    """Bring a deleted job back as it was. One that was not deleted stays as it is."""
    with services.database.write() as session:
        shown = queries.job_read(session, queries.restore_job(session, job_id))
    services.feed.nudge()
    return shown
