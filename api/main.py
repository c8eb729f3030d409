"""The REST service: `build_service` combines routes, middleware, error handlers and background threads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from starlette.concurrency import run_in_threadpool

from api import find_version
from api.artifacts import routes as artifact_routes
from api.attempts import routes as attempt_routes
from api.curves import routes as curve_routes
from api.events import routes as event_routes
from api.events.findings import routes as finding_routes
from api.jobs import routes as job_routes
from api.mlflow import routes as mlflow_routes
from api.samples import routes as sample_routes
from api.server.http import openapi
from api.server.http.error_handlers import add_error_handlers
from api.server.http.middleware import AccessMiddleware
from api.server.http.query_fields import refuse_unknown_fields
from api.server.http.root_path import RootPathMiddleware
from api.server.operations import health
from api.server.operations.availability import AvailabilityMiddleware
from api.server.operations.prometheus import PrometheusMiddleware
from api.server.services import Services, build_services
from api.server.settings import Settings
from api.server.sharing import routes as share_routes
from api.server.sharing.gate import ShareGate
from api.server.specs import routes as spec_routes
from api.workers import routes as worker_routes


def build_service(settings: Settings, running: Services | None = None) -> FastAPI:
    """Build the service; it opens and migrates the database when it starts.

    running: services that the caller starts and stops.
    """
    services = running or build_services(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(services.start)
        yield
        services.end_streams()
        await run_in_threadpool(services.stop)

    app = FastAPI(
        title="Ganvas",
        version=find_version(),
        description="Results service for generative adversarial networks: jobs in, curves and images out.",
        lifespan=lifespan if running is None else None,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(refuse_unknown_fields)],
    )
    app.state.services = services
    for router in (
        job_routes.write,
        # Early: routes are tried in this order, and reports of attempts are the most frequent requests.
        attempt_routes.report,
        mlflow_routes.router,
        job_routes.read,
        attempt_routes.read,
        curve_routes.router,
        sample_routes.router,
        finding_routes.router,
        job_routes.edit,
        spec_routes.router,
        event_routes.router,
        attempt_routes.claim,
        worker_routes.describe,
        worker_routes.read,
        artifact_routes.write,
        artifact_routes.read,
        artifact_routes.export,
        share_routes.router,
        share_routes.missing,
        artifact_routes.files,
        attempt_routes.open_runs,
    ):
        app.include_router(router)
    app.include_router(health.router)
    app.include_router(health.metrics_router)
    app.include_router(openapi.router)
    add_error_handlers(app)
    shares = ShareGate(services.database)
    app.add_middleware(AccessMiddleware, settings=settings, authenticator=services.authenticator, shares=shares)
    app.add_middleware(mlflow_routes.MlflowErrors)
    app.add_middleware(PrometheusMiddleware, metrics=services.prometheus)
    app.add_middleware(AvailabilityMiddleware, availability=services.availability)
    app.add_middleware(RootPathMiddleware, settings=settings)
    return app


def end_streams(app: FastAPI) -> None:
    """End every open event stream, from any thread; a stopping server calls this before it waits for them."""
    services: Services = app.state.services
    services.end_streams()
