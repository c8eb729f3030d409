"""Reads the cell that a page follows, and the address of a sheet."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from api.errors import RouteNotFound
from api.jobs import queries as job_queries
from api.samples.queries import GridRow, list_grid_rows
from api.server.http.dependencies import ServicesDep
from api.server.services import Services
from dashboard.timeline.sheet_layout import alike, choose, name_sheet

# first-last-count-digest, as `name_sheet` writes it: a sheet of other grids has another address.
SHEET_NAME = "{first:int}-{last:int}-{count:int}-{digest}"
LARGEST_NUMBER = 1_000_000_000


@dataclass(frozen=True)
class CellPosition:
    """A cell's row and column in the grid; both count from 1."""

    row: int
    column: int

    @property
    def name(self) -> str:
        """Both as an address writes them."""
        return f"{self.row}-{self.column}"


def read_cell(request: Request) -> CellPosition | None:
    """Return the cell that is followed, `?cell=ROW-COLUMN` or `?row=` and `?column=` of the form, or None."""
    query = request.query_params
    return parse_cell(query.get("cell", f"{query.get('row', '')}-{query.get('column', '')}"))


def parse_cell(text: str) -> CellPosition | None:
    """Return the position that ROW-COLUMN names, or None."""
    numbers = text.split("-")
    if len(numbers) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 4 for part in numbers):
        return None
    return CellPosition(*map(int, numbers))


@dataclass(frozen=True)
class SheetRequest:
    """The grids that a sheet's address names, and the address itself."""

    services: Services
    job_id: str
    first: int
    last: int
    count: int
    digest: str
    path: str
    if_none_match: str | None

    @property
    def etag(self) -> str:
        """A sheet of one address never changes."""
        return f'"{self.digest}-{self.count}"'

    def read_grids(self, most: int, of_one_layout: bool = False) -> list[GridRow]:
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


async def read_sheet_request(
    job_id: str,
    first: int,
    last: int,
    count: int,
    digest: str,
    request: Request,
    services: ServicesDep,
    if_none_match: Annotated[str | None, Header()] = None,
) -> SheetRequest:
    """Read a sheet's address."""
    return SheetRequest(services, job_id, first, last, count, digest, request.url.path, if_none_match)


SheetDep = Annotated[SheetRequest, Depends(read_sheet_request)]
