"""Routes of findings: those of all jobs, and those of one job with what to do about them."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.errors import JobAmbiguous, JobNotFound, RequestInvalid
from api.events.findings import queries as finding_queries
from api.events.findings.advice import add_advice
from api.events.findings.schemas import FindingAdvised, FindingListed
from api.jobs import queries as job_queries
from api.jobs.ids import NAMED_JOB
from api.server.access.scopes import needs
from api.server.database.models import GANLIB
from api.server.http.dependencies import Cursor, ServicesDep
from api.server.http.responses import documented
from api.server.http.schemas import Page
from ganlib.events import RuleName, Severity

router = APIRouter(tags=["findings"], dependencies=[*needs("read"), NAMED_JOB])

_Job = Query(
    min_length=1, max_length=250, pattern=r"^[^\x00]*$", description="only those of the job with this id or name"
)


@router.get(
    "/findings",
    response_model=Page[FindingListed],
    responses=documented(JobNotFound, JobAmbiguous, RequestInvalid),
)
def list_findings(
    services: ServicesDep,
    job: Annotated[str | None, _Job] = None,
    rule: Annotated[RuleName | None, Query(description="only those of this rule: `mode_collapse`")] = None,
    severity: Annotated[Severity | None, Query(description="only those that are this bad")] = None,
    active: Annotated[bool | None, Query(description="only those that last, or only those that ended")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor = None,
) -> Any:
    """List what rules found in all jobs, the newest first; all filters must match. A job's id may be shortened."""
    with services.database.read() as session:
        job_id = None if job is None else job_queries.get_job_id(session, job)
        filters = finding_queries.FindingFilters(job_id, rule, severity, active)
        return finding_queries.list_findings(session, filters, limit, cursor)


@router.get("/jobs/{job_id}/findings", response_model=Page[FindingAdvised], responses=documented(JobNotFound))
def list_job_findings(job_id: str, services: ServicesDep) -> Any:
    """Read what rules found in a job, with what to do about it: first what lasts, then the worst, the newest."""
    with services.database.read() as session:
        job = job_queries.get_job(session, job_id)
        findings = finding_queries.list_job_findings(session, job.id)
        return Page[FindingAdvised](items=add_advice(findings, job.spec if job.origin == GANLIB else None))
