"""Dependencies that routes take as arguments."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request

from api.errors import RequestInvalid
from api.server.access.grants import OPEN_GRANT, Grant
from api.server.access.scopes import GRANT
from api.server.services import Services
from ganlib.events import SHA256_PATTERN


async def get_services(request: Request) -> Services:
    """Return this process's services."""
    services: Services = request.app.state.services
    return services


async def read_raw_body(request: Request) -> bytes:
    """Return the raw body; AccessMiddleware has checked its size."""
    return await request.body()


async def read_stream_position(
    last_event_id: Annotated[str | None, Header()] = None,
    after: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
) -> int | None:
    """Return the event id after which a stream continues; a reconnecting browser's header takes precedence."""
    if last_event_id is None or last_event_id == "":
        return after
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19):
        problem = {
            "field": "Last-Event-ID",
            "given": last_event_id[:80],
            "message": "must be an event id: a number",
        }
        raise RequestInvalid(problems=[problem])
    return int(last_event_id)


async def hold_costly_slot(request: Request) -> AsyncIterator[None]:
    """Hold one of the slots for costly answers, from before the route runs until its answer has been sent."""
    services: Services = request.app.state.services
    async with services.costly.hold():
        yield


async def find_caller(request: Request) -> str:
    """Return a name for the caller: the token's, or else the address."""
    grant: Grant = request.scope.get(GRANT, OPEN_GRANT)
    return grant.caller or (request.client.host if request.client else "")


COSTLY = Depends(hold_costly_slot)
RawBody = Annotated[bytes, Depends(read_raw_body)]
ServicesDep = Annotated[Services, Depends(get_services)]
StreamPosition = Annotated[int | None, Depends(read_stream_position)]
Sha256Path = Annotated[str, Path(pattern=SHA256_PATTERN)]
AttemptPath = Annotated[int, Path(ge=1, le=1_000_000_000)]
Caller = Annotated[str, Depends(find_caller)]
Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the previous page")]
