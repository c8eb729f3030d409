"""The pages: the list of runs, one run, the theme, and the button that cancels. Reads go through `api.queries`."""

from datetime import UTC, datetime

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api import queries
from api.deps import ServicesDep
from api.errors import JobStateConflict, RouteNotFound
from api.queries.timeline import list_sample_iterations, list_samples_at
from api.security import needs
from dashboard.error_pages import show_errors_as_pages
from dashboard.rendering import Renderer
from dashboard.requests import (
    THEME_COOKIE,
    FormFields,
    read_filters,
    read_frame,
    read_iteration,
    read_theme,
    read_way_back,
    to_query,
)
from dashboard.static_files import StaticTree
from dashboard.views.chart import CHART_METRICS, CHART_POINTS
from dashboard.views.run import LOG_LINES, RunData, build_run_page
from dashboard.views.runs import ROWS, build_runs_page
from dashboard.views.timeline import TimelineData, shown_iterations

YEAR_SECONDS = 31_536_000


def add_dashboard(app: FastAPI) -> None:
    """Put the pages, their files and their errors onto the service."""
    static = StaticTree()
    renderer = Renderer(static)
    app.include_router(build_router(renderer, static))
    show_errors_as_pages(app, renderer)


def build_router(renderer: Renderer, static: StaticTree) -> APIRouter:
    """Return the pages' routes."""
    router = APIRouter(include_in_schema=False)

    @router.get("/", dependencies=needs("read"))
    def show_runs(request: Request, services: ServicesDep) -> HTMLResponse:
        """Show the list of runs."""
        filters = read_filters(request)
        wanted, sort = to_query(filters)
        with services.database.read() as session:
            jobs = queries.list_jobs(session, wanted, sort, ROWS, filters.cursor or None)
            last_event_id = queries.newest_event_id(session)
        page = build_runs_page(jobs, filters, last_event_id, read_frame(request), datetime.now(UTC))
        return renderer.render_page(request, "runs.html", page)

    @router.get("/runs/{job_id}", dependencies=needs("read"))
    def show_run(job_id: str, request: Request, services: ServicesDep) -> HTMLResponse:
        """Show one run, its timeline at `?iteration=` or at the newest grid."""
        iteration = read_iteration(request)
        with services.database.read() as session:
            job = queries.job_read(session, queries.get_job(session, job_id))
            iterations = list_sample_iterations(session, job_id)
            samples = list_samples_at(session, job_id, shown_iterations(iterations, iteration))
            curves = queries.read_curves(session, job_id, CHART_METRICS, CHART_POINTS)
            log = queries.list_log_lines(session, job_id, LOG_LINES)
        timeline = TimelineData(iterations, {sample.iteration: sample for sample in samples})
        data = RunData(job, timeline, curves, log.items)
        page = build_run_page(data, iteration, read_frame(request), datetime.now(UTC))
        return renderer.render_page(request, "run.html", page)

    @router.post("/runs/{job_id}/cancel", dependencies=needs("user"))
    def cancel_run(job_id: str, services: ServicesDep) -> Response:
        """Cancel the run and show it; one that has ended meanwhile is only shown."""
        try:
            with services.database.write() as session:
                queries.cancel_job(session, job_id)
        except JobStateConflict:
            return RedirectResponse(f"/runs/{job_id}", 303)
        services.feed.nudge()
        return RedirectResponse(f"/runs/{job_id}", 303)

    @router.post("/theme", dependencies=needs("read"))
    def choose_theme(fields: FormFields) -> Response:
        """Remember the theme in a cookie and go back."""
        response = RedirectResponse(read_way_back(fields.get("back", "/")), 303)
        response.set_cookie(THEME_COOKIE, read_theme(fields.get("theme")), max_age=YEAR_SECONDS, samesite="lax")
        return response

    @router.get("/static/{digest}/{name:path}", dependencies=needs("read"))
    def read_static(digest: str, name: str, request: Request) -> Response:
        """Serve one of the dashboard's own files."""
        response = static.find_response(request, digest, name)
        if response is None:
            raise RouteNotFound
        return response

    return router
