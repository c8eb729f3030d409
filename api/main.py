"""The REST service: `build_service` joins routes, gate, errors and what runs beside them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from api.db import prepare_tables
from api.failures import add_error_handlers
from api.gate import Gate
from api.hearing import Listener
from api.metrics import Meter
from api.routes import artifacts, docs, events, generators, health, jobs, keeping, metrics, queue, workers
from api.services import Services, build_services
from api.settings import Settings


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
        jobs.write,
        # Early: routes are tried in this order, and nothing is asked as often as these.
        workers.attempts,
        jobs.read,
        keeping.router,
        events.router,
        workers.claims,
        workers.listing,
        queue.router,
        artifacts.write,
        artifacts.read,
        generators.router,
    ):
        app.include_router(router)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(docs.router)
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
