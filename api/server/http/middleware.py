"""Middleware that checks every request before routing and adds the security headers to every answer."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import AttemptFenced, NotAuthenticated, ServiceError
from api.server.access.authenticator import Authenticator
from api.server.access.grants import FULL_GRANT, LIMIT, OPEN_GRANT, OPEN_SCOPES, Grant
from api.server.access.origins import LOOPBACK_HOSTS, SECURITY_HEADERS, check_host, check_origin
from api.server.access.scopes import GRANT, OPEN_PATHS, OPEN_PREFIX
from api.server.http.query_fields import replace_unstorable_query
from api.server.http.request_bodies import MAX_BODY_BYTES as MAX_BODY_BYTES
from api.server.http.request_bodies import STREAMED_PREFIX, BodyReader, RequestBody, linger, open_body
from api.server.http.responses import error_response
from api.server.settings import MIB, Settings
from api.server.sharing.gate import PREFIX as SHARE_PREFIX
from api.server.sharing.gate import SHARED, ShareGate, hide

logger = logging.getLogger(__name__)
# Routes of one attempt: each of their writes passes the fence.
FENCED_PREFIX = "/jobs/"
# An upload that is longer is not begun on the word of a grant that is remembered.
_LONG_UPLOAD = MIB
# A request that takes longer is looked at again as often, so that a revoked token ends what it has opened.
WATCH_SECONDS = 1.0
# Requests that are handled at once: of readers, and of those who need no token. The service has 40 threads; what
# these leave is for workers.
READERS_AT_ONCE, STRANGERS_AT_ONCE = 24, 8
# Figures wait for their turn in a queue of their own, for minutes.
_FIGURES = re.compile(r"/figures/.*|/runs/[^/]+/movie\..*")


class AccessMiddleware:
    """ASGI middleware: checks host, origin and credentials, and only then reads small bodies up to their limit."""

    def __init__(
        self, app: ASGIApp, settings: Settings, authenticator: Authenticator, shares: ShareGate | None = None
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._shares = shares
        self._bodies = BodyReader()
        self._readers = asyncio.Semaphore(READERS_AT_ONCE)
        self._strangers = asyncio.Semaphore(STRANGERS_AT_ONCE)
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
        body = open_body(scope, receive)
        answer = Answer(hide(send) if scope["path"].startswith(SHARE_PREFIX) else send, body)
        try:
            grant = await self._check(scope)
            async with self._bodies.read(scope, body, is_open=grant is OPEN_GRANT) as receive_body:
                await self._pass_on(scope, receive_body, answer, grant)
        except NotAuthenticated as error:
            refusal = _redirect_to_login(scope) or error_response(error)
            await refusal(scope, receive, answer.send)
        except ServiceError as error:
            await error_response(error)(scope, receive, answer.send)
        except ClientDisconnect:
            return

    async def _check(self, scope: Scope) -> Grant:
        headers = Headers(scope=scope)
        method, path = scope["method"], scope["path"]
        replace_unstorable_query(scope)
        check_host(headers.get("host"), self._hosts)
        check_origin(method, headers)
        if self._shares is not None and path.startswith(SHARE_PREFIX):
            shared = await self._shares.enter(scope)
            scope[GRANT] = shared
            return shared
        if path in OPEN_PATHS or path.startswith(OPEN_PREFIX):
            scope[GRANT] = OPEN_GRANT
            return OPEN_GRANT
        grant = await self._authenticator.find_grant(
            headers,
            scope["client"][0] if scope.get("client") else "",
            is_fenced=path.startswith(FENCED_PREFIX),
            is_fresh=method == "PUT" and _is_long(headers),
        )
        if grant.is_over and method in ("POST", "PUT") and path.startswith(STREAMED_PREFIX.rstrip("/")):
            raise AttemptFenced
        if LIMIT in scope:
            grant = Grant(grant.scopes & scope[LIMIT], grant.caller)
        scope[GRANT] = grant
        return grant

    async def _pass_on(self, scope: Scope, receive: Receive, answer: "Answer", grant: Grant) -> None:
        """Call the application: a reader's request in its turn, and as long as its credential is valid."""
        if _is_workers(scope, grant) or _FIGURES.fullmatch(scope["path"]):
            await self._run_watched(scope, receive, answer, grant)
            return
        turns = self._strangers if grant is OPEN_GRANT or SHARED in scope else self._readers
        await turns.acquire()
        # Released with the answer's first byte: what follows takes no thread for long; slow readers block none.
        answer.on_start = turns.release
        try:
            await self._run_watched(scope, receive, answer, grant)
        finally:
            answer.release()

    async def _run_watched(self, scope: Scope, receive: Receive, answer: "Answer", grant: Grant) -> None:
        if grant is OPEN_GRANT or scope["method"] not in ("GET", "PUT"):
            await self._app(scope, receive, answer.send)
            return
        watch = Watch(partial(self._holds, scope, grant))
        try:
            await self._app(scope, receive, answer.send)
        except asyncio.CancelledError:
            if not watch.has_ended:
                raise
            current = asyncio.current_task()
            if current is not None:
                current.uncancel()
            await answer.end()
        finally:
            watch.close()

    async def _holds(self, scope: Scope, grant: Grant) -> bool:
        """Return whether the credential of this request, a token or a shared link, is valid by now."""
        if self._shares is not None and SHARED in scope:
            return await self._shares.holds(scope[SHARED])
        return await self._authenticator.holds(Headers(scope=scope), grant.scopes - OPEN_SCOPES)


