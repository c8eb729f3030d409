"""Authorisation: the scopes that every route declares."""

from collections.abc import Sequence

from fastapi import Depends, Request
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Mount

from api.errors import AttemptFenced, NotAllowed, NotAuthenticated
from api.server.access.grants import GRANT as GRANT
from api.server.access.grants import OPEN_GRANT, Grant, Scope

OPEN_PATHS = frozenset({"/healthz", "/login", "/theme", "/favicon.ico"})
# The dashboard's own scripts and styles, which the login page needs too.
OPEN_PREFIX = "/static/"


class RequireScope:
    """Dependency that declares and enforces the scopes of a route; one of them suffices."""

    def __init__(self, scopes: tuple[Scope, ...]) -> None:
        self.scopes = frozenset(scopes)

    async def __call__(self, request: Request) -> None:
        """Raise NotAuthenticated or NotAllowed unless the request's grant has one of these scopes."""
        grant: Grant = request.scope.get(GRANT, OPEN_GRANT)
        if not self.scopes & grant.scopes:
            raise NotAuthenticated if grant is OPEN_GRANT else NotAllowed


class RequireOwnAttempt:
    """Dependency of the routes of one attempt: refuses the token of another attempt."""

    async def __call__(self, request: Request) -> None:
        """Raise NotAllowed unless the path names the token's own attempt; the fence refuses ended ones."""
        grant: Grant = request.scope.get(GRANT, OPEN_GRANT)
        named = (request.path_params.get("job_id"), request.path_params.get("attempt"))
        if grant.attempt is not None and named != (grant.attempt[0], str(grant.attempt[1])):
            raise NotAllowed("This token belongs to another attempt.")


class RequireLiveAttempt:
    """Dependency of files: refuses the token of an ended attempt."""

    async def __call__(self, request: Request) -> None:
        """Raise AttemptFenced for the token of an attempt that has ended."""
        grant: Grant = request.scope.get(GRANT, OPEN_GRANT)
        if grant.is_over:
            raise AttemptFenced


def needs(*scopes: Scope) -> list[Depends]:  # type: ignore[valid-type]  # FastAPI types Depends as a function
    """Declare the scopes of a route or router; one suffices: `APIRouter(dependencies=needs("read"))`."""
    return [Depends(RequireScope(scopes))]


OWN_ATTEMPT = Depends(RequireOwnAttempt())
LIVE_ATTEMPT = Depends(RequireLiveAttempt())


def list_undeclared_routes(routes: Sequence[BaseRoute]) -> list[str]:
    """Return the paths of routes that declare no scope, except mounted files."""
    undeclared = []
    for route in iter_route_contexts(routes):
        dependant = getattr(route, "dependant", None)
        calls = [dependency.call for dependency in dependant.dependencies] if dependant else []
        is_files = isinstance(getattr(route, "route", None) or getattr(route, "original_route", None), Mount)
        if not is_files and not any(isinstance(call, RequireScope) for call in calls):
            undeclared.append(str(getattr(route, "path", route)))
    return undeclared
