"""The list of runs: the page, its sparklines, its columns, and the actions on chosen runs."""

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from sqlalchemy.orm import Session

from api.curves import queries as curve_queries
from api.curves.best import find_judge, read_bests
from api.errors import RequestInvalid
from api.events import watermark
from api.jobs import queries as job_queries
from api.jobs.filters import explain_no_match
from api.jobs.schemas import JobPage
from api.jobs.search import parse_search
from api.jobs.tables import groups
from api.server.access.scopes import needs
from api.server.http.dependencies import COSTLY, ServicesDep
from api.server.http.query_fields import takes_query
from api.server.http.responses import compressed_response
from dashboard.run.curves import axis_length
from dashboard.runs.bulk_actions import RESULT_COOKIE, apply_to_each, build_result, read_result, write_result
from dashboard.runs.columns import Column, Listing
from dashboard.runs.groups import list_metrics
from dashboard.runs.requests import (
    COLUMNS_COOKIE,
    LIST_FIELDS,
    VIEW_COOKIE,
    FormPairs,
    choose_view,
    read_action,
    read_column_choice,
    read_columns,
    read_listing,
    read_run_ids,
    read_tag,
    read_view,
)
from dashboard.runs.sparklines import draw_sparklines
from dashboard.runs.view import MOST_LIVE, ROWS, ListData, build_runs_page
from dashboard.runs.words import name_columns, read_values, read_words
from dashboard.web.rendering import COMPRESSION, Site
from dashboard.web.requests import YEAR_SECONDS, read_frame, read_way_back
from ganlib.vocabulary.losses import choose_sparklines

# The rows of a page share one answer.
SPARKLINES_SECONDS = 30
# New tags and metrics may be missing from suggestions for so long.
WORDS_SECONDS = 20
NO_RUNS = JobPage(items=[])


def build_router(site: Site) -> APIRouter:
    """Return the routes of the list of runs."""
    router = APIRouter(include_in_schema=False)
    _add_words(router)

    @router.get("/", dependencies=needs("read"))
    @takes_query(*LIST_FIELDS)
    def show_runs(request: Request, services: ServicesDep) -> HTMLResponse:
        """Show the list of runs."""
        listing, (columns, unknown) = read_listing(request), read_columns(request)
        newest_event_id = watermark.find_watermark(services.database)
        with services.database.read() as session:
            data = _add_surroundings(session, _read_list(session, listing, columns, newest_event_id), listing)
        result = read_result(request)
        data = replace(data, problem=" ".join(filter(None, [data.problem, unknown])))
        view, notice = choose_view(request), build_result(result)
        page = build_runs_page(data, listing, columns, read_frame(request), datetime.now(UTC), view, notice)
        response = site.renderer.render_page(request, "runs/page.html", page)
        if result is not None:
            response.delete_cookie(RESULT_COOKIE, samesite="lax", httponly=True)
        return response

    @router.get("/runs/sparklines.svg", dependencies=[*needs("read"), COSTLY])
    @takes_query(*LIST_FIELDS, "v")
    def read_sparklines(request: Request, services: ServicesDep) -> Response:
        """Draw the losses of the runs on one page of the list."""
        with services.database.read() as session:
            jobs = _read_list(session, replace(read_listing(request), group=()), [], 0).jobs.items
            losses = {job.id: choose_sparklines(job.latest) for job in jobs}
            outlines = curve_queries.read_outlines(session, losses)
        svg = draw_sparklines(outlines, losses, {job.id: axis_length(job) for job in jobs})
        headers = {"Cache-Control": f"private, max-age={SPARKLINES_SECONDS}"}
        return compressed_response(
            request, svg.encode(), "image/svg+xml", headers, level=COMPRESSION, largest=None
        )

    @router.post("/runs/columns", dependencies=needs("open"))
    def choose_columns(fields: FormPairs) -> Response:
        """Remember the columns in a cookie and go back."""
        response = RedirectResponse(read_way_back(dict(fields).get("back", "/")), 303)
        response.set_cookie(
            COLUMNS_COOKIE, read_column_choice(fields), max_age=YEAR_SECONDS, samesite="lax", httponly=True
        )
        return response

    @router.post("/runs/view", dependencies=needs("open"))
    def choose_table_or_gallery(fields: FormPairs) -> Response:
        """Remember the view in a cookie and go back."""
        given = dict(fields)
        response = RedirectResponse(read_way_back(given.get("back", "/")), 303)
        view = read_view(given.get("view")) or "table"
        response.set_cookie(VIEW_COOKIE, view, max_age=YEAR_SECONDS, samesite="lax", httponly=True)
        return response

    @router.get("/runs/compare", dependencies=needs("read"))
    @takes_query("run", "back", "tag", "action")
    def compare_chosen(request: Request) -> Response:
        """Lead to the comparison of the chosen runs; without two of them, back to the list."""
        chosen = read_run_ids(request.query_params.multi_items())
        if len(chosen) < 2:
            return RedirectResponse(read_way_back(request.query_params.get("back", "/")), 303)
        return RedirectResponse(f"/compare?{urlencode([('run', job_id) for job_id in chosen])}", 303)

    @router.post("/runs/actions", dependencies=needs("user"))
    def act_on_chosen(fields: FormPairs, services: ServicesDep) -> Response:
        """Tag, cancel, delete or restore the chosen runs; the list then shows the result."""
        response = RedirectResponse(read_way_back(dict(fields).get("back", "/")), 303)
        action, job_ids = read_action(fields), read_run_ids(fields)
        if action is not None:
            write_result(response, apply_to_each(services, action, job_ids, read_tag(fields)))
        return response

    return router