class Watch:
    """Cancels the current task, a request, when its credential is no longer valid; `holds` says whether it is."""

    def __init__(self, holds: Callable[[], Awaitable[bool]]) -> None:
        self.has_ended = False
        self._ask = holds
        self._request = asyncio.current_task()
        self._task: asyncio.Task[None] | None = None
        # Most requests end before: they pay for a timer and not for a task.
        self._timer = asyncio.get_running_loop().call_later(WATCH_SECONDS, self._begin)

    def close(self) -> None:
        """Stop watching."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while await self._holds():
            await asyncio.sleep(WATCH_SECONDS)
        self.has_ended = True
        if self._request is not None:
            self._request.cancel()

    async def _holds(self) -> bool:
        try:
            return await self._ask()
        except Exception as error:
            logger.warning("A token could not be looked up (%s); its open answers go on until it can.", error)
            return True


class Answer:
    """An answer on its way: adds the security headers, and closes the connection of a body that was not read."""

    def __init__(self, send: Send, body: RequestBody) -> None:
        self.on_start = _do_nothing
        self._send, self._body = send, body
        self._has_started = self._has_ended = self._is_stream = self._lingers = False

    async def send(self, message: Message) -> None:
        """Send a message of the application."""
        if message["type"] == "http.response.start":
            self._has_started = True
            self._lingers = not self._body.is_read
            headers = _add_missing(message.get("headers", ()))
            if self._lingers:
                headers.append((b"connection", b"close"))
            self._is_stream = any(
                name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers
            )
            message["headers"] = headers
            await self._send(message)
            self.release()
            return
        self._has_ended = not message.get("more_body", False)
        if self._has_ended and self._lingers:
            await self._send({**message, "more_body": True})
            await linger(self._body)
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def end(self) -> None:
        """End an answer whose credential is no longer valid: a stream as usual, so that its reader asks again."""
        if not self._has_started:
            await self._send_refusal()
        elif self._is_stream and not self._has_ended:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def release(self) -> None:
        """Call `on_start` once."""
        call, self.on_start = self.on_start, _do_nothing
        call()

    async def _send_refusal(self) -> None:
        with suppress(OSError):
            await error_response(NotAuthenticated("This token is no longer valid."))(
                {"type": "http"}, _never, self.send
            )


def _do_nothing() -> None:
    pass


async def _never() -> Message:
    return {"type": "http.disconnect"}


def _is_workers(scope: Scope, grant: Grant) -> bool:
    """Return whether a worker asks: by its grant, or by the address where no tokens are needed."""
    if grant is not FULL_GRANT and grant is not OPEN_GRANT and "user" not in grant.scopes:
        return "read" not in grant.scopes
    method, path = scope["method"], scope["path"]
    return method in ("POST", "PUT") and (
        path.startswith(("/workers/", "/artifacts")) or (path.startswith(FENCED_PREFIX) and "/attempts/" in path)
    )


def _is_long(headers: Headers) -> bool:
    length = headers.get("content-length", "")
    return not (length.isascii() and length.isdigit() and len(length) < 8 and int(length) <= _LONG_UPLOAD)


def _redirect_to_login(scope: Scope) -> Response | None:
    """Redirect a request for a page to the login page, if the service has one."""
    login_path = getattr(scope["app"].state, "login_path", None)
    wants_page = "text/html" in Headers(scope=scope).get("accept", "")
    if login_path is None or scope["method"] != "GET" or not wants_page:
        return None
    query = scope["query_string"].decode("latin-1")
    requested = scope["path"] + (f"?{query}" if query else "")
    return RedirectResponse(f"{login_path}?{urlencode({'back': requested})}", 303, {"cache-control": "no-store"})


def _add_missing(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    given = list(headers)
    names = {name.lower() for name, _ in given}
    return given + [header for header in SECURITY_HEADERS if header[0] not in names]
