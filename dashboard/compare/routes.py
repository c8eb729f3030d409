"""The page that compares runs. It refuses nothing: it leaves out what it cannot show, and says so."""

from dataclasses import replace
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from api.curves import queries as curve_queries
from api.curves.best import JUDGES, read_bests
from api.curves.extractors import find_incomparable, list_judged
from api.curves.schemas import Curve
from api.errors import RequestInvalid
from api.events import watermark
from api.jobs import queries as job_queries
from api.jobs import serializers
from api.jobs.queries import JobFilters
from api.jobs.schemas import JobRead, JobSummary
from api.jobs.search import parse_search
from api.samples.queries import list_grid_rows
from api.server.access.scopes import needs
from api.server.http.bodies import refuse_request
from api.server.http.dependencies import COSTLY, ServicesDep
from api.server.http.query_fields import takes_query
from dashboard.charts.chart import CHART_METRICS
from dashboard.compare.axis import Track, last_common
from dashboard.compare.grids import name_runs
from dashboard.compare.groups import MOST_FOLDED, choose_shown, explain_unfoldable, read_groups, sort_by_group
from dashboard.compare.requests import LEAST_RUNS, MAX_METRICS, MOST_RUNS, Comparison, read_comparison
from dashboard.compare.tables import describe_extractors
from dashboard.compare.view import CompareData, build_compare_page
from dashboard.timeline.standalone import (
    DEFAULT_BYTES,
    FileParts,
    MaxSize,
    build_file,
    read_grid_sizes,
    send_file,
)
from dashboard.web.layout import FILE_FRAME
from dashboard.web.rendering import Site
from dashboard.web.requests import SCRIPT_FIELDS, read_frame
from ganlib.vocabulary import find_metric
from ganlib.vocabulary.losses import choose_drawn

RUNS_TO_CHOOSE = 30
CHART_POINTS = 600


def build_router(site: Site) -> APIRouter:
    """Return the page's route."""
    router = APIRouter(include_in_schema=False)

    @router.get("/compare", dependencies=[*needs("read"), COSTLY])
    @takes_query(
        "run",
        "axis",
        "at",
        "metric",
        "view",
        "left",
        "right",
        "split",
        "cell",
        "baseline",
        "group",
        "find",
        *SCRIPT_FIELDS,
    )
    def compare_runs(request: Request, services: ServicesDep) -> HTMLResponse:
        """Show runs side by side, at `?at=` of `?axis=` or at the last position that all have reached."""
        asked, now = read_comparison(request.query_params), datetime.now(UTC)
        settled = watermark.find_watermark(services.database)
        with services.database.read() as session:
            data = read_runs(session, asked, settled, now)
        page = build_compare_page(data, read_frame(request), now)
        return site.renderer.render_page(request, "compare/page.html", page)

    @router.get("/compare/export.html", dependencies=[*needs("read"), COSTLY])
    @takes_query("run", "metric")
    def export_comparison(request: Request, services: ServicesDep, max_size: MaxSize = DEFAULT_BYTES) -> Response:
        """Save the comparison as one file that opens without the service."""
        asked, now = read_comparison(request.query_params), datetime.now(UTC)
        with services.database.read() as session:
            data = read_runs(session, asked, 0, now)
            timelines = [track.grids for track in data.tracks]
            sizes = read_grid_sizes(session, timelines)
        if len(data.jobs) < LEAST_RUNS:
            problem = {"field": "query.run", "given": "", "message": "name two to ten runs that exist"}
            raise refuse_request([problem])
        page = build_compare_page(data, FILE_FRAME, now)
        curves = {
            (f"/jobs/{job.id}/metrics", name): curve
            for job, own in zip(data.jobs, data.curves, strict=True)
            for name, curve in own.items()
        }
        charts = [[curves.get((line.url, line.metric)) for line in chart.lines] for chart in page.charts]
        title = f"Comparison of {', '.join(name_runs(data.jobs))}"
        parts = FileParts(title, "compare/standalone.html", page, timelines, charts, ["compare/style.css"])
        html = build_file(site, services.blobs, parts, sizes, max_size, now)
        return send_file(html, f"comparison-of-{len(data.jobs)}-runs")

    return router