def _add_words(router: APIRouter) -> None:
    @router.get("/runs/words.json", dependencies=[*needs("read"), COSTLY])
    @takes_query("of")
    def list_words(request: Request, services: ServicesDep) -> JSONResponse:
        """List what a search can name, or the values of one field or key, for suggestions while one types."""
        of = request.query_params.get("of", "")[:100]
        with services.database.read() as session:
            found = read_values(session, of) if of else read_words(session)
        return JSONResponse({"words": found}, headers={"Cache-Control": f"private, max-age={WORDS_SECONDS}"})


def _read_list(session: Session, listing: Listing, columns: list[Column], last_event_id: int) -> ListData:
    try:
        filters = job_queries.JobFilters(terms=parse_search(listing.q))
        job_queries.check_names(session, listing.sort, filters)
        if listing.group:
            found = groups.read_groups(session, filters, listing.group, list_metrics(columns))
            return ListData(NO_RUNS, {}, last_event_id, groups=found)
    except RequestInvalid as error:
        return ListData(NO_RUNS, {}, last_event_id, error.text)
    jobs = job_queries.list_jobs(session, filters, listing.sort, ROWS, listing.cursor or None)
    unknown = explain_no_match(session, name_columns([column.key for column in columns]))
    paths = [column.key for column in columns if column.kind == "field"]
    fields = job_queries.read_spec_fields(session, [job.id for job in jobs.items], paths)
    return ListData(jobs, fields, last_event_id, unknown or "" if jobs.items else "")


def _add_surroundings(session: Session, data: ListData, listing: Listing) -> ListData:
    """Add what stands beside the rows: their best scores, the counts of all runs, and those that train now."""
    is_first = not (listing.q or listing.cursor or listing.group)
    training = job_queries.JobFilters(states=["running"])
    running = job_queries.list_jobs(session, training, limit=MOST_LIVE).items if is_first else []
    judges = {job.id: judge for job in (*data.jobs.items, *running) if (judge := find_judge(job.latest))}
    # Of a search it would take as long as to read all runs.
    is_counted = not listing.with_state("").q
    counts = job_queries.count_listed(session) if is_counted else {}
    return replace(data, running=running, bests=read_bests(session, judges), counts=counts)
