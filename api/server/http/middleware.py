"""Middleware that checks every request before routing and adds the security headers to every answer."""

from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.artifacts.bundles import MAX_BUNDLE_BYTES
from api.errors import BodyTooLarge, NotAuthenticated, RequestInvalid, ServiceError
from api.server.access.authenticator import Authenticator
from api.server.access.grants import OPEN_GRANT
from api.server.access.origins import LOOPBACK_HOSTS, SECURITY_HEADERS, check_host, check_origin
from api.server.access.scopes import GRANT, OPEN_PATHS, OPEN_PREFIX
from api.server.http.responses import error_response
from api.settings import MIB, Settings
from ganlib.spec.storable import UNSTORABLE_TEXT, is_storable

MAX_BODY_BYTES = MIB
# Files are streamed to disk by their own route, which has its own limit.
STREAMED_PREFIX = "/artifacts/"
# Routes of one attempt: each of their writes passes the fence.
FENCED_PREFIX = "/jobs/"
# Several files in one body.
_LARGER_BODIES = {("POST", "/artifacts"): MAX_BUNDLE_BYTES}


class AccessMiddleware:
    """ASGI middleware: checks host, origin and credentials, and reads small bodies up to their limit."""

    def __init__(self, app: ASGIApp, settings: Settings, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator
        self._hosts = LOOPBACK_HOSTS | {
            host.lower() for host in (*settings.allowed_hosts, settings.own_address) if host
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with an error."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _add_missing(message.get("headers", ()))
            await send(message)

        try:
            await self._check(scope)
            if not (scope["method"] == "PUT" and scope["path"].startswith(STREAMED_PREFIX)):
                limit = _LARGER_BODIES.get((scope["method"], scope["path"]), MAX_BODY_BYTES)
                receive = await _read_small_body(scope, receive, limit)
        except NotAuthenticated as error:
            answer = _redirect_to_login(scope) or error_response(error)
            await answer(scope, receive, send_secured)
        except ServiceError as error:
            await error_response(error)(scope, receive, send_secured)
        except ClientDisconnect:
            return
        else:
            await self._app(scope, receive, send_secured)

    async def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        check_host(headers.get("host"), self._hosts)
        check_origin(scope["method"], headers)
        if scope["path"] in OPEN_PATHS or scope["path"].startswith(OPEN_PREFIX):
            scope[GRANT] = OPEN_GRANT
        else:
            scope[GRANT] = await self._authenticator.find_grant(
                headers, is_fenced=scope["path"].startswith(FENCED_PREFIX)
            )
        _check_query(scope["query_string"])


def _check_query(query: bytes) -> None:
    """Refuse U+0000; other characters that no database can store cannot be written in a query."""
    if b"%00" not in query and b"\0" not in query:
        return
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if not (is_storable(name) and is_storable(value)):
            problem = {"field": f"query.{name}", "given": repr(value)[:80], "message": UNSTORABLE_TEXT}
            raise RequestInvalid(f"query.{name}: {UNSTORABLE_TEXT}.".replace("\0", ""), problems=[problem])


def _redirect_to_login(scope: Scope) -> Response | None:
    """Redirect a request for a page to the login page, if the service has one."""
    login_path = getattr(scope["app"].state, "login_path", None)
    wants_page = "text/html" in Headers(scope=scope).get("accept", "")
    if login_path is None or scope["method"] != "GET" or not wants_page:
        return None
    query = scope["query_string"].decode("latin-1")
    requested = scope["path"] + (f"?{query}" if query else "")
    return RedirectResponse(f"{login_path}?{urlencode({'back': requested})}", 303, {"cache-control": "no-store"})


async def _read_small_body(scope: Scope, receive: Receive, limit: int) -> Receive:
    """Read the body up to the limit and return a `receive` that gives it again; raises BodyTooLarge."""
    length = Headers(scope=scope).get("content-length")
    # Its length is checked first: Python refuses to parse a number of thousands of digits.
    too_large = BodyTooLarge(f"The body is too large for this route; the limit is {limit:,} bytes.")
    if length is not None and (not _is_number(length) or int(length) > limit):
        raise too_large
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > limit:
            raise too_large
    body: bytes | None = b"".join(parts)

    async def receive_again() -> Message:
        nonlocal body
        if body is None:
            return await receive()
        message = {"type": "http.request", "body": body, "more_body": False}
        body = None
        return message

    return receive_again


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _add_missing(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    given = list(headers)
    names = {name.lower() for name, _ in given}
    return given + [header for header in SECURITY_HEADERS if header[0] not in names]
