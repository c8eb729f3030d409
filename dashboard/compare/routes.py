"""The page on which runs are compared. It refuses nothing: what it does not understand it says or leaves out."""

from dataclasses import replace
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from api.curves import queries as curve_queries
from api.events import watermark
from api.jobs import queries as job_queries
from api.jobs import serializers
from api.jobs.queries import JobFilters
from api.jobs.schemas import JobRead
from api.samples.queries import list_grid_rows
from api.samples.schemas import Curve
from api.server.access.scopes import needs
from api.server.http.dependencies import ServicesDep
from dashboard.compare.axis import Track
from dashboard.compare.requests import LEAST_RUNS, MOST_RUNS, Comparison, read_comparison
from dashboard.compare.tables import direction_of
from dashboard.compare.view import CompareData, build_compare_page
from dashboard.web.layout import DISCRIMINATOR_LOSS, GENERATOR_LOSS
from dashboard.web.rendering import Renderer
from dashboard.web.requests import read_frame

RUNS_TO_CHOOSE = 30
CHART_POINTS = 600
LOSSES = (GENERATOR_LOSS, DISCRIMINATOR_LOSS)


def build_compare_router(renderer: Renderer) -> APIRouter:
    """Return the page's route."""
    router = APIRouter(include_in_schema=False)

    @router.get("/compare", dependencies=needs("read"))
    def compare_runs(request: Request, services: ServicesDep) -> HTMLResponse:
        """Show runs side by side, at `?at=` of `?axis=` or at the last place that all have reached."""
        asked = read_comparison(request.query_params)
        settled = watermark.find_settled_event_id(services.database)
        with services.database.read() as session:
            data = read_runs(session, asked, settled)
        page = build_compare_page(data, read_frame(request), datetime.now(UTC))
        return renderer.render_page(request, "compare.html", page)

    return router


def read_runs(session: Session, asked: Comparison, last_event_id: int) -> CompareData:
    """Read the runs that are asked for and that there are, up to the most, and the newest others.

    last_event_id: from which on the page listens; found before the session began.
    """
    found = {run: job_queries.find_job(session, run) for run in asked.runs}
    known = [job for job in found.values() if job is not None]
    jobs = [serializers.job_read(session, job) for job in known[:MOST_RUNS]]
    asked = replace(asked, runs=tuple(job.id for job in jobs))
    drawn = list(asked.metrics) or [name for name in LOSSES if any(name in job.latest for job in jobs)]
    counted = count_metrics(jobs, drawn)
    is_ready = len(jobs) >= LEAST_RUNS
    return CompareData(
        asked=asked,
        unknown=[run for run, job in found.items() if job is None],
        left_out=max(0, len(known) - MOST_RUNS),
        jobs=jobs,
        tracks=[Track(job, list_grid_rows(session, job.id), asked.axis) for job in jobs],
        curves=[_read_curves(session, job, [*drawn, *counted]) if is_ready else {} for job in jobs],
        drawn=drawn,
        counted=counted,
        others=job_queries.list_jobs(session, JobFilters(), "-created_at", RUNS_TO_CHOOSE, None).items,
        last_event_id=last_event_id,
    )


def count_metrics(jobs: list[JobRead], drawn: list[str]) -> list[str]:
    """Return the metrics of the table: what has a better direction, and what is drawn."""
    judged = sorted({name for job in jobs for name in job.latest if direction_of(name)})
    return [*judged, *(name for name in drawn if name not in judged)]


def _read_curves(session: Session, job: JobRead, names: list[str]) -> dict[str, Curve]:
    wanted = [name for name in dict.fromkeys(names) if name in job.latest]
    curves = curve_queries.read_curves(session, job.id, wanted, CHART_POINTS).curves if wanted else []
    return {curve.name: curve for curve in curves}
