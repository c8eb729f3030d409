"""The grids that a sheet's address names, read from the run and compared with it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from api import queries
from api.deps import ServicesDep
from api.errors import RouteNotFound
from api.queries.timeline import GridRow, list_grid_rows
from api.services import Services
from dashboard.images.selection import alike, choose, name_sheet

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
            queries.get_job(session, self.job_id)
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
