"""The timeline as data for scripts, and the sheets of images that the service draws from it."""

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from api.artifacts.storage import Blobs, LocalBlobs
from api.errors import RouteNotFound
from api.jobs import queries as job_queries
from api.jobs.ids import NAMED_JOB
from api.samples.queries import GridRow, list_grid_rows
from api.server.access.scopes import needs
from api.server.http.dependencies import ServicesDep
from api.server.http.query_fields import takes_query
from api.server.http.responses import compressed_response
from api.server.services import Services
from dashboard.timeline.requests import SHEET_NAME, SheetDep, SheetRequest, parse_cell
from dashboard.timeline.sheet_cache import AheadDrawer, DiskCache, Sheet, SheetCache
from dashboard.timeline.sheet_layout import CELL_FRAMES, STRIP_FRAMES, name_sheet
from dashboard.timeline.view import CellPage, build_cell, write_timeline
from dashboard.web.rendering import Site
from dashboard.web.requests import read_iteration

Draw = Callable[[Blobs, list[GridRow]], Sheet]
MOST_CORNERS = 40
FOR_GOOD = "private, max-age=31536000, immutable"


def build_router(site: Site) -> APIRouter:
    """Return the routes of a timeline's data, and of its strips, corners and cells."""
    router = APIRouter(include_in_schema=False)
    disk = DiskCache(site.services.settings.home.expanduser().resolve() / "sheets")
    cache = SheetCache(disk)
    if isinstance(site.services.blobs, LocalBlobs):
        # From a bucket each grid would be fetched twice, and by each replica.
        list_sheets = partial(list_whole_strips, site.services)
        site.services.grid_followers.append(AheadDrawer(disk, STRIP_FRAMES, list_sheets))

    @router.get("/runs/{job_id}/timeline.json", dependencies=[*needs("read"), NAMED_JOB])
    def read_timeline(job_id: str, request: Request, services: ServicesDep) -> Response:
        """Send every grid of the run, as columns."""
        with services.database.read() as session:
            job = job_queries.get_job(session, job_id)
            body = write_timeline(list_grid_rows(session, job_id), job.last_event_id)
        return compressed_response(request, body, "application/json", {"Cache-Control": "no-store"})

    @router.get(f"/runs/{{job_id}}/strips/{SHEET_NAME}.jpg", dependencies=needs("read"))
    async def read_strip(sheet: SheetDep) -> Response:
        """Send thumbnails of consecutive grids as one image."""
        return await send_sheet(cache, sheet, partial(sheet.read_grids, STRIP_FRAMES), _draw_strip)

    @router.get(f"/runs/{{job_id}}/corners/{SHEET_NAME}.png", dependencies=needs("read"))
    async def read_corners(sheet: SheetDep) -> Response:
        """Send the upper left corners of grids as one image."""
        return await send_sheet(cache, sheet, partial(sheet.read_grids, MOST_CORNERS), _draw_corners)

    @router.get("/runs/{job_id}/cells/{cell}", dependencies=[*needs("read"), NAMED_JOB])
    @takes_query("iteration")
    def show_cell(job_id: str, cell: str, request: Request, services: ServicesDep) -> HTMLResponse:
        """Show the history of a cell, ROW-COLUMN or none, as the part of the run's page that it is."""
        with services.database.read() as session:
            origin = job_queries.get_job(session, job_id).origin
            grids = list_grid_rows(session, job_id)
        page = CellPage(job_id, build_cell(job_id, grids, parse_cell(cell), read_iteration(request), origin))
        return site.renderer.render_page(request, "timeline/_cell_history.html", page)

    @router.get(f"/runs/{{job_id}}/cells/{{row:int}}-{{column:int}}/{SHEET_NAME}.png", dependencies=needs("read"))
    async def read_cells(sheet: SheetDep, row: int, column: int) -> Response:
        """Send one cell's history as one image; rows and columns count from 1."""

        def read() -> list[GridRow]:
            grids = sheet.read_grids(CELL_FRAMES, of_one_layout=True)
            if not (1 <= row <= grids[0].rows and 1 <= column <= grids[0].columns):
                raise RouteNotFound
            return grids

        return await send_sheet(cache, sheet, read, partial(_draw_cells, row=row, column=column))

    return router


def list_whole_strips(services: Services, job_id: str, begin: int) -> list[tuple[str, Callable[[], Sheet]]]:
    """Return address and drawing of each strip of a run that no later grid changes, from strip `begin` on."""
    with services.database.read() as session:
        grids = list_grid_rows(session, job_id)
    whole = [grids[at : at + STRIP_FRAMES] for at in range(begin * STRIP_FRAMES, len(grids), STRIP_FRAMES)]
    return [
        (f"/runs/{job_id}/strips/{name_sheet(strip)}.jpg", partial(_draw_strip, services.blobs, strip))
        for strip in whole
        if len(strip) == STRIP_FRAMES
    ]


async def send_sheet(
    cache: SheetCache, asked: SheetRequest, read_grids: Callable[[], list[GridRow]], draw: Draw
) -> Response:
    """Send the sheet of these grids, for good unless one of their files could not be read."""
    grids = await run_in_threadpool(read_grids)
    headers = {"etag": asked.etag, "cache-control": FOR_GOOD}
    if asked.if_none_match is not None and asked.etag in asked.if_none_match:
        return Response(status_code=304, headers=headers)
    sheet = await cache.find_or_draw(asked.path, lambda: draw(asked.services.blobs, grids))
    if not sheet.is_whole:
        headers = {"cache-control": "no-store"}
    return Response(sheet.content, headers=headers, media_type=sheet.media_type)


# Pillow is loaded with the first sheet that is drawn.
def _draw_strip(blobs: Blobs, grids: list[GridRow]) -> Sheet:
    from dashboard.timeline.sheets import draw_strip

    return draw_strip(blobs, grids)


def _draw_corners(blobs: Blobs, grids: list[GridRow]) -> Sheet:
    from dashboard.timeline.sheets import draw_corners

    return draw_corners(blobs, grids)


def _draw_cells(blobs: Blobs, grids: list[GridRow], row: int, column: int) -> Sheet:
    from dashboard.timeline.sheets import draw_cells

    return draw_cells(blobs, grids, row - 1, column - 1)