def read_runs(session: Session, asked: Comparison, last_event_id: int, now: datetime) -> CompareData:
    """Read the requested runs that exist, up to the most, and the newest others.

    last_event_id: the page's stream begins after it; read before the session began.
    """
    stored = {run: job_queries.find_named_job(session, run) for run in asked.runs}
    known = [*dict.fromkeys(job for job in stored.values() if job is not None)]
    folded = known[:MOST_FOLDED] if asked.group else []
    groups, unfoldable = sort_by_group(folded, asked.group) if folded else ([], "")
    shown = choose_shown(groups, MOST_RUNS) if groups else known[:MOST_RUNS]
    jobs = [serializers.job_read(session, job) for job in shown]
    asked = replace(asked, runs=tuple(job.id for job in (folded or shown)))
    usual = _choose_metrics(jobs)
    # What is drawn anyway keeps its place, so that one more choice moves no chart.
    drawn = sorted(asked.metrics, key=lambda name: usual.index(name) if name in usual else len(usual)) or usual
    incomparable = find_incomparable(session, {job.id: job.latest for job in jobs})
    hidden = {name for job in jobs for name in list_judged(job.latest)} if incomparable else set()
    drawn = [name for name in drawn if name not in hidden]
    counted = [name for name in count_metrics(jobs, drawn) if name not in hidden]
    is_ready = len(jobs) >= LEAST_RUNS
    tracks = [Track(job, list_grid_rows(session, job.id), asked.axis) for job in jobs]
    at = asked.at if asked.at is not None else last_common(tracks)
    others, problem = _find_others(session, asked.find)
    judge = next(
        (each for each in JUDGES if each.name not in hidden and all(each.name in job.latest for job in jobs)), None
    )
    unfoldable = unfoldable or explain_unfoldable(groups, asked.axis)
    bests = read_bests(session, {job.id: judge for job in jobs}) if judge and is_ready else {}
    return CompareData(
        asked=asked,
        unknown=[run for run, job in stored.items() if job is None],
        left_out=max(0, len(known) - (MOST_FOLDED if groups else MOST_RUNS)),
        groups=[] if unfoldable else read_groups(session, groups, asked.axis, drawn, at),
        unfoldable=unfoldable,
        jobs=jobs,
        tracks=tracks,
        at=at,
        curves=[_read_curves(session, job, [*drawn, *counted]) if is_ready else {} for job in jobs],
        points=[_read_points(session, track, [*drawn, *counted], at, now) if is_ready else {} for track in tracks],
        incomparable=describe_extractors(
            dict(zip((job.id for job in jobs), name_runs(jobs), strict=True)), incomparable
        ),
        known=sorted({name for job in jobs for name in job.latest} - hidden),
        drawn=drawn,
        counted=counted,
        others=others,
        last_event_id=last_event_id,
        bests={job_id: (judge, best) for job_id, best in bests.items()} if judge else {},
        problem=problem,
    )


def _find_others(session: Session, find: str) -> tuple[list[JobSummary], str]:
    """Return the newest runs that this search finds, and what is wrong with it."""
    try:
        filters = JobFilters(terms=parse_search(find))
        return job_queries.list_jobs(session, filters, "-created_at", RUNS_TO_CHOOSE, None).items, ""
    except RequestInvalid as error:
        return [], error.text


def _choose_metrics(jobs: list[JobRead]) -> list[str]:
    """Return the metrics that are drawn where none was chosen: losses that some run has, whatever their names."""
    usual = [name for name in CHART_METRICS if any(name in job.latest for job in jobs)]
    own = [name for job in jobs if job.origin != "ganlib" for name in choose_drawn(job.latest)]
    return [*dict.fromkeys([*usual, *own])][:MAX_METRICS]


def count_metrics(jobs: list[JobRead], drawn: list[str]) -> list[str]:
    """Return the metrics of the table: those with a better direction, and those that are drawn."""
    judged = sorted({name for job in jobs for name in job.latest if find_metric(name).better})
    return [*judged, *(name for name in drawn if name not in judged)]


def _read_curves(session: Session, job: JobRead, names: list[str]) -> dict[str, Curve]:
    wanted = [name for name in dict.fromkeys(names) if name in job.latest]
    curves = curve_queries.read_curves(session, job.id, wanted, CHART_POINTS).curves if wanted else []
    return {curve.name: curve for curve in curves}


def _read_points(
    session: Session, track: Track, names: list[str], at: float | None, now: datetime
) -> dict[str, tuple[int, float]]:
    """Return each metric's last point up to this position, or the newest where there is no position."""
    until = track.iteration_at(at, now) if at is not None else None
    return curve_queries.read_values_at(session, track.job.id, [*dict.fromkeys(names)], until)
