"""Lets requests below a shared link's address see its one page, and nothing else.

`/s/TOKEN` stands before the page's own addresses as a path prefix does, so every link and script of the page stays
below it. What is not on the list here is not there: no other run, no list, no action, no file of another run.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Scope, Send

from api.errors import ShareNotFound
from api.server.access.grants import OPEN_GRANT, Grant, hash_token
from api.server.access.proxies import ROOT
from api.server.database.engine import Database
from api.server.sharing import queries
from api.server.sharing.queries import SharedPage

PREFIX = "/s/"
# Key of the ASGI scope under which the gate leaves the page of a request that it let in.
SHARED = "ganvas.shared"
SHARE_GRANT = frozenset({"open", "read"})
_LINK = re.compile(r"/s/(?P<token>[A-Za-z0-9_-]{43})(?P<path>/.*)?", re.ASCII | re.DOTALL)
_STATIC = re.compile(r"/static/[0-9a-f]{1,64}/.+")
_ARTIFACT = re.compile(r"/artifacts/(?P<sha256>[0-9a-f]{64})")
# What belongs to the page of one run.
_OF_RUN = re.compile(
    r"/runs/(?P<page>[a-z0-9]+)(/(export\.html|timeline\.json|(strips|corners)/[0-9a-f-]+\.(jpg|png)"
    r"|cells/(none|[0-9]+-[0-9]+)(/[0-9a-f-]+\.png)?|(logits|gradients|layers)/[a-z0-9.]+\.png|histograms/.+\.png))?"
    r"|/jobs/(?P<job>[a-z0-9]+)/(metrics|samples|neighbours|histograms|events|files|files/.+"
    r"|checkpoints/[0-9]+/generator|attempts/[0-9]+/diff)"
)
_OF_COMPARISON = re.compile(r"/compare(/export\.html)?")
# Of compared runs the page shows no more than their timelines and curves.
_OF_COMPARED = re.compile(
    r"/runs/(?P<page>[a-z0-9]+)/(timeline\.json|(strips|corners)/[0-9a-f-]+\.(jpg|png)"
    r"|cells/(none|[0-9]+-[0-9]+)(/[0-9a-f-]+\.png)?)|/jobs/(?P<job>[a-z0-9]+)/metrics"
)
_OF_GROUP = re.compile(r"/job-groups/(?P<jobs>[a-z0-9,]+)/metrics")
# Fields of a comparison's address that name runs.
_NAMING = ("run", "left", "right")
_HIDING = {
    b"referrer-policy": b"no-referrer",
    b"x-robots-tag": b"noindex, nofollow, noarchive",
    b"cache-control": b"no-store",
}


class ShareGate:
    """Turns the address of a request below a link into the page's own, if the link is live and the page has it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enter(self, scope: Scope) -> Grant:
        """Return the grant of the request and change its address.

        The address of what is not shared stays, and the route of such addresses says so; raises ShareNotFound for
        requests that do more than read.
        """
        if scope["method"] not in ("GET", "HEAD"):
            raise ShareNotFound
        link = _LINK.fullmatch(scope["path"])
        if link is None:
            return _refuse(scope)
        path = link["path"] or "/"
        if _STATIC.fullmatch(path):
            # These are the same for everybody.
            _lead(scope, link["token"], path, scope["query_string"].decode("latin-1"))
            return OPEN_GRANT
        query = scope["query_string"].decode("latin-1")
        entered = await run_in_threadpool(self._find, hash_token(link["token"]), path, query)
        if entered is None:
            return _refuse(scope)
        page, address = entered
        _lead(scope, link["token"], *_split(address))
        scope[SHARED] = page
        return Grant(SHARE_GRANT, f"share {page.id}")

    async def holds(self, page: SharedPage) -> bool:
        """Return whether the link of an answer that is still being sent is live."""
        return await run_in_threadpool(self._is_live, page.id)

    def _find(self, token_sha256: str, path: str, query: str) -> tuple[SharedPage, str] | None:
        with self._database.read() as session:
            page = queries.find_page(session, token_sha256)
            address = find_address(session, page, path, query) if page is not None else None
        return (page, address) if page is not None and address is not None else None

    def _is_live(self, share_id: str) -> bool:
        with self._database.read() as session:
            return queries.is_live(session, share_id)


def find_address(session: Session, page: SharedPage, path: str, query: str) -> str | None:
    """Return the service's address that a path below the link stands for, None for one that is not shared."""
    if path == "/":
        return page.address if not query else _with_query(page, query)
    if page.kind == "figure":
        return None
    file = _ARTIFACT.fullmatch(path)
    if file is not None:
        return path if queries.is_file_of(session, page.runs, file["sha256"]) else None
    if page.kind == "compare" and _OF_COMPARISON.fullmatch(path):
        return _compare(page, path, query)
    group = _OF_GROUP.fullmatch(path) if page.kind == "compare" else None
    if group is not None:
        return (f"{path}?{query}" if query else path) if set(group["jobs"].split(",")) <= set(page.runs) else None
    known = (_OF_RUN if page.kind == "run" else _OF_COMPARED).fullmatch(path)
    if known is None or (known["page"] or known["job"]) not in page.runs:
        return None
    return f"{path}?{query}" if query else path


def _with_query(page: SharedPage, query: str) -> str | None:
    """Return the page's own address with what a reader has added to it, such as the iteration that it shows."""
    path = page.address.partition("?")[0]
    match page.kind:
        case "run":
            return f"{path}?{query}"
        case "compare":
            return _compare(page, path, query)
        case _:
            return None


def _compare(page: SharedPage, path: str, query: str) -> str | None:
    """Return the address of the comparison, None if it names another run."""
    fields = parse_qsl(query, keep_blank_values=True)
    if any(value not in page.runs for name, value in fields if name in _NAMING):
        return None
    named = [] if any(name == "run" for name, _ in fields) else [("run", run) for run in page.runs]
    return f"{path}?{urlencode([*named, *fields])}"


def _refuse(scope: Scope) -> Grant:
    scope["query_string"] = b""
    return OPEN_GRANT


def _split(address: str) -> tuple[str, str]:
    path, _, query = address.partition("?")
    return path, query


def _lead(scope: Scope, token: str, path: str, query: str) -> None:
    scope["path"] = path
    scope["raw_path"] = quote(path).encode()
    scope["query_string"] = query.encode("latin-1")
    scope[ROOT] = f"{scope.get(ROOT, '')}{PREFIX}{token}"


def hide(send: Send) -> Send:
    """Return a `send` whose answers tell no other site their address, and are in no cache and no search engine."""

    async def send_hidden(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": list(_hide_headers(message.get("headers", ())))}
        await send(message)

    return send_hidden


def _hide_headers(headers: Any) -> Iterator[tuple[bytes, bytes]]:
    given = [(name.lower(), value) for name, value in headers]
    # The dashboard's own files hold nothing of anybody's.
    is_public = any(name == b"cache-control" and value.startswith(b"public") for name, value in given)
    kept = {b"cache-control"} if is_public else set()
    yield from ((name, value) for name, value in given if name in kept or name not in {*_HIDING, b"set-cookie"})
    yield from ((name, value) for name, value in _HIDING.items() if name not in kept)
