"""Who may ask: the address to bind, hosts, origins, the token, and the scope that every route declares."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Literal, get_args
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Mount

from api.errors import NotAuthenticated, OriginRefused
from api.settings import Settings

# read: see jobs and files; user: make and end jobs; worker: claim and report; open: no token wanted.
Scope = Literal["open", "read", "user", "worker"]
ALL_SCOPES: frozenset[str] = frozenset(get_args(Scope))
OPEN_SCOPES: frozenset[str] = frozenset({"open"})
OPEN_PATHS = frozenset({"/healthz"})

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
# Key of the ASGI scope under which the gate leaves what the caller may do.
GRANTED = "ganvas.granted_scopes"

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
    """The dependency that declares a route's scope and enforces it."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> None:
        """Raise NotAuthenticated unless the gate granted this scope."""
        if self.scope not in request.scope.get(GRANTED, OPEN_SCOPES):
            raise NotAuthenticated


_REQUIRED = {scope: RequireScope(scope) for scope in get_args(Scope)}


def needs(scope: Scope) -> Sequence[Depends]:  # type: ignore[valid-type]  # FastAPI types Depends as a function
    """Declare a route's or router's scope: `APIRouter(dependencies=needs("read"))`."""
    return [Depends(_REQUIRED[scope])]


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


def check_bind(settings: Settings) -> None:
    """Raise BindRefused for an address beyond this machine unless a token and allowed hosts are set."""
    if settings.host in LOOPBACK_HOSTS:
        return
    missing = [
        name
        for name, given in (("GANVAS_TOKEN", settings.token), ("GANVAS_ALLOWED_HOSTS", settings.allowed_hosts))
        if not given
    ]
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
    if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        raise OriginRefused
    site = headers.get("sec-fetch-site", "none")
    follows_link = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
    is_page = headers.get("sec-fetch-dest") == "document"
    if site not in ("same-origin", "none") and not (follows_link and is_page):
        raise OriginRefused


def check_token(authorization: str | None, token: str) -> None:
    """Raise NotAuthenticated unless `Bearer` or the password of `Basic` is the token."""
    kind, _, value = (authorization or "").partition(" ")
    given = value.strip()
    if kind.lower() == "basic":
        given = _read_basic_password(given)
    elif kind.lower() != "bearer":
        raise NotAuthenticated
    # Hashes have one length, so the time of the comparison tells nothing about the token.
    if not hmac.compare_digest(_hash(given), _hash(token)):
        raise NotAuthenticated("This token is not the right one.")


def split_host(host: str) -> str:
    """Return the name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _read_basic_password(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        raise NotAuthenticated from None


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
