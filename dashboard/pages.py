"""The dashboard: one line for each room of pages, put together on the service."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware

from api.server.access.grants import Scope
from dashboard.compare import routes as compare
from dashboard.faults import routes as faults
from dashboard.figures import routes as figures
from dashboard.new_run import routes as new_run
from dashboard.run import routes as run
from dashboard.runs import routes as runs
from dashboard.timeline import routes as timeline
from dashboard.web import routes as web
from dashboard.web.errors import show_errors_as_pages
from dashboard.web.rendering import Renderer, Site
from dashboard.web.static_files import StaticTree
from dashboard.workers import routes as workers
from dashboard.workers.routes import PagesForBrowsers


@dataclass(frozen=True)
class Room:
    """A folder of pages: its routes, its link in the navigation (empty: none), and the scope that this needs."""

    build_router: Callable[[Site], APIRouter]
    link_text: str = ""
    address: str = ""
    scope: Scope = "read"


ROOMS = (
    # Before `run`, whose address `/runs/{job_id}` would match those of the list.
    Room(runs.build_router, "Runs", "/"),
    Room(run.build_router),
    Room(timeline.build_router),
    Room(compare.build_router, "Compare", "/compare"),
    Room(new_run.build_router, "New run", "/new", "user"),
    Room(figures.build_router, "Figures", "/figures"),
    Room(faults.build_router, "Faults", "/faults"),
    Room(workers.build_router, "Workers", "/queue-and-workers"),
    Room(web.build_router, "API", "/docs"),
)


def add_dashboard(app: FastAPI) -> None:
    """Put the pages, their files and their errors onto the service."""
    static = StaticTree()
    navigation = [(room.link_text, room.address, room.scope) for room in ROOMS if room.address]
    renderer = Renderer(static, navigation)
    site = Site(app.state.services, static, renderer)
    for room in ROOMS:
        app.include_router(room.build_router(site))
    # Innermost: who may not read is told so first.
    app.user_middleware.append(Middleware(PagesForBrowsers))
    app.state.login_path = web.LOGIN_PATH
    show_errors_as_pages(app, renderer)
