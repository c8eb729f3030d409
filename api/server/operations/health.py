"""Routes of health and Prometheus metrics."""

from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.errors import ServiceUnavailable
from api.jobs import queries as job_queries
from api.server.access.scopes import needs
from api.server.http.dependencies import ServicesDep
from api.server.http.responses import documented
from api.server.http.schemas import HealthRead

router = APIRouter(tags=["health"], dependencies=needs("open"))


@router.get("/healthz", response_model=HealthRead, responses=documented(ServiceUnavailable))
def get_health(request: Request, services: ServicesDep) -> Any:
    """Report that the service is up and reaches its database; needs no token."""
    with services.database.read() as session:
        counts = job_queries.count_states(session)
    return HealthRead(
        version=request.app.version,
        public_url=services.settings.public_url,
        jobs_queued=counts.get("queued", 0),
        jobs_running=counts.get("running", 0),
    )


metrics_router = APIRouter(tags=["health"], dependencies=needs("read"))


@metrics_router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' text format."}},
)
def read_metrics(services: ServicesDep) -> Response:
    """Return queue depth, attempts, events, request latency and the workers' cards for Prometheus."""
    return Response(services.prometheus.render(), media_type=CONTENT_TYPE_LATEST)
