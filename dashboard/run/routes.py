"""The page of one run, the images of its heat maps, and its cancelling."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from fastapi import Path as PathField
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.artifacts import files as run_files
from api.curves import queries as curve_queries
from api.curves.histograms import list_histogram_names
from api.errors import JobStateConflict, RouteNotFound
from api.jobs import queries as job_queries
from api.jobs import serializers
from api.jobs.ids import NAMED_JOB
from api.jobs.lineage import read_lineage
from api.samples import queries as sample_queries
from api.samples.queries import list_grid_rows
from api.server.access.scopes import needs
from api.server.database.models import LogLine
from api.server.http.dependencies import COSTLY, ServicesDep
from api.server.http.query_fields import takes_query
from api.server.services import Services
from api.workers.queue import QueuePosition, count_queue
from dashboard.charts.chart import CHART_METRICS, CHART_POINTS, MEASURE_POINTS
from dashboard.run.curves import choose_words, list_own, measured_metrics
from dashboard.run.heat_maps import (
    GRADIENTS,
    KINDS,
    LOGITS,
    list_kinds,
    list_own_kinds,
    read_heat_map,
    read_heat_map_png,
)
from dashboard.run.neighbours import read_neighbours
from dashboard.run.requests import AxesDep, HeatMapAxes, read_window
from dashboard.run.view import DATA_NOTES, LISTED_FILES, LOG_LINES, RunData, build_run_page
from dashboard.timeline.requests import read_cell
from dashboard.timeline.series import list_pictures
from dashboard.timeline.standalone import (
    DEFAULT_BYTES,
    FileParts,
    MaxSize,
    build_file,
    read_grid_sizes,
    send_file,
)
from dashboard.timeline.view import TimelineData, nearest_index
from dashboard.web.layout import FILE_FRAME
from dashboard.web.rendering import Site
from dashboard.web.requests import SCRIPT_FIELDS, read_frame, read_iteration


def build_router(site: Site) -> APIRouter:
    """Return the routes of one run."""
    router = APIRouter(include_in_schema=False)
    _add_heat_maps(router)

    @router.get("/runs/{job_id}", dependencies=[*needs("read"), NAMED_JOB, COSTLY])
    @takes_query("iteration", "metric", "from", "to", "cell", "row", "column", *SCRIPT_FIELDS)
    def show_run(job_id: str, request: Request, services: ServicesDep) -> HTMLResponse:
        """Show one run, its timeline at `?iteration=` or at the newest grid."""
        iteration = read_iteration(request)
        with services.database.read() as session:
            data = read_run(session, job_id, iteration, request)
        page = build_run_page(data, iteration, read_frame(request), datetime.now(UTC))
        return site.renderer.render_page(request, "run/page.html", page)

    @router.get("/runs/{job_id}/export.html", dependencies=[*needs("read"), NAMED_JOB, COSTLY])
    @takes_query("metric")
    def export_run(
        job_id: str, request: Request, services: ServicesDep, max_size: MaxSize = DEFAULT_BYTES
    ) -> Response:
        """Save the run as one file that opens without the service."""
        now = datetime.now(UTC)
        with services.database.read() as session:
            data = read_run(session, job_id, None, request)
            sizes = read_grid_sizes(session, [data.timeline.grids])
        page = build_run_page(data, None, FILE_FRAME, now)
        curves = {curve.name: curve for curve in [*data.curves.curves, *data.measured.curves]}
        charts = [[curves.get(line.metric) for line in chart.lines] for chart in (page.chart, *page.measures)]
        parts = FileParts(page.name, "run/standalone.html", page, [data.timeline.grids], charts, ["run/style.css"])
        return send_file(build_file(site, services.blobs, parts, sizes, max_size, now), page.name)

    @router.post("/runs/{job_id}/cancel", dependencies=[*needs("user"), NAMED_JOB])
    def cancel_run(job_id: str, services: ServicesDep) -> Response:
        """Cancel the run and show it; a run that has ended meanwhile is only shown."""
        try:
            with services.database.write() as session:
                job_queries.cancel_job(session, job_id)
        except JobStateConflict:
            return RedirectResponse(f"/runs/{job_id}", 303)
        services.feed.notify()
        return RedirectResponse(f"/runs/{job_id}", 303)

    return router


def read_run(session: Session, job_id: str, iteration: int | None, request: Request) -> RunData:
    """Read everything about one run that its page shows; raises JobNotFound."""
    row = job_queries.get_job(session, job_id)
    job = serializers.job_read(session, row, with_waiting=True)
    chosen = choose_words(request.query_params.getlist("metric"), job.latest)
    drawn = [*dict.fromkeys([*chosen, *CHART_METRICS])]
    own = list_own(job.latest, chosen) if job.origin != "ganlib" else []
    measured = list(dict.fromkeys([*measured_metrics(job.latest), *own]))
    is_own = job.origin != "ganlib"
    kinds = [*KINDS, *list_own_kinds(list_histogram_names(session, job_id))] if is_own else list_kinds(job.spec)
    timeline = list_grid_rows(session, job_id)
    grids = [grid.iteration for grid in timeline]
    at = grids[nearest_index(grids, iteration)] if grids else None
    values = curve_queries.read_values_at(session, job_id, [*dict.fromkeys([*drawn, *measured])], at)
    return RunData(
        job=job,
        timeline=TimelineData(timeline, read_cell(request)),
        curves=curve_queries.read_curves(session, job_id, drawn, CHART_POINTS),
        # Small charts need fewer points.
        measured=curve_queries.read_curves(session, job_id, measured, MEASURE_POINTS),
        values={name: value for name, (_, value) in values.items()},
        chosen=chosen,
        own_metrics=own,
        files=run_files.list_files(session, job_id, limit=LISTED_FILES).items,
        file_count=run_files.count_files(session, job_id),
        pictures=list_pictures(session, job_id),
        evaluation_note=_read_newest_line(session, job_id, "evaluation"),
        sample_note=_read_newest_line(session, job_id, "samples"),
        data_notes=_read_data_notes(session, job_id),
        heat_maps=[read_heat_map(session, job_id, kind, read_window(request)) for kind in kinds],
        neighbours=read_neighbours(session, job_id, iteration),
        log=sample_queries.list_log_lines(session, job_id, LOG_LINES).items,
        queue=count_queue(session, row) if row.state == "queued" else QueuePosition(),
        lineage=read_lineage(session, row),
    )


def _read_newest_line(session: Session, job_id: str, about: str) -> str:
    """Return the trainer's newest sentence about its evaluation, or about broken cells of a grid, or nothing."""
    notes = select(LogLine.text).where(LogLine.job_id == job_id, LogLine.about == about)
    return session.scalars(notes.order_by(LogLine.id.desc()).limit(1)).first() or ""


