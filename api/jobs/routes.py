"""Jobs as people see them: submit, list, read, cancel."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import StringConstraints

from api.curves import columns, histograms
from api.curves import queries as curve_queries
from api.errors import (
    BodyTooLarge,
    DiffNotFound,
    IdempotencyConflict,
    JobNotFound,
    JobStateConflict,
    RequestInvalid,
    SpecRefused,
)
from api.jobs import edits, serializers, sorting, submission
from api.jobs import queries as job_queries
from api.jobs.schemas import JobEdit, JobRead, JobSummary
from api.jobs.search import MAX_TERMS, check_count, parse_comparison, parse_search
from api.samples import queries as sample_queries
from api.samples.schemas import (
    CheckpointRead,
    CurvesRead,
    HistogramRead,
    LogLineRead,
    NeighbourGridRead,
    SampleRead,
)
from api.server.access.scopes import needs
from api.server.http.bodies import parse_body, parse_job_spec
from api.server.http.dependencies import AttemptPath, Caller, Cursor, RawBody, ServicesDep
from api.server.http.openapi import EDIT_EXAMPLE, SPEC_EXAMPLE, request_body
from api.server.http.responses import columns_response, documented, json_response
from api.server.http.schemas import JobState, Page
from ganlib.events import MetricName
from ganlib.spec.job import JobSpec

read = APIRouter(tags=["jobs"], dependencies=needs("read"))
write = APIRouter(tags=["jobs"], dependencies=needs("user"))

MAX_ITERATION = 1_000_000_000
# No character that a database's text cannot hold.
_Text = Query(max_length=100, pattern=r"^[^\x00]*$")
_Condition = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00]*$")]
_Where = Query(
    max_length=MAX_TERMS, description="a field or metric, one of = != < <= > >= ~ (contains), a value; repeatable"
)
_MadeFrom = Query(min_length=1, max_length=32, pattern=r"^[^\x00]*$", description="the job whose spec was changed")
_Search = Query(max_length=1000, pattern=r"^[^\x00]*$", description="what one would write into the search box")


@write.post(
    "/jobs",
    status_code=201,
    response_model=JobRead,
    responses={
        200: {"model": JobRead, "description": "This Idempotency-Key made this job before."},
        **documented(SpecRefused, BodyTooLarge, IdempotencyConflict, JobNotFound),
    },
    openapi_extra=request_body(JobSpec, SPEC_EXAMPLE),
)
def create_job(
    raw: RawBody,
    services: ServicesDep,
    response: Response,
    caller: Caller,
    made_from: Annotated[str | None, _MadeFrom] = None,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200, pattern=r"^[!-~]+$")] = None,
) -> Any:
    """Store a queued job, then wake the workers. The body is the job spec itself."""
    services.limits.count_submit(caller)
    spec = parse_job_spec(raw)
    shown, is_new = submission.submit_job(services, spec, idempotency_key, made_from)
    response.status_code = 201 if is_new else 200
    return shown


@read.get("/jobs", response_model=Page[JobSummary], responses=documented(RequestInvalid))
def list_jobs(
    services: ServicesDep,
    state: Annotated[list[JobState], Query(description="may be given several times")] = [],  # noqa: B006
    name: Annotated[str | None, _Text] = None,
    tag: Annotated[str | None, _Text] = None,
    commit: Annotated[str | None, Query(pattern=r"^[0-9a-fA-F]{1,40}$")] = None,
    recipe: Annotated[str | None, _Text] = None,
    where: Annotated[list[_Condition], _Where] = [],  # noqa: B006
    q: Annotated[str, _Search] = "",
    sort: Annotated[str, Query(pattern=sorting.SORT_PATTERN)] = "-created_at",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor = None,
) -> Any:
    """List jobs, newest first unless sorted otherwise; all that is asked for must hold.

    `name` is a part of the name, `commit` its first digits, `recipe` a part of the paper that a job repeats.
    `where` compares a field of the spec (`losses.generator=wasserstein`, `techniques.technique=feature_matching`)
    or a metric's newest value (`eval/classifier_score>5`). `sort` is a column, `duration`, a metric, or a field of
    the spec, with `-` in front for the other direction; jobs without a value come last.
    """
    terms = check_count([*map(parse_comparison, where), *parse_search(q)], "where")
    filters = job_queries.JobFilters(state, name, tag, commit, recipe, terms)
    with services.database.read() as session:
        return job_queries.list_jobs(session, filters, sort, limit, cursor)


@read.get("/jobs/{job_id}", response_model=JobRead, responses=documented(JobNotFound))
def get_job(job_id: str, services: ServicesDep) -> Any:
    """Read one job with its spec, attempts and checkpoints."""
    with services.database.read() as session:
        return serializers.job_read(session, job_queries.get_job(session, job_id))


@read.get(
    "/jobs/{job_id}/attempts/{attempt}/diff",
    response_class=PlainTextResponse,
    responses=documented(JobNotFound, DiffNotFound),
)
def get_diff(job_id: str, attempt: AttemptPath, services: ServicesDep) -> Response:
    """Download what an attempt ran that was not committed, as `git diff` writes it."""
    with services.database.read() as session:
        diff = job_queries.get_diff(session, job_id, attempt)
    return PlainTextResponse(
        diff, headers={"content-disposition": f'attachment; filename="attempt-{attempt}.diff"'}
    )


@write.post("/jobs/{job_id}/cancel", response_model=JobRead, responses=documented(JobNotFound, JobStateConflict))
def cancel_job(job_id: str, services: ServicesDep) -> Any:
    """End a queued job; ask the worker of a running one to stop. Asking again changes nothing."""
    with services.database.write() as session:
        shown = serializers.job_read(session, job_queries.cancel_job(session, job_id))
    services.feed.nudge()
    return shown


@write.post(
    "/jobs/{job_id}/retry",
    status_code=201,
    response_model=JobRead,
    responses=documented(JobNotFound, JobStateConflict, SpecRefused),
)
def retry_job(
    job_id: str,
    services: ServicesDep,
    caller: Caller,
    from_start: Annotated[bool, Query(description="begin anew instead of at the newest checkpoint")] = False,
) -> Any:
    """Make a new job of one that failed or was cancelled; it goes on from the newest checkpoint that is stored."""
    services.limits.count_submit(caller)
    return submission.retry_job(services, job_id, from_start)


@read.get(
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
    first: Annotated[int, Query(alias="from", ge=0, le=MAX_ITERATION, description="the first iteration")] = 0,
    last: Annotated[
        int | None, Query(alias="to", ge=0, le=MAX_ITERATION, description="the last iteration, itself included")
    ] = None,
) -> Any:
    """Read curves: whole, or at most `points` points each with every extreme among them.

    `form=bands` divides each into at most `points` stretches (1,000 unless given): mean, lowest and highest value.
    """
    window = curve_queries.CurveWindow(first, last)
    with services.database.read() as session:
        if form == "bands":
            stored = curve_queries.read_stored_curves(session, job_id, name, None, window)
            return columns_response(request, columns.write_bands(stored, points or 1000), columns.BANDS_MEDIA_TYPE)
        if form == "binary":
            stored = curve_queries.read_stored_curves(session, job_id, name, points, window)
            return Response(columns.write_curves(stored), media_type=columns.MEDIA_TYPE)
        curves = curve_queries.read_curves(session, job_id, name, points, window)
    # Written by hand: checking a hundred thousand numbers again would cost more than reading them.
    return json_response(request, curves.model_dump_json().encode())


@read.get(
    "/jobs/{job_id}/samples", response_model=Page[SampleRead], responses=documented(JobNotFound, RequestInvalid)
)
def list_samples(
    job_id: str, services: ServicesDep, limit: Annotated[int, Query(ge=1, le=5000)] = 1000, cursor: Cursor = None
) -> Any:
    """Read the image timeline, oldest grid first."""
    with services.database.read() as session:
        job_queries.get_job(session, job_id)
        return sample_queries.list_samples(session, job_id, limit, cursor)


@read.get(
    "/jobs/{job_id}/neighbours",
    response_model=Page[NeighbourGridRead],
    responses=documented(JobNotFound, RequestInvalid),
)
def list_neighbour_grids(
    job_id: str, services: ServicesDep, limit: Annotated[int, Query(ge=1, le=5000)] = 1000, cursor: Cursor = None
) -> Any:
    """Read the grids of nearest training images, oldest first, each laid out like its iteration's sample grid."""
    with services.database.read() as session:
        job_queries.get_job(session, job_id)
        return sample_queries.list_neighbour_grids(session, job_id, limit, cursor)


