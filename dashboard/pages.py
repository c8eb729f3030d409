"""The pages: one run, the button that cancels it, the theme, and files. Reads go through `api.queries`."""

from datetime import UTC, datetime

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.attempts.lease_expiry import Queue, count_queue
from api.curves import queries as curve_queries
from api.errors import JobStateConflict, RouteNotFound
from api.jobs import queries as job_queries
from api.jobs import serializers
from api.jobs.lineage import read_lineage
from api.samples import queries as sample_queries
from api.samples.queries import list_grid_rows
from api.server.access.scopes import needs
from api.server.http.dependencies import ServicesDep
from api.server.http.openapi import build_openapi
from api.server.services import Services
from dashboard.charts.chart import CHART_METRICS, CHART_POINTS, MEASURE_POINTS
from dashboard.compare.routes import build_compare_router
from dashboard.figures.routes import build_figure_page_router, build_figure_router, build_studio
from dashboard.new_run.routes import build_again_router, build_new_router
from dashboard.run.curves import choose_words, measured_metrics
from dashboard.run.heat_map_pictures import build_heat_map_router, read_heat_map, read_judge, read_neighbours
from dashboard.run.heat_maps import KINDS
from dashboard.run.view import LOG_LINES, RunData, build_run_page
from dashboard.runs.routes import build_list_router
from dashboard.timeline.disk_cache import Shelf
from dashboard.timeline.routes import build_image_router
from dashboard.timeline.sheet_cache import Darkroom
from dashboard.timeline.view import TimelineData
from dashboard.web.api_docs import build_docs_page
from dashboard.web.errors import show_errors_as_pages
from dashboard.web.login import LOGIN_PATH, build_login_router
from dashboard.web.rendering import Renderer
from dashboard.web.requests import (
    THEME_COOKIE,
    FormFields,
    read_cell,
    read_frame,
    read_iteration,
    read_theme,
    read_way_back,
    read_window,
)
from dashboard.web.static_files import StaticTree
from dashboard.workers.routes import build_queue_router

YEAR_SECONDS = 31_536_000


def add_dashboard(app: FastAPI) -> None:
    """Put the pages, their files and their errors onto the service."""
    static = StaticTree()
    renderer = Renderer(static)
    # Before the run's, whose address would take any word for a run's id.
    app.include_router(build_list_router(renderer))
    app.include_router(build_run_router(renderer))
    app.include_router(build_queue_router(renderer))
    app.include_router(build_heat_map_router())
    app.include_router(build_image_router(renderer, build_darkroom(app)))
    app.include_router(build_figure_page_router(renderer))
    app.include_router(build_figure_router(build_studio(app)))
    app.include_router(build_compare_router(renderer))
    app.include_router(build_site_router(renderer, static))
    app.include_router(build_login_router(renderer))
    app.include_router(build_new_router(renderer))
    app.include_router(build_again_router(renderer))
    app.state.login_path = LOGIN_PATH
    show_errors_as_pages(app, renderer)


def build_darkroom(app: FastAPI) -> Darkroom:
    """Return where the service's sheets are made, and kept beside its data."""
    services: Services = app.state.services
    return Darkroom(Shelf(services.settings.home.expanduser().resolve() / "sheets"))


def build_run_router(renderer: Renderer) -> APIRouter:
    """Return the routes of one run, and its cancelling."""
    router = APIRouter(include_in_schema=False)

    @router.get("/runs/{job_id}", dependencies=needs("read"))
    def show_run(job_id: str, request: Request, services: ServicesDep) -> HTMLResponse:
        """Show one run, its timeline at `?iteration=` or at the newest grid."""
        iteration = read_iteration(request)
        with services.database.read() as session:
            row = job_queries.get_job(session, job_id)
            job = serializers.job_read(session, row)
            grids = list_grid_rows(session, job_id)
            chosen = choose_words(request.query_params.getlist("metric"), job.latest)
            judge = read_judge(session, job_id)
            curves = curve_queries.read_curves(
                session, job_id, [*dict.fromkeys([*chosen, *CHART_METRICS])], CHART_POINTS
            )
            # Small charts, so that a few points say as much.
            measured = curve_queries.read_curves(session, job_id, measured_metrics(job.latest), MEASURE_POINTS)
            heat_maps = [read_heat_map(session, job_id, kind, read_window(request)) for kind in KINDS]
            neighbours = read_neighbours(session, job_id, iteration)
            log = sample_queries.list_log_lines(session, job_id, LOG_LINES)
            queue = count_queue(session, row) if row.state == "queued" else Queue()
            lineage = read_lineage(session, row)
        timeline = TimelineData(grids, read_cell(request))
        data = RunData(
            job, timeline, curves, measured, chosen, judge, heat_maps, neighbours, log.items, queue, lineage
        )
        page = build_run_page(data, iteration, read_frame(request), datetime.now(UTC))
        return renderer.render_page(request, "run.html", page)

    @router.post("/runs/{job_id}/cancel", dependencies=needs("user"))
    def cancel_run(job_id: str, services: ServicesDep) -> Response:
        """Cancel the run and show it; one that has ended meanwhile is only shown."""
        try:
            with services.database.write() as session:
                job_queries.cancel_job(session, job_id)
        except JobStateConflict:
            return RedirectResponse(f"/runs/{job_id}", 303)
        services.feed.nudge()
        return RedirectResponse(f"/runs/{job_id}", 303)

    return router


def build_site_router(renderer: Renderer, static: StaticTree) -> APIRouter:
    """Return the routes of the API's page, the theme, and the dashboard's own files."""
    router = APIRouter(include_in_schema=False)

    @router.post("/theme", dependencies=needs("open"))
    def choose_theme(fields: FormFields) -> Response:
        """Remember the theme in a cookie and go back."""
        response = RedirectResponse(read_way_back(fields.get("back", "/")), 303)
        response.set_cookie(THEME_COOKIE, read_theme(fields.get("theme")), max_age=YEAR_SECONDS, samesite="lax")
        return response

    @router.get("/docs", dependencies=needs("read"))
    def show_docs(request: Request) -> HTMLResponse:
        """Show the REST routes."""
        page = build_docs_page(build_openapi(request.app), read_frame(request))
        return renderer.render_page(request, "docs.html", page)

    @router.get("/favicon.ico", dependencies=needs("open"))
    def read_favicon() -> Response:
        """Serve the mark where a browser looks for it when it shows a file or JSON."""
        return RedirectResponse(static.url("favicon.svg"), 307)

    @router.get("/static/{digest}/{name:path}", dependencies=needs("open"))
    def read_static(digest: str, name: str, request: Request) -> Response:
        """Serve one of the dashboard's own files."""
        response = static.find_response(request, digest, name)
        if response is None:
            raise RouteNotFound
        return response

    return router