def _read_data_notes(session: Session, job_id: str) -> list[str]:
    """Return what the trainer said about its data, such as the images that are left out; each sentence once."""
    notes = select(LogLine.text).where(LogLine.job_id == job_id, LogLine.about == "data")
    return [*dict.fromkeys(session.scalars(notes.order_by(LogLine.id).limit(DATA_NOTES)))]


def _add_heat_maps(router: APIRouter) -> None:
    """Add the images of heat maps: white where all values are, black where none."""

    @router.get("/runs/{job_id}/logits/{which}.png", dependencies=[*needs("read"), NAMED_JOB, COSTLY])
    def draw_logits(job_id: str, which: Literal["real", "fake"], axes: AxesDep, services: ServicesDep) -> Response:
        """Draw the logits of real or of generated images."""
        return _draw_heat_map(services, job_id, f"{LOGITS.group}/{which}", axes)

    @router.get("/runs/{job_id}/gradients/{which}.png", dependencies=[*needs("read"), NAMED_JOB, COSTLY])
    def draw_gradients(
        job_id: str, which: Literal["generator", "discriminator"], axes: AxesDep, services: ServicesDep
    ) -> Response:
        """Draw the sizes of one player's gradients."""
        return _draw_heat_map(services, job_id, f"{GRADIENTS.group}/{which}", axes)

    @router.get("/runs/{job_id}/layers/{which}.png", dependencies=[*needs("read"), NAMED_JOB])
    def draw_layer(
        job_id: str,
        which: Annotated[str, PathField(pattern=r"^(generator|discriminator)\.[0-9]{1,3}(\.real|\.fake)?$")],
        axes: AxesDep,
        services: ServicesDep,
    ) -> Response:
        """Draw what one layer gives, a discriminator's for real or for generated images."""
        return _draw_heat_map(services, job_id, f"layers/{which}", axes)

    @router.get("/runs/{job_id}/histograms/{which:path}.png", dependencies=[*needs("read"), NAMED_JOB, COSTLY])
    def draw_own(job_id: str, which: str, axes: AxesDep, services: ServicesDep) -> Response:
        """Draw a histogram that somebody's own loop named."""
        return _draw_heat_map(services, job_id, which, axes)


def _draw_heat_map(services: Services, job_id: str, name: str, axes: HeatMapAxes) -> Response:
    with services.database.read() as session:
        job_queries.get_job(session, job_id)
        png = read_heat_map_png(session, job_id, name, axes)
    if png is None:
        raise RouteNotFound
    return Response(png, headers={"Cache-Control": "no-store"}, media_type="image/png")
