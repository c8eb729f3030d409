"""The page on which figures and movies are made. It refuses nothing: what it does not understand it says."""

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session
from starlette.datastructures import QueryParams

from api import queries
from api.deps import ServicesDep
from api.errors import FiguresNotInstalled, ServiceError
from api.models import Job
from api.queries import JobFilters
from api.schemas import JobSummary
from api.security import needs
from api.services import Services
from dashboard.figure_plans import plan_movie, plan_timelines, refuse_unknown_metrics
from dashboard.figure_requests import CurvesRequest, MovieRequest, TimelinesRequest, read_leniently
from dashboard.figures.process import missing_package
from dashboard.rendering import Renderer
from dashboard.requests import read_frame
from dashboard.views.figures import KINDS, NEEDED, Asked, FiguresData, Kind, build_figures_page, known_metrics

RUNS_TO_CHOOSE = 30
READERS: dict[Kind, Callable[[QueryParams], tuple[Asked | None, list[str]]]] = {
    "timelines": partial(read_leniently, TimelinesRequest),
    "curves": partial(read_leniently, CurvesRequest),
    "movie": partial(read_leniently, MovieRequest),
}
MAX_TEXT = 200


def build_figure_page_router(renderer: Renderer) -> APIRouter:
    """Return the page's route."""
    router = APIRouter(include_in_schema=False)

    @router.get("/figures", dependencies=needs("read"))
    def show_figures(request: Request, services: ServicesDep) -> HTMLResponse:
        """Show the form, a preview of what it asks for, and the files."""
        with services.database.read() as session:
            data = read_figures(session, services, request)
        return renderer.render_page(request, "figures.html", build_figures_page(data, read_frame(request)))

    return router


def read_figures(session: Session, services: Services, request: Request) -> FiguresData:
    """Read what the page shows."""
    query = request.query_params
    kind: Kind = next((kind for kind in KINDS if kind == query.get("kind")), "timelines")
    found = [queries.find_job(session, run[:64]) for run in dict.fromkeys(query.getlist("run"))]
    chosen = [job for job in found if job is not None]
    problems = ["One of the runs does not exist; it is left out."] if len(chosen) < len(found) else []
    find = query.get("find", "").replace("\0", "")[:MAX_TEXT].strip()
    jobs = _list_jobs(session, chosen, find, kind)
    asked, more = _read_asked(kind, chosen, request)
    note, refusal = _try(session, services, kind, chosen, asked, jobs)
    given = {name: value.replace("\0", "")[:MAX_TEXT] for name, value in query.items()}
    return FiguresData(
        kind, jobs, [job.id for job in chosen], asked, given, find,
        [*problems, *more, *([refusal] if refusal else [])], note, asked is not None and not refusal,
    )  # fmt: skip


def _list_jobs(session: Session, chosen: list[Job], find: str, kind: Kind) -> list[JobSummary]:
    """Return the chosen runs, the newest that a figure can be made of, and where those are few others too."""
    found = queries.job_summaries(session, chosen)
    for has in (NEEDED[kind], None):
        filters = JobFilters(name=find or None, has=has)
        if len(found) < RUNS_TO_CHOOSE + len(chosen):
            found += queries.list_jobs(session, filters, "-created_at", RUNS_TO_CHOOSE, None).items
    return list({job.id: job for job in found}.values())[: RUNS_TO_CHOOSE + len(chosen)]


def _read_asked(kind: Kind, chosen: list[Job], request: Request) -> tuple[Asked | None, list[str]]:
    if not chosen:
        return None, []
    asked, problems = READERS[kind](request.query_params)
    if isinstance(asked, TimelinesRequest | CurvesRequest):
        asked = asked.model_copy(update={"run": [job.id for job in chosen]})
    return asked, problems


def _try(
    session: Session,
    services: Services,
    kind: Kind,
    chosen: list[Job],
    asked: Asked | None,
    jobs: list[JobSummary],
) -> tuple[str, str]:
    """Return what the figure leaves out, and why it cannot be made; each in words or empty."""
    if asked is None:
        return "", ""
    package = missing_package(kind, "gif")
    if package is not None:
        return "", FiguresNotInstalled.message
    try:
        if isinstance(asked, MovieRequest):
            return plan_movie(session, services.blobs, chosen[0].id, asked, "gif").left_out, ""
        if isinstance(asked, TimelinesRequest):
            return plan_timelines(session, services.blobs, asked, "png").left_out, ""
        found = known_metrics(jobs, asked.run)
        refuse_unknown_metrics(session, chosen, asked.metric or ["loss/generator"], found)
    except ServiceError as error:
        return "", error.text
    return "", ""
