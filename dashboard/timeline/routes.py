"""The pictures of a timeline that the service makes itself, and the timeline as data for the page's scripts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from api.artifacts.storage import Blobs
from api.errors import RouteNotFound
from api.jobs import queries as job_queries
from api.samples.queries import GridRow, list_grid_rows
from api.server.access.scopes import needs
from api.server.http.dependencies import ServicesDep
from api.server.http.responses import json_response
from api.server.services import Services
from dashboard.timeline.cell import CellPage, build_cell
from dashboard.timeline.sheet_cache import Darkroom, Sheet
from dashboard.timeline.sheet_layout import CELL_FRAMES, STRIP_FRAMES, alike, choose, name_sheet
from dashboard.timeline.view import write_timeline
from dashboard.web.rendering import Renderer
from dashboard.web.requests import find_cell, read_iteration

# first-last-count-digest, as `name_sheet` writes it: other members, another address.
MEMBERS = "{first:int}-{last:int}-{count:int}-{digest}"
LARGEST_NUMBER = 1_000_000_000


@dataclass(frozen=True)
class Members:
    """The grids that a sheet's address names, and the address itself."""

    services: Services
    job_id: str
    first: int
    last: int
    count: int
    digest: str
    path: str
    seen: str | None

    @property
    def etag(self) -> str:
        """A sheet of one address never changes."""
        return f'"{self.digest}-{self.count}"'

    def read(self, most: int, of_one_layout: bool = False) -> list[GridRow]:
        """Return the named grids; raises RouteNotFound when the run has others, and JobNotFound."""
        if not 1 <= self.count <= most or max(self.first, self.last) > LARGEST_NUMBER:
            raise RouteNotFound
        with self.services.database.read() as session:
            job_queries.get_job(session, self.job_id)
            grids = list_grid_rows(session, self.job_id, self.first, self.last)
        if of_one_layout:
            grids = alike(grids, grids[-1]) if grids else []
        chosen = choose(grids, self.count) if grids and self.count > 1 else grids[:1]
        if not chosen or not self.path.rpartition("/")[2].startswith(f"{name_sheet(chosen)}."):
            raise RouteNotFound
        return chosen


async def read_members(
    job_id: str,
    first: int,
    last: int,
    count: int,
    digest: str,
    request: Request,
    services: ServicesDep,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Members:
    """Read a sheet's address."""
    return Members(services, job_id, first, last, count, digest, request.url.path, if_none_match)


MembersDep = Annotated[Members, Depends(read_members)]


Draw = Callable[[Blobs, list[GridRow]], Sheet]
MOST_CORNERS = 40
FOR_GOOD = "private, max-age=31536000, immutable"


def build_image_router(renderer: Renderer, darkroom: Darkroom) -> APIRouter:
    """Return the routes of a timeline's data, and of its strips, corners and cells."""
    router = APIRouter(include_in_schema=False)

    @router.get("/runs/{job_id}/timeline.json", dependencies=needs("read"))
    def read_timeline(job_id: str, request: Request, services: ServicesDep) -> Response:
        """Send every grid of the run, as columns."""
        with services.database.read() as session:
            job = job_queries.get_job(session, job_id)
            body = write_timeline(list_grid_rows(session, job_id), job.last_event_id)
        response = json_response(request, body)
        response.headers["cache-control"] = "no-store"
        return response

    @router.get(f"/runs/{{job_id}}/strips/{MEMBERS}.jpg", dependencies=needs("read"))
    async def read_strip(members: MembersDep) -> Response:
        """Send thumbnails of consecutive grids as one image."""
        return await send_sheet(darkroom, members, partial(members.read, STRIP_FRAMES), _draw_strip)

    @router.get(f"/runs/{{job_id}}/corners/{MEMBERS}.png", dependencies=needs("read"))
    async def read_corners(members: MembersDep) -> Response:
        """Send the upper left corners of grids as one image."""
        return await send_sheet(darkroom, members, partial(members.read, MOST_CORNERS), _draw_corners)

    @router.get("/runs/{job_id}/cells/{cell}", dependencies=needs("read"))
    def show_cell(job_id: str, cell: str, request: Request, services: ServicesDep) -> HTMLResponse:
        """Show the history of a cell, ROW-COLUMN or none, as the part of the run's page that it is."""
        with services.database.read() as session:
            job_queries.get_job(session, job_id)
            grids = list_grid_rows(session, job_id)
        page = CellPage(job_id, build_cell(job_id, grids, find_cell(cell), read_iteration(request)))
        return renderer.render_page(request, "_cell.html", page)

    @router.get(f"/runs/{{job_id}}/cells/{{row:int}}-{{column:int}}/{MEMBERS}.png", dependencies=needs("read"))
    async def read_cells(members: MembersDep, row: int, column: int) -> Response:
        """Send one cell's history as one image; rows and columns count from 1."""

        def read() -> list[GridRow]:
            grids = members.read(CELL_FRAMES, of_one_layout=True)
            if not (1 <= row <= grids[0].rows and 1 <= column <= grids[0].columns):
                raise RouteNotFound
            return grids

        return await send_sheet(darkroom, members, read, partial(_draw_cells, row=row, column=column))

    return router


async def send_sheet(
    darkroom: Darkroom, members: Members, read: Callable[[], list[GridRow]], draw: Draw
) -> Response:
    """Send the sheet of these members, for good unless one of their files could not be read."""
    grids = await run_in_threadpool(read)
    headers = {"etag": members.etag, "cache-control": FOR_GOOD}
    if members.seen is not None and members.etag in members.seen:
        return Response(status_code=304, headers=headers)
    sheet = await darkroom.develop(members.path, lambda: draw(members.services.blobs, grids))
    if not sheet.is_whole:
        headers = {"cache-control": "no-store"}
    return Response(sheet.content, headers=headers, media_type=sheet.media_type)


# Pillow is loaded with the first picture that somebody asks for.
def _draw_strip(blobs: Blobs, grids: list[GridRow]) -> Sheet:
    from dashboard.timeline.sheets import draw_strip

    return draw_strip(blobs, grids)


def _draw_corners(blobs: Blobs, grids: list[GridRow]) -> Sheet:
    from dashboard.timeline.sheets import draw_corners

    return draw_corners(blobs, grids)


def _draw_cells(blobs: Blobs, grids: list[GridRow], row: int, column: int) -> Sheet:
    from dashboard.timeline.sheets import draw_cells

    return draw_cells(blobs, grids, row - 1, column - 1)
