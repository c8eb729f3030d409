"""The REST service: `build_service` joins routes, gate, errors and what runs beside them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from api.artifacts import routes as artifact_routes
from api.events import routes as event_routes
from api.jobs import routes as job_routes
from api.server.database.engine import prepare_tables
from api.server.http import openapi
from api.server.http.error_handlers import add_error_handlers
from api.server.http.middleware import Gate
from api.server.operations import health
from api.server.operations.availability import Listener
from api.server.operations.prometheus import Meter
from api.server.services import Services, build_services
from api.settings import Settings
from api.workers import routes as worker_routes


def build_service(settings: Settings) -> FastAPI:
    """Build the service; the database is opened, and brought up to date, when it starts."""
    services = build_services(settings)

    @asynccontextmanager
    async def run_beside(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(prepare_tables, services.database.engine, settings)
        services.waker.start()
        services.reaper.start()
        yield
        services.feed.end_streams()
        await run_in_threadpool(_stop, services)

    app = FastAPI(
        title="Ganvas",
        version=find_version(),
        description="Results service for generative adversarial networks: jobs in, curves and images out.",
        lifespan=run_beside,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.services = services
    for router in (
        job_routes.write,
        # Early: routes are tried in this order, and nothing is asked as often as these.
        worker_routes.attempts,
        job_routes.read,
        job_routes.router,
        event_routes.router,
        worker_routes.claim_routes,
        worker_routes.listing,
        worker_routes.router,
        artifact_routes.write,
        artifact_routes.read,
        artifact_routes.router,
    ):
        app.include_router(router)
    app.include_router(health.router)
    app.include_router(health.metrics_router)
    app.include_router(openapi.router)
    add_error_handlers(app)
    app.add_middleware(Gate, settings=settings, access=services.access)
    app.add_middleware(Meter, metrics=services.metrics)
    app.add_middleware(Listener, hearing=services.hearing)
    return app


def end_streams(app: FastAPI) -> None:
    """End every open event stream, from any thread; a server that stops calls this before it waits for them."""
    services: Services = app.state.services
    services.feed.end_streams()


def find_version() -> str:
    """Return the installed version, or 0 in a bare source tree."""
    try:
        return version("ganvas")
    except PackageNotFoundError:
        return "0"


def _stop(services: Services) -> None:
    services.reaper.close()
    services.waker.close()
    services.database.close()
