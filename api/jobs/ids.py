"""The dependency of routes of one job that lets it be named by the beginning of its id, or by its name."""

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from api.jobs.queries import get_job_id
from api.server.http.dependencies import ServicesDep
from api.server.services import Services


async def resolve_job_id(request: Request, services: ServicesDep) -> None:
    """Put the whole id in the place of what names the job; raises JobNotFound, JobAmbiguous."""
    given: str = request.path_params.get("job_id", "")
    if given:
        request.path_params["job_id"] = await run_in_threadpool(_read_job_id, services, given)


def _read_job_id(services: Services, given: str) -> str:
    with services.database.read() as session:
        return get_job_id(session, given)


# Before the dependencies and parameters of the route itself, which then see the whole id.
NAMED_JOB = Depends(resolve_job_id)