@read.get(
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
    # Written by hand, as curves are.
    return Response(page.model_dump_json(), media_type="application/json")


@read.get(
    "/jobs/{job_id}/log", response_model=Page[LogLineRead], responses=documented(JobNotFound, RequestInvalid)
)
def list_log_lines(
    job_id: str, services: ServicesDep, tail: Annotated[int, Query(ge=1, le=5000)] = 200, cursor: Cursor = None
) -> Any:
    """Read the newest lines of the log in the order in which they were written; `next` leads to older ones."""
    with services.database.read() as session:
        job_queries.get_job(session, job_id)
        return sample_queries.list_log_lines(session, job_id, tail, cursor)


@read.get("/jobs/{job_id}/checkpoints", response_model=Page[CheckpointRead], responses=documented(JobNotFound))
def list_checkpoints(job_id: str, services: ServicesDep) -> Any:
    """Read the committed checkpoints in order of iteration; `url` is null for those whose file made room."""
    with services.database.read() as session:
        job_queries.get_job(session, job_id)
        return Page[CheckpointRead](items=sample_queries.list_checkpoints(session, job_id))


router = APIRouter(tags=["jobs"], dependencies=needs("user"))


@router.patch(
    "/jobs/{job_id}",
    response_model=JobRead,
    responses=documented(JobNotFound, RequestInvalid, BodyTooLarge),
    openapi_extra=request_body(JobEdit, EDIT_EXAMPLE),
)
def edit_job(job_id: str, raw: RawBody, services: ServicesDep) -> Any:
    """Change a job's tags and note, whatever its state; the spec stays as it was submitted."""
    edit = parse_body(JobEdit, raw)
    with services.database.write() as session:
        shown = serializers.job_read(session, edits.edit_job(session, job_id, edit))
    services.feed.nudge()
    return shown


@router.delete("/jobs/{job_id}", response_model=JobRead, responses=documented(JobNotFound, JobStateConflict))
def delete_job(job_id: str, services: ServicesDep) -> Any:
    """Delete a job that has ended: out of every list at once, its data some days later.

    Until then `POST /jobs/{id}/restore` brings it back.
    """
    with services.database.write() as session:
        shown = serializers.job_read(session, edits.delete_job(session, job_id))
    services.feed.nudge()
    return shown


@router.post("/jobs/{job_id}/restore", response_model=JobRead, responses=documented(JobNotFound))
def restore_job(job_id: str, services: ServicesDep) -> Any:
    """Bring a deleted job back as it was. One that was not deleted stays as it is."""
    with services.database.write() as session:
        shown = serializers.job_read(session, edits.restore_job(session, job_id))
    services.feed.nudge()
    return shown
