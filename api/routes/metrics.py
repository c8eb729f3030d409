"""What monitoring reads."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.deps import ServicesDep
from api.security import needs

router = APIRouter(tags=["health"], dependencies=needs("read"))


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' text format."}},
)
def read_metrics(services: ServicesDep) -> Response:
    """Queue depth, attempts by end, what arrives, request latency, and the workers' cards, for Prometheus."""
    return Response(services.metrics.render(), media_type=CONTENT_TYPE_LATEST)
