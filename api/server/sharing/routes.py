"""Routes of shared links: make, list and end them. What a link shows is decided in `gate`."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter
from sqlalchemy.orm import Session

from api.errors import BodyTooLarge, JobAmbiguous, JobNotFound, RequestInvalid, ShareNotFound
from api.jobs.queries import get_job_id
from api.server.access.scopes import needs
from api.server.http.bodies import parse_body, refuse_request
from api.server.http.dependencies import Caller, RawBody, ServicesDep
from api.server.http.openapi import SHARE_EXAMPLE, request_body
from api.server.http.responses import documented
from api.server.http.schemas import Page
from api.server.services import Services
from api.server.sharing import queries
from api.server.sharing.gate import PREFIX
from api.server.sharing.schemas import MOST_GROUPED, MOST_RUNS, ShareCreate, ShareMade, ShareRead

router = APIRouter(tags=["shares"], dependencies=needs("user"))
missing = APIRouter(include_in_schema=False, dependencies=needs("open"))
_FIGURE = re.compile(
    r"/figures/((timelines|heat-maps)\.(pdf|svg|png)|curves\.(pdf|svg|png|csv))|/runs/(?P<run>[^/]+)/movie\.(mp4|gif|png)"
)


@router.post(
    "/shares",
    status_code=201,
    response_model=ShareMade,
    responses=documented(JobNotFound, JobAmbiguous, RequestInvalid, BodyTooLarge),
    openapi_extra=request_body(ShareCreate, SHARE_EXAMPLE),
)
def create_share(raw: RawBody, services: ServicesDep, caller: Caller) -> Any:
    """Make a link that shows one run, comparison or figure to whoever has it, and nothing else, until it ends.

    Its address, `url`, is told this once. It needs no token, and works while the service requires them.
    """
    return make_share(services, parse_body(ShareCreate, raw), caller)


@router.get("/shares", response_model=Page[ShareRead])
def list_shares(services: ServicesDep) -> Any:
    """Read the links that were made, the newest first, also those that ended within the last 30 days."""
    with services.database.read() as session:
        return Page[ShareRead](items=queries.list_shares(session))


@router.delete("/shares/{share_id}", response_model=ShareRead, responses=documented(ShareNotFound))
def revoke_share(share_id: str, services: ServicesDep) -> Any:
    """End a link at once, for everybody who has it; idempotent."""
    with services.database.write() as session:
        return queries.read_share(session, queries.revoke_share(session, share_id))


@missing.get(PREFIX + "{rest:path}")
def refuse_link(rest: str) -> None:
    """Answer all addresses of links that show nothing."""
    raise ShareNotFound


def make_share(services: Services, body: ShareCreate, made_by: str) -> ShareMade:
    """Store a link; raises JobNotFound, JobAmbiguous and RequestInvalid."""
    with services.database.write() as session:
        runs, address = _read_page(session, body)
        share, token = queries.insert_share(session, body.kind, runs, address, body.expires_in, made_by)
        read = queries.read_share(session, share)
    return ShareMade(**read.model_dump(), url=f"{PREFIX}{token}")


def _read_page(session: Session, body: ShareCreate) -> tuple[list[str], str]:
    """Return the ids of the page's runs, and its address with these ids."""
    path, _, query = body.address.partition("#")[0].partition("?")
    fields = parse_qsl(query, keep_blank_values=True)
    movie = _FIGURE.fullmatch(path)
    in_path = [movie["run"]] if movie is not None and movie["run"] else []
    named = [*body.targets, *in_path, *(value for name, value in fields if name == "run")]
    ids = {name: get_job_id(session, name) for name in dict.fromkeys(named)}
    runs = list(dict.fromkeys(ids.values()))
    match body.kind:
        case "run":
            _require(len(runs) == 1, "targets", body.targets, "name the one run that the link shows")
            _require(not body.address, "address", [body.address], "only comparisons and figures have one")
            return runs, f"/runs/{runs[0]}"
        case "compare":
            most = MOST_GROUPED if any(name == "group" for name, _ in fields) else MOST_RUNS
            _require(2 <= len(runs) <= most, "targets", named, f"name 2 to {most} runs to compare")
            _require(path in ("", "/compare"), "address", [path], "that of a comparison begins with /compare?")
            kept = [(name, value) for name, value in fields if name not in ("run", "left", "right")]
            return runs, f"/compare?{urlencode([*(('run', run) for run in runs), *kept])}"
        case "figure":
            _require(
                movie is not None, "address", [path], "that of a figure is /figures/timelines.png?run=… or so"
            )
            _require(1 <= len(runs) <= MOST_RUNS, "targets", named, f"a shared figure shows 1 to {MOST_RUNS} runs")
            return runs, _write_figure(path, in_path, fields, ids)


def _write_figure(path: str, in_path: list[str], fields: list[tuple[str, str]], ids: dict[str, str]) -> str:
    """Return the figure's address with ids in the places of names."""
    for name in in_path:
        path = path.replace(f"/{name}/", f"/{ids[name]}/", 1)
    return f"{path}?{urlencode([(name, ids[value] if name == 'run' else value) for name, value in fields])}"


def _require(is_right: bool, field: str, given: Iterable[str], message: str) -> None:
    if not is_right:
        raise refuse_request([{"field": field, "given": ", ".join(given)[:200], "message": message}])
