"""The page of shared links: those that there are, and a new one's address, which is shown this once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.errors import ShareNotFound
from api.server.access.proxies import ROOT
from api.server.access.scopes import needs
from api.server.http.bodies import parse_body
from api.server.http.dependencies import Caller, ServicesDep
from api.server.services import Services
from api.server.sharing import queries
from api.server.sharing.routes import make_share
from api.server.sharing.schemas import ShareCreate, ShareKind, ShareRead, ShareState
from dashboard.web.layout import Frame, Moment, moment_of
from dashboard.web.rendering import Site
from dashboard.web.requests import FormFields, read_frame

KIND_WORDS: dict[ShareKind, str] = {"run": "Run", "compare": "Comparison", "figure": "Figure"}
STATE_WORDS: dict[ShareState, str] = {"live": "Live", "expired": "Expired", "revoked": "Ended"}


@dataclass(frozen=True)
class LinkRow:
    """One link: what it shows, since when and until when, and whether it can be ended."""

    id: str
    kind: str
    runs: str
    href: str
    state: str
    created: Moment
    ends: str
    made_by: str
    is_live: bool


@dataclass(frozen=True)
class SharesPage:
    """All links; made_url: the whole address of one that was made just now, or empty."""

    title: str
    frame: Frame
    made_url: str
    made_for: str
    rows: Sequence[LinkRow]


def build_shares_page(
    shares: Sequence[ShareRead], frame: Frame, now: datetime, made: tuple[ShareRead, str] | None = None
) -> SharesPage:
    """Return the page; made: a new link and its whole address."""
    return SharesPage(
        title="Shared links",
        frame=frame,
        made_url=made[1] if made else "",
        made_for=_describe(made[0]) if made else "",
        rows=[_build_row(share, now) for share in shares],
    )


def _describe(share: ShareRead) -> str:
    return f"{KIND_WORDS[share.kind].lower()} {_name_runs(share)}, until {share.expires_at:%Y-%m-%d %H:%M} UTC"


def _name_runs(share: ShareRead) -> str:
    return ", ".join(run.name or f"{run.id} (deleted)" for run in share.runs)


def _build_row(share: ShareRead, now: datetime) -> LinkRow:
    return LinkRow(
        id=share.id,
        kind=KIND_WORDS[share.kind],
        runs=_name_runs(share),
        href=share.address,
        state=STATE_WORDS[share.state],
        created=moment_of(share.created_at, now),
        ends=f"{share.revoked_at or share.expires_at:%Y-%m-%d %H:%M} UTC",
        made_by=share.made_by,
        is_live=share.state == "live",
    )


def add_shares(router: APIRouter, site: Site) -> None:
    """Add the page and its actions."""

    @router.get("/share-links", dependencies=needs("user"))
    def show_shares(request: Request, services: ServicesDep) -> HTMLResponse:
        """Show the links that there are."""
        return _render(site, request, services)

    @router.post("/share-links", dependencies=needs("user"))
    def share_page(fields: FormFields, request: Request, services: ServicesDep, caller: Caller) -> HTMLResponse:
        """Make a link and show its address, this once."""
        body = {
            "kind": fields.get("kind", "run"),
            "targets": [fields["target"]] if fields.get("target") else [],
            "address": fields.get("address", ""),
            "expires_in": fields.get("expires") or "7d",
        }
        made = make_share(services, parse_body(ShareCreate, json.dumps(body).encode()), caller)
        return _render(site, request, services, (made, _find_origin(request, services) + made.url))

    @router.post("/share-links/{share_id}/revoke", dependencies=needs("user"))
    def revoke_link(share_id: str, services: ServicesDep) -> Response:
        """End a link at once and show the others; one that is gone is only shown no more."""
        try:
            with services.database.write() as session:
                queries.revoke_share(session, share_id)
        except ShareNotFound:
            pass
        return RedirectResponse("/share-links", 303)


def _render(
    site: Site, request: Request, services: Services, made: tuple[ShareRead, str] | None = None
) -> HTMLResponse:
    with services.database.read() as session:
        shares = queries.list_shares(session)
    page = build_shares_page(shares, read_frame(request), datetime.now(UTC), made)
    return site.renderer.render_page(request, "web/shares.html", page)


def _find_origin(request: Request, services: Services) -> str:
    """Return the address at which people reach the service: the operator's word, else that of this request."""
    if services.settings.public_url:
        return services.settings.public_url.rstrip("/")
    return f"{request.url.scheme}://{request.headers.get('host', '')}{request.scope.get(ROOT, '')}"
