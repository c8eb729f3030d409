"""Whether the service is up."""

from typing import Any

from fastapi import APIRouter, Request

from api import queries
from api.deps import ServicesDep
from api.errors import ServiceUnavailable
from api.responses import documented
from api.schemas import HealthRead
from api.security import needs

router = APIRouter(tags=["health"], dependencies=needs("open"))


@router.get("/healthz", response_model=HealthRead, responses=documented(ServiceUnavailable))
def get_health(request: Request, services: ServicesDep) -> Any:
    """Say that the service is up and reaches its database; no token is wanted here."""
    with services.database.read() as session:
        counts = queries.count_states(session)
    return HealthRead(
        version=request.app.version, jobs_queued=counts.get("queued", 0), jobs_running=counts.get("running", 0)
    )
