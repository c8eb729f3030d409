"""The page of figures, and figures as files: /figures/timelines.pdf, /figures/curves.svg, /runs/ID/movie.mp4."""

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Header, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams

from api.artifacts.routes import FileStream
from api.curves import queries as curve_queries
from api.curves.points import Points
from api.errors import FiguresNotInstalled, ServiceError
from api.jobs import queries as job_queries
from api.jobs import serializers
from api.jobs.ids import NAMED_JOB
from api.jobs.queries import JobFilters
from api.jobs.schemas import JobSummary
from api.samples.queries import GridRow, list_grid_rows
from api.server.access.scopes import needs
from api.server.database.models import Job
from api.server.http.dependencies import ServicesDep
from api.server.http.query_fields import takes_query
from api.server.services import Services
from dashboard.figures.caption import caption_curves, caption_heat_maps, caption_timelines, write_latex
from dashboard.figures.drawing.plans import MEDIA_TYPES, ImageForm, MovieForm, TimelinesPlan
from dashboard.figures.drawing.process import missing_package
from dashboard.figures.heat_maps import list_histogram_kinds, plan_heat_maps
from dashboard.figures.planning import (
    PlannedFigure,
    default_metrics,
    find_jobs,
    name_figure,
    plan_curves,
    plan_movie,
    plan_timelines,
    refuse_unknown_metrics,
)
from dashboard.figures.render_queue import RenderQueue
from dashboard.figures.requests import (
    LABEL_PREFIX,
    MAX_TEXT,
    CurvesRequest,
    HeatMapsRequest,
    MovieRequest,
    TableRequest,
    TimelinesRequest,
    has_input,
    read_fields,
    read_leniently,
    read_request,
)
from dashboard.figures.view import KINDS, NEEDED, Asked, FiguresData, Kind, build_figures_page, known_metrics
from dashboard.web.formats import write_disposition
from dashboard.web.rendering import Site
from dashboard.web.requests import read_frame

HEADINGS = ("run", "name", "metric", "iteration", "value")
ROWS_AT_ONCE = 5000
# A spreadsheet runs text that begins with one of these as a formula.
_FORMULAS = ("=", "+", "-", "@")


