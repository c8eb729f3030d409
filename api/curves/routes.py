"""Routes of curves and histograms."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from api.curves import columns, histograms
from api.curves import queries as curve_queries
from api.curves.schemas import CurvesRead, HistogramRead
from api.errors import JobNotFound, RequestInvalid
from api.jobs import queries as job_queries
from api.jobs.ids import NAMED_JOB
from api.server.access.scopes import needs
from api.server.http.dependencies import Cursor, ServicesDep
from api.server.http.responses import compressed_response, documented
from api.server.http.schemas import Page
from ganlib.events import MetricName

router = APIRouter(tags=["jobs"], dependencies=[*needs("read"), NAMED_JOB])

_MAX_ITERATION = 1_000_000_000


@router.get(
    "/jobs/{job_id}/metrics",
    response_model=CurvesRead,
    responses={
        200: {
            "description": "With `form=binary` or `form=bands`, columns as docs/api.md describes them.",
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
    form: Literal["json", "binary", "bands"] = "json",
    first: Annotated[int, Query(alias="from", ge=0, le=_MAX_ITERATION, description="the first iteration")] = 0,
    last: Annotated[
        int | None, Query(alias="to", ge=0, le=_MAX_ITERATION, description="the last iteration, included")
    ] = None,
) -> Any:
    """Read curves: whole, or at most `points` points each with every extreme among them.

    `form=bands` divides each into at most `points` stretches (1,000 unless given): mean, lowest and highest value.
    """
    window = curve_queries.CurveWindow(first, last)
    with services.database.read() as session:
        if form == "bands":
            stored = curve_queries.read_stored_curves(session, job_id, name, None, window)
            body = columns.write_bands(stored, points or 1000)
            return compressed_response(request, body, columns.BANDS_MEDIA_TYPE, level=1)
        if form == "binary":
            stored = curve_queries.read_stored_curves(session, job_id, name, points, window)
            return Response(columns.write_curves(stored), media_type=columns.MEDIA_TYPE)
        curves = curve_queries.read_curves(session, job_id, name, points, window)
    # Serialised here: FastAPI would validate a hundred thousand numbers again.
    return compressed_response(request, curves.model_dump_json().encode(), "application/json")


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
