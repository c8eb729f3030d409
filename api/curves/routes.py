"""Routes of curves and histograms."""

from collections.abc import Generator, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from api.curves import columns, folding, histograms
from api.curves import queries as curve_queries
from api.curves.schemas import CurvesRead, GroupCurve, GroupCurvesRead, HistogramRead
from api.curves.times import add_times
from api.errors import JobNotFound, RequestInvalid
from api.jobs import queries as job_queries
from api.jobs.ids import NAMED_JOB
from api.server.access.scopes import needs
from api.server.database.engine import Database
from api.server.http.dependencies import COSTLY, Cursor, ServicesDep
from api.server.http.responses import COMPRESSION, documented, streamed_response
from api.server.http.schemas import Page
from ganlib.events import MetricName

router = APIRouter(tags=["jobs"], dependencies=[*needs("read"), NAMED_JOB, COSTLY])

_JOB_IDS = r"^[a-z0-9]{12}(,[a-z0-9]{12}){0,49}$"
_MAX_ITERATION = 1_000_000_000
Form = Literal["json", "binary", "bands"]
# Media type and level of compression; columns of points are not compressed.
_FORMS: dict[Form, tuple[str, int | None]] = {
    "json": ("application/json", COMPRESSION),
    "binary": (columns.MEDIA_TYPE, None),
    "bands": (columns.BANDS_MEDIA_TYPE, 1),
}


@router.get(
    "/jobs/{job_id}/metrics",
    response_model=CurvesRead,
    responses={
        200: {
            "description": "With `form=binary` or `form=bands`, columns as docs/reference/api.md describes them.",
            "content": {
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in (columns.MEDIA_TYPE, columns.BANDS_MEDIA_TYPE)
            },
        },
        **documented(JobNotFound, RequestInvalid),
    },
)
def get_curves(
    job_id: str,
    request: Request,
    services: ServicesDep,
    name: Annotated[list[str] | None, Query(description="may be given several times; all without it")] = None,
    points: Annotated[int | None, Query(ge=5, le=1_000_000)] = None,
    form: Form = "json",
    first: Annotated[int, Query(alias="from", ge=0, le=_MAX_ITERATION, description="the first iteration")] = 0,
    last: Annotated[
        int | None, Query(alias="to", ge=0, le=_MAX_ITERATION, description="the last iteration, included")
    ] = None,
    times: Annotated[bool, Query(description="also when each point was logged; not with form=bands")] = False,
) -> Any:
    """Read curves: whole, or at most `points` points each with every extreme among them.

    `form=bands` divides each into at most `points` stretches (1,000 unless given): mean, lowest and highest value.
    """
    if times and form == "bands":
        message = "a stretch of several points has no time of its own; ask for form=json or form=binary"
        raise RequestInvalid(message, problems=[{"field": "query.times", "given": "true", "message": message}])
    window = curve_queries.CurveWindow(first, last)
    parts = _stream_curves(services.database, job_id, name, points, form, window, times)
    media_type, level = _FORMS[form]
    return streamed_response(request, parts, media_type, level=level)


@router.get(
    "/job-groups/{job_ids}/metrics",
    response_model=GroupCurvesRead,
    responses={
        200: {
            "description": "With `form=bands`, columns as docs/reference/api.md describes them.",
            "content": {columns.BANDS_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        },
        **documented(JobNotFound, RequestInvalid),
    },
)
def get_group_curves(
    job_ids: Annotated[str, Path(pattern=_JOB_IDS, description="whole ids of up to 50 jobs, with commas between")],
    services: ServicesDep,
    name: Annotated[list[str] | None, Query(description="may be given several times; all without it")] = None,
    points: Annotated[int | None, Query(ge=5, le=1_000_000)] = None,
    form: Literal["json", "bands"] = "json",
    first: Annotated[int, Query(alias="from", ge=0, le=_MAX_ITERATION, description="the first iteration")] = 0,
    last: Annotated[
        int | None, Query(alias="to", ge=0, le=_MAX_ITERATION, description="the last iteration, included")
    ] = None,
) -> Any:
    """Read the mean of several jobs' curves and the standard deviation between jobs (n - 1), at each iteration.

    Where a job logged nothing, it counts as if it went straight from its last point to its next one. `form=bands`
    divides each into at most `points` stretches (1,000 unless given): the mean, and a deviation to either side.
    """
    ids, window = list(dict.fromkeys(job_ids.split(","))), curve_queries.CurveWindow(first, last)
    limit = (points or 1000) if form == "bands" else None
    with services.database.read() as session:
        folded, last_event_id = folding.read_folded(session, ids, name, limit, window)
    if form == "bands":
        bands = columns.write_columns([curve.to_bands() for curve in folded], last_event_id)
        return Response(bands, media_type=columns.BANDS_MEDIA_TYPE)
    thinned = folded if points is None else [folding.thin_folded(curve, points) for curve in folded]
    return GroupCurvesRead(curves=[_read_folded(curve) for curve in thinned], last_event_id=last_event_id)


def _read_folded(curve: folding.FoldedCurve) -> GroupCurve:
    return GroupCurve(
        name=curve.name,
        iterations=[point.iteration for point in curve.points],
        values=[point.mean for point in curve.points],
        total=curve.total,
        deviations=[point.deviation for point in curve.points],
        counts=[point.count for point in curve.points],
    )


@router.get(
    "/jobs/{job_id}/histograms",
    response_model=Page[HistogramRead],
    responses=documented(JobNotFound, RequestInvalid),
)
def list_histograms(
    job_id: str,
    services: ServicesDep,
    name: Annotated[
        list[MetricName] | None, Query(description="may be given several times; all without it")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
    cursor: Cursor = None,
) -> Any:
    """Read histograms, by name and then in order of iteration."""
    with services.database.read() as session:
        job_queries.get_job(session, job_id)
        page = histograms.list_histograms(session, job_id, name, limit, cursor)
    # Serialised here, as curves are.
    return Response(page.model_dump_json(), media_type="application/json")


def _stream_curves(
    database: Database,
    job_id: str,
    names: Sequence[str] | None,
    points: int | None,
    form: Form,
    window: curve_queries.CurveWindow,
    times: bool,
) -> Generator[bytes]:
    """Yield the answer piece by piece, all of it from one snapshot and with one curve in memory."""
    with database.read() as session:
        listing = curve_queries.list_curves(session, job_id, names, window)
        # A curve is divided into bands as a whole.
        curves = curve_queries.iterate_curves(session, listing, None if form == "bands" else points)
        if times:
            curves = add_times(session, job_id, listing.names, curves)
        count, last_event_id = len(listing.names), listing.last_event_id
        if form == "json":
            yield from columns.stream_json(curves, last_event_id)
        elif form == "binary":
            yield from columns.stream_curves(curves, count, last_event_id, timed=times)
        else:
            yield from columns.stream_bands(curves, count, last_event_id, points or 1000)
