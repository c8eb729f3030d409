"""Who may ask: the address to bind, hosts, origins, and the scopes that every route declares."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence

from fastapi import Depends, Request
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Mount

from api.errors import AttemptFenced, NotAllowed, NotAuthenticated, OriginRefused
from api.server.access.tokens import OPEN, Grant, Scope
from api.settings import Settings

OPEN_PATHS = frozenset({"/healthz", "/login", "/theme", "/favicon.ico"})
# The dashboard's own scripts and styles, which the login page needs too.
OPEN_PREFIX = "/static/"

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
# A name or an address, and perhaps a port.
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\[\]:/?#@\\\s]*))(?::[0-9]{1,5})?")
# Key of the ASGI scope under which the gate leaves the request's Grant.
GRANT = "ganvas.grant"

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)


class BindRefused(Exception):
    """The service would listen beyond this machine without a token or without allowed hosts."""


class RequireScope:
    """The dependency that declares the scopes of a route, one of which is needed, and enforces them."""

    def __init__(self, scopes: tuple[Scope, ...]) -> None:
        self.scopes = frozenset(scopes)

    async def __call__(self, request: Request) -> None:
        """Raise NotAuthenticated or NotAllowed unless the gate granted one of these scopes."""
        grant: Grant = request.scope.get(GRANT, OPEN)
        if not self.scopes & grant.scopes:
            raise NotAuthenticated if grant is OPEN else NotAllowed


class RequireOwnAttempt:
    """The dependency of the routes of one attempt: a token of another attempt is refused."""

    async def __call__(self, request: Request) -> None:
        """Raise NotAllowed unless the path names the token's own attempt; one that is over is for the fence."""
        grant: Grant = request.scope.get(GRANT, OPEN)
        named = (request.path_params.get("job_id"), request.path_params.get("attempt"))
        if grant.attempt is not None and named != (grant.attempt[0], str(grant.attempt[1])):
            raise NotAllowed("This token is another attempt's.")


class RequireLiveAttempt:
    """The dependency of files: an attempt that is over neither reads nor writes them."""

    async def __call__(self, request: Request) -> None:
        """Raise AttemptFenced for the token of an attempt that has ended."""
        grant: Grant = request.scope.get(GRANT, OPEN)
        if grant.is_over:
            raise AttemptFenced


def needs(*scopes: Scope) -> list[Depends]:  # type: ignore[valid-type]  # FastAPI types Depends as a function
    """Declare the scopes of a route or router, one of which is needed: `APIRouter(dependencies=needs("read"))`."""
    return [Depends(RequireScope(scopes))]


OWN_ATTEMPT = Depends(RequireOwnAttempt())
LIVE_ATTEMPT = Depends(RequireLiveAttempt())


def list_undeclared_routes(routes: Sequence[BaseRoute]) -> list[str]:
    """Return the paths of routes that declare no scope; mounted files are behind the gate alone."""
    undeclared = []
    for route in iter_route_contexts(routes):
        dependant = getattr(route, "dependant", None)
        calls = [dependency.call for dependency in dependant.dependencies] if dependant else []
        is_files = isinstance(getattr(route, "route", None) or getattr(route, "original_route", None), Mount)
        if not is_files and not any(isinstance(call, RequireScope) for call in calls):
            undeclared.append(str(getattr(route, "path", route)))
    return undeclared


def check_bind(settings: Settings, has_tokens: Callable[[], bool]) -> None:
    """Raise BindRefused for an address beyond this machine unless a token and allowed hosts are set.

    has_tokens: whether any token was ever made; asked only where no GANVAS_TOKEN is set.
    """
    if settings.host in LOOPBACK_HOSTS:
        return
    missing = []
    if not settings.token and not has_tokens():
        missing.append("GANVAS_TOKEN (or make a token with `ganvas token create`)")
    if not settings.allowed_hosts:
        missing.append("GANVAS_ALLOWED_HOSTS")
    if missing:
        raise BindRefused(
            f"Listening on {settings.host} would let others reach this service: "
            f"set {' and '.join(missing)} first, or listen on 127.0.0.1."
        )


def check_host(host: str | None, allowed: frozenset[str]) -> None:
    """Raise OriginRefused when the Host header names none of the allowed hosts (DNS rebinding)."""
    name = split_host(host or "")
    if name not in allowed:
        raise OriginRefused(
            f"Requests for the host {name[:100]!r} are refused; GANVAS_ALLOWED_HOSTS names those that are taken."
        )


def check_origin(method: str, headers: Mapping[str, str]) -> None:
    """Raise OriginRefused when a browser says that another site's page made this request.

    A person who follows a link from elsewhere (a navigation that only reads) is let in.
    """
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower():
        raise OriginRefused
    site = headers.get("sec-fetch-site", "none")
    follows_link = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
    is_page = headers.get("sec-fetch-dest") == "document"
    if site not in ("same-origin", "none") and not (follows_link and is_page):
        raise OriginRefused


def read_bearer(authorization: str | None) -> str | None:
    """Return the token of `Bearer`, or the password of `Basic`; None without the header.

    Raises NotAuthenticated for a header that is neither.
    """
    if authorization is None:
        return None
    kind, _, value = authorization.partition(" ")
    given = value.strip()
    if kind.lower() == "basic":
        given = _read_basic_password(given)
    elif kind.lower() != "bearer":
        raise NotAuthenticated
    if not given:
        raise NotAuthenticated
    return given


def split_host(host: str) -> str:
    """Return the name in a Host header, without port and brackets; nothing of a header that is malformed."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower() if found else ""


def _read_basic_password(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        raise NotAuthenticated from None