def write_table(curves: Iterable[tuple[str, str, str, Points]]) -> Iterator[bytes]:
    """Yield the CSV of (run id, run name, metric, points); what is no finite number is nan, inf or -inf."""
    yield _write([HEADINGS])
    for run, name, metric, points in curves:
        fixed = (defuse(run), defuse(name), defuse(metric))
        for start in range(0, len(points), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            pairs = zip(points.iterations[part], points.values[part], strict=True)
            yield _write((*fixed, str(iteration), repr(float(value))) for iteration, value in pairs)


def defuse(text: str) -> str:
    """Return the text so that a spreadsheet shows it and runs nothing."""
    line = " ".join(text.split())
    return f"'{line}" if line.startswith(_FORMULAS) else line


def _write(rows: Iterable[Iterable[str]]) -> bytes:
    part = io.StringIO()
    csv.writer(part, lineterminator="\n").writerows(rows)
    return part.getvalue().encode()


# Shown by the browser; other files are saved.
_SHOWN = ("png", "gif", "mp4")
IfNoneMatch = Annotated[str | None, Header()]


RUNS_TO_CHOOSE = 30
MODELS: dict[Kind, type[Asked]] = {
    "timelines": TimelinesRequest,
    "curves": CurvesRequest,
    "heat-maps": HeatMapsRequest,
    "movie": MovieRequest,
}


def build_router(site: Site) -> APIRouter:
    """Return the routes of the page, and of figures, tables and movies."""
    router = APIRouter(include_in_schema=False)
    home, feed = site.services.settings.home.expanduser().resolve(), site.services.feed
    render_queue = RenderQueue(home / "cache" / "figures", lambda: feed.closing)

    @router.get("/figures", dependencies=needs("read"))
    @takes_query("kind", "find", "beside", *MODELS.values(), LABEL_PREFIX)
    def show_figures(request: Request, services: ServicesDep) -> HTMLResponse:
        """Show the form, a preview of what it asks for, and the files."""
        with services.database.read() as session:
            data = read_figures(session, services, request)
        page = build_figures_page(data, read_frame(request))
        return site.renderer.render_page(request, "figures/page.html", page)

    @router.get("/figures/timelines.{form}", dependencies=needs("read"))
    @takes_query(TimelinesRequest, LABEL_PREFIX)
    async def draw_timelines(
        form: ImageForm, request: Request, services: ServicesDep, if_none_match: IfNoneMatch = None
    ) -> Response:
        """Draw runs and iterations beside each other."""
        asked = read_request(TimelinesRequest, request.query_params)

        def plan(session: Session) -> PlannedFigure:
            return plan_timelines(session, services.blobs, asked, form)

        return await send_figure(render_queue, request, services, plan, form, if_none_match)

    @router.get("/figures/curves.csv", dependencies=needs("read"))
    @takes_query(TableRequest)
    def write_curves(request: Request, services: ServicesDep) -> Response:
        """Write every point of some curves, one a row."""
        asked = read_request(TableRequest, request.query_params)
        return send_table(services, asked)

    @router.get("/figures/curves.{form}", dependencies=needs("read"))
    @takes_query(CurvesRequest, LABEL_PREFIX)
    async def draw_curves(
        form: ImageForm, request: Request, services: ServicesDep, if_none_match: IfNoneMatch = None
    ) -> Response:
        """Draw curves of some runs."""
        asked = read_request(CurvesRequest, request.query_params)

        def plan(session: Session) -> PlannedFigure:
            return plan_curves(session, asked, form)

        return await send_figure(render_queue, request, services, plan, form, if_none_match)

    _add_heat_maps(router, render_queue)

    @router.get("/runs/{job_id}/movie.{form}", dependencies=[*needs("read"), NAMED_JOB])
    @takes_query(MovieRequest)
    async def draw_movie(
        job_id: str, form: MovieForm, request: Request, services: ServicesDep, if_none_match: IfNoneMatch = None
    ) -> Response:
        """Play a run's timeline."""
        asked = read_request(MovieRequest, request.query_params)

        def plan(session: Session) -> PlannedFigure:
            return plan_movie(session, services.blobs, job_id, asked, form)

        return await send_figure(render_queue, request, services, plan, form, if_none_match)

    return router


def _add_heat_maps(router: APIRouter, render_queue: RenderQueue) -> None:
    @router.get("/figures/heat-maps.{form}", dependencies=needs("read"))
    @takes_query(HeatMapsRequest, LABEL_PREFIX)
    async def draw_histograms(
        form: ImageForm, request: Request, services: ServicesDep, if_none_match: IfNoneMatch = None
    ) -> Response:
        """Draw histograms of some runs over iterations."""
        asked = read_request(HeatMapsRequest, request.query_params)

        def plan(session: Session) -> PlannedFigure:
            return plan_heat_maps(session, asked, form)

        return await send_figure(render_queue, request, services, plan, form, if_none_match)


async def send_figure(
    render_queue: RenderQueue,
    request: Request,
    services: Services,
    make_plan: Callable[[Session], PlannedFigure],
    form: str,
    if_none_match: str | None,
) -> Response:
    """Plan, draw and send a figure; one that the reader already has is not drawn again."""
    figure = await run_in_threadpool(_plan, services, make_plan)
    headers = {"etag": f'"{figure.digest}"', "cache-control": "private, no-cache"}
    if figure.left_out:
        headers["x-left-out"] = figure.left_out
    if if_none_match is not None and f'"{figure.digest}"' in if_none_match:
        return Response(status_code=304, headers=headers)
    file = await render_queue.draw(figure.plan, figure.read_files, request)
    return FileStream(file, {**headers, **_file_headers(file, figure.name, form)}, MEDIA_TYPES[form])


def send_table(services: Services, asked: TableRequest) -> Response:
    """Stream the table; each curve is read when its turn comes."""
    with services.database.read() as session:
        jobs = find_jobs(session, asked.run)
        latest = [set(job.latest) for job in serializers.job_summaries(session, jobs)]
        known = set().union(*latest)
        refuse_unknown_metrics(session, jobs, asked.metric, known)
        rows = [
            (job.id, job.name, metric)
            for job, names in zip(jobs, latest, strict=True)
            for metric in (dict.fromkeys(asked.metric) or sorted(names))
            if metric in names
        ]
        stem = f"{jobs[0].name}-curves" if len(jobs) == 1 else f"curves-of-{len(jobs)}-runs"

    def read() -> Iterator[tuple[str, str, str, Points]]:
        for job_id, name, metric in rows:
            with services.database.read() as session:
                curves = curve_queries.read_stored_curves(session, job_id, [metric]).curves
            for curve in curves:
                yield job_id, name, metric, curve.points

    headers = {"cache-control": "private, no-cache", "content-disposition": write_disposition(stem, "csv")}
    return StreamingResponse(write_table(read()), headers=headers, media_type=MEDIA_TYPES["csv"])


def _plan(services: Services, make_plan: Callable[[Session], PlannedFigure]) -> PlannedFigure:
    with services.database.read() as session:
        return make_plan(session)


def _file_headers(file: BinaryIO, stem: str, form: str) -> dict[str, str]:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return {
        "content-length": str(size),
        "content-disposition": write_disposition(stem, form, is_shown=form in _SHOWN),
    }


def read_figures(session: Session, services: Services, request: Request) -> FiguresData:
    """Read the data of the page."""
    query = request.query_params
    kind: Kind = next((kind for kind in KINDS if kind == query.get("kind")), "timelines")
    # A movie shows one of the chosen runs; the others are kept beside it for the other kinds.
    named = dict.fromkeys([*query.getlist("beside"), *query.getlist("run")])
    stored = {run: job_queries.find_named_job(session, run[:MAX_TEXT]) for run in named}
    selection = [*dict.fromkeys(job for job in stored.values() if job is not None)] or _find_newest(
        session, kind, query
    )
    first = stored.get(next(iter(query.getlist("run")), "")) if kind == "movie" else None
    chosen = sorted(selection, key=lambda job: job is not first) if first else selection
    problems = ["One of the runs does not exist; it is left out."] if len(chosen) < len(stored) else []
    find = query.get("find", "").replace("\0", "")[:MAX_TEXT].strip()
    jobs = _list_jobs(session, chosen, find, kind)
    asked, more = _read_asked(kind, chosen, request)
    tried = _try(session, services, kind, chosen, asked, jobs)
    given = {name: value.replace("\0", "")[:MAX_TEXT] for name, value in query.items()}
    fields = read_fields(MODELS.values(), query)
    hidden = [(name, value) for name, value in fields if not has_input(MODELS[kind], name)]
    return FiguresData(
        kind, jobs, [job.id for job in chosen], [job.id for job in selection], asked, given, fields, hidden, find,
        [*problems, *more, *([tried.refusal] if tried.refusal else [])], tried.note,
        asked is not None and not tried.refusal,
        grids=_read_longest(session, chosen) if kind == "timelines" else (),
        iterations=tried.iterations,
        values=_list_values(session, chosen) if kind == "heat-maps" else {},
        caption=tried.caption,
        latex=write_latex(tried.caption, name_figure(kind, chosen), kind) if tried.caption else "",
    )  # fmt: skip


def _list_values(session: Session, jobs: Sequence[Job]) -> dict[str, str]:
    kinds = list_histogram_kinds(session, jobs)
    return {name: kind.heading.removesuffix(" over iterations").rstrip(",") for name, kind in kinds.items()}


def _read_longest(session: Session, jobs: Sequence[Job]) -> list[GridRow]:
    timelines = [list_grid_rows(session, job.id) for job in jobs]
    return max(timelines, key=lambda grids: grids[-1].iteration if grids else -1, default=[])


def _find_newest(session: Session, kind: Kind, query: QueryParams) -> list[Job]:
    """Return the newest run of which there is something to draw, where the page was opened without any choice."""
    if set(query) - {"kind"}:
        return []
    newest = job_queries.list_jobs(session, JobFilters(has=NEEDED[kind]), "-created_at", 1, None).items
    return [job_queries.get_job(session, job.id) for job in newest]


def _list_jobs(session: Session, chosen: list[Job], find: str, kind: Kind) -> list[JobSummary]:
    """Return the chosen runs, the newest that a figure can be made of, and where those are few others too."""
    listed = serializers.job_summaries(session, chosen)
    for has in (NEEDED[kind], None):
        filters = JobFilters(name=find or None, has=has)
        if len(listed) < RUNS_TO_CHOOSE + len(chosen):
            listed += job_queries.list_jobs(session, filters, "-created_at", RUNS_TO_CHOOSE, None).items
    return list({job.id: job for job in listed}.values())[: RUNS_TO_CHOOSE + len(chosen)]


def _read_asked(kind: Kind, chosen: list[Job], request: Request) -> tuple[Asked | None, list[str]]:
    if not chosen:
        return None, []
    model: type[Asked] = MODELS[kind]
    query = request.query_params
    named = [] if query.getlist("run") else [("run", job.id) for job in chosen]
    asked, problems = read_leniently(model, QueryParams([*query.multi_items(), *named]))
    if isinstance(asked, TimelinesRequest | CurvesRequest | HeatMapsRequest):
        asked = asked.model_copy(update={"run": [job.id for job in chosen]})
    return asked, problems


@dataclass(frozen=True)
class Tried:
    """What came of planning a figure: why it cannot be made, what it leaves out, its columns, and its caption."""

    refusal: str = ""
    note: str = ""
    iterations: Sequence[int] = ()
    caption: str = ""


def _try(
    session: Session,
    services: Services,
    kind: Kind,
    chosen: list[Job],
    asked: Asked | None,
    jobs: list[JobSummary],
) -> Tried:
    if asked is None:
        return Tried()
    package = missing_package(kind, "gif")
    if package is not None:
        return Tried(FiguresNotInstalled.message)
    try:
        if isinstance(asked, MovieRequest):
            return Tried(note=plan_movie(session, services.blobs, chosen[0].id, asked, "gif").left_out)
        if isinstance(asked, HeatMapsRequest):
            plan_heat_maps(session, asked, "png")
            kinds = list_histogram_kinds(session, chosen)
            return Tried(caption=caption_heat_maps(chosen, kinds.get(asked.values) or next(iter(kinds.values()))))
        if isinstance(asked, TimelinesRequest):
            figure = plan_timelines(session, services.blobs, asked, "png")
            if not isinstance(figure.plan, TimelinesPlan):
                return Tried(note=figure.left_out)
            iterations = figure.plan.iterations
            caption = caption_timelines(chosen, iterations, figure.plan.rows)
            return Tried(note=figure.left_out, iterations=iterations, caption=caption)
        known = known_metrics(jobs, asked.run)
        metrics = asked.metric or list(default_metrics(session, chosen))
        refuse_unknown_metrics(session, chosen, asked.metric or metrics[:1], known)
    except ServiceError as error:
        return Tried(error.text)
    return Tried(caption=caption_curves(chosen, [name for name in metrics if name in known], asked))
