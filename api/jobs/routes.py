"""Routes of jobs: submit, list, tabulate, read, cancel, retry, edit, delete, restore."""

from collections.abc import Callable, Generator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import StringConstraints
from sqlalchemy.orm import Session

from api.errors import (
    BodyTooLarge,
    IdempotencyConflict,
    JobNotFound,
    JobStateConflict,
    RequestInvalid,
    SpecRefused,
)
from api.events.findings.schemas import VerdictTone
from api.jobs import edits, serializers, sorting, submission
from api.jobs import queries as job_queries
from api.jobs.ids import NAMED_JOB
from api.jobs.queries import JobFilters
from api.jobs.schemas import GroupsRead, JobEdit, JobPage, JobRead
from api.jobs.search import MAX_TERMS, check_count, parse_comparison, parse_search
from api.jobs.tables import groups
from api.jobs.tables import rows as table
from api.server.access.scopes import needs
from api.server.http.bodies import parse_body, parse_job_spec
from api.server.http.dependencies import COSTLY, Caller, Cursor, RawBody, ServicesDep
from api.server.http.openapi import EDIT_EXAMPLE, SPEC_EXAMPLE, request_body
from api.server.http.responses import documented, streamed_response
from api.server.http.schemas import JobState
from api.server.services import Services
from ganlib.events import RuleName
from ganlib.spec.job import JobSpec

read = APIRouter(tags=["jobs"], dependencies=[*needs("read"), NAMED_JOB])
write = APIRouter(tags=["jobs"], dependencies=[*needs("user"), NAMED_JOB])
edit = APIRouter(tags=["jobs"], dependencies=[*needs("user"), NAMED_JOB])

# Databases cannot store the character U+0000.
_Text = Query(max_length=100, pattern=r"^[^\x00]*$")
_Condition = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00]*$")]
_Where = Query(
    max_length=MAX_TERMS, description="a field or metric, one of = != < <= > >= ~ (contains), a value; repeatable"
)
_MadeFrom = Query(
    min_length=1, max_length=250, pattern=r"^[^\x00]*$", description="the job whose spec was changed"
)
_IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=200, pattern=r"^[!-~]+$")]
_MADE_BEFORE: dict[int | str, dict[str, Any]] = {
    200: {"model": JobRead, "description": "This Idempotency-Key made this job before."}
}
_WriteTable = Callable[[Session, table.TableRequest], Generator[bytes]]
_TABLES: dict[str, tuple[str, _WriteTable]] = {
    "csv": ("text/csv; charset=utf-8", table.stream_csv),
    "jsonl": ("application/jsonl", table.stream_jsonl),
}
_Search = Query(max_length=1000, pattern=r"^[^\x00]*$", description="a search as in the dashboard's search box")


@write.post(
    "/jobs",
    status_code=201,
    response_model=JobRead,
    responses={**_MADE_BEFORE, **documented(SpecRefused, BodyTooLarge, IdempotencyConflict, JobNotFound)},
    openapi_extra=request_body(JobSpec, SPEC_EXAMPLE),
)
def create_job(
    raw: RawBody,
    services: ServicesDep,
    response: Response,
    caller: Caller,
    made_from: Annotated[str | None, _MadeFrom] = None,
    idempotency_key: _IdempotencyKey = None,
    content_type: Annotated[str, Header(include_in_schema=False)] = "",
) -> Any:
    """Store a queued job, then wake the workers. The body is the job spec itself, as JSON or as YAML."""
    services.rate_limits.count_submit(caller)
    spec = parse_job_spec(raw, content_type)
    shown, is_new = submission.submit_job(services, spec, idempotency_key, made_from)
    response.status_code = 201 if is_new else 200
    return shown


def read_filters(
    state: Annotated[list[JobState], Query(description="may be given several times")] = [],  # noqa: B006
    name: Annotated[str | None, _Text] = None,
    tag: Annotated[str | None, _Text] = None,
    commit: Annotated[str | None, Query(pattern=r"^[0-9a-fA-F]{1,40}$")] = None,
    recipe: Annotated[str | None, _Text] = None,
    verdict: Annotated[list[VerdictTone], Query(description="may be given several times")] = [],  # noqa: B006
    finding: Annotated[RuleName | None, Query(description="a rule that found something: mode_collapse")] = None,
    where: Annotated[list[_Condition], _Where] = [],  # noqa: B006
    q: Annotated[str, _Search] = "",
) -> JobFilters:
    """Return the filters of a list of jobs; raises RequestInvalid."""
    terms = check_count([*map(parse_comparison, where), *parse_search(q)], "where")
    return JobFilters(state, name, tag, commit, recipe, terms, verdict, finding)


_Filters = Annotated[JobFilters, Depends(read_filters)]
_Sort = Annotated[str, Query(pattern=sorting.SORT_PATTERN)]
_Rows = Annotated[int | None, Query(ge=1, le=1_000_000, description="how many runs at most; all without it")]


@read.get("/jobs", response_model=JobPage, responses=documented(RequestInvalid))
def list_jobs(
    services: ServicesDep,
    filters: _Filters,
    sort: _Sort = "-created_at",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor = None,
) -> Any:
    """List jobs, newest first by default; all filters must match.

    `name` is a part of the name, `commit` its first digits, `recipe` a part of the paper that a job repeats.
    `where` compares a field of the spec (`losses.generator=wasserstein`, `techniques.technique=feature_matching`)
    or a metric's newest value (`eval/classifier_score>5`). `sort` is a column, `duration`, a metric, or a field of
    the spec, with `-` in front for the other direction; jobs without a value come last.
    """
    with services.database.read() as session:
        return job_queries.list_jobs(session, filters, sort, limit, cursor)


@read.get("/job-groups", dependencies=[COSTLY], response_model=GroupsRead, responses=documented(RequestInvalid))
def list_groups(
    services: ServicesDep,
    filters: _Filters,
    by: Annotated[
        list[_Condition],
        Query(
            min_length=1, max_length=groups.MOST_FIELDS, description="a field of the spec, or `spec`; repeatable"
        ),
    ],
    metric: Annotated[list[_Condition], Query(max_length=groups.MOST_METRICS, description="repeatable")] = [],  # noqa: B006
) -> Any:
    """Group jobs by fields of their specs, and average the jobs of each group: mean, and deviation between jobs.

    `by=losses.generator&by=batch_size` makes a group of each pair of values, `by=spec` one of jobs that differ in
    nothing but name, tags, queue and seed. `metric` averages that metric's newest values. Filters are those of
    `GET /jobs`; of more than 2,000 jobs the newest are grouped. A deviation has n - 1 below its sum of squares; a
    group in which one job has a value has none.
    """
    with services.database.read() as session:
        return groups.read_groups(session, filters, by, metric)


@read.get(
    "/jobs.{form}",
    dependencies=[COSTLY],
    response_class=Response,
    responses={
        200: {"content": {kind: {"schema": {"type": "string"}} for kind, _ in _TABLES.values()}},
        **documented(RequestInvalid),
    },
)
def get_table(
    form: Literal["csv", "jsonl"],
    request: Request,
    services: ServicesDep,
    filters: _Filters,
    sort: _Sort = "-created_at",
    limit: _Rows = None,
) -> Response:
    """Read jobs as a table with every field of their specs and every newest metric; filters as in `GET /jobs`."""
    media_type, write = _TABLES[form]
    parts = _stream_table(services, write, table.TableRequest(filters, sort, limit))
    response = streamed_response(request, parts, media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="runs.{form}"'
    return response


def _stream_table(services: Services, write: _WriteTable, asked: table.TableRequest) -> Generator[bytes]:
    # All of it from one snapshot.
    with services.database.read() as session:
        yield from write(session, asked)


@read.get("/jobs/{job_id}", response_model=JobRead, responses=documented(JobNotFound))
def get_job(job_id: str, services: ServicesDep) -> Any:
    """Read one job with its spec, attempts and checkpoints, and why it waits.

    The beginning of an id, or a name that only one job has, stands for the id in every address of one job.
    """
    with services.database.read() as session:
        return serializers.job_read(session, job_queries.get_job(session, job_id), with_waiting=True)


@write.post("/jobs/{job_id}/cancel", response_model=JobRead, responses=documented(JobNotFound, JobStateConflict))
def cancel_job(job_id: str, services: ServicesDep) -> Any:
    """Cancel a queued job, or ask the worker of a running one to stop. Idempotent."""
    with services.database.write() as session:
        shown = serializers.job_read(session, job_queries.cancel_job(session, job_id))
    services.feed.notify()
    return shown


@write.post("/jobs/{job_id}/first", response_model=JobRead, responses=documented(JobNotFound, JobStateConflict))
def move_job_first(job_id: str, services: ServicesDep) -> Any:
    """Let a queued job be taken before all others that wait. Its spec stays as it was submitted."""
    with services.database.write() as session:
        shown = serializers.job_read(session, edits.move_first(session, job_id), with_waiting=True)
    services.feed.notify()
    return shown


@write.post(
    "/jobs/{job_id}/retry",
    status_code=201,
    response_model=JobRead,
    responses={**_MADE_BEFORE, **documented(JobNotFound, JobStateConflict, IdempotencyConflict, SpecRefused)},
)
def retry_job(
    job_id: str,
    services: ServicesDep,
    response: Response,
    caller: Caller,
    from_start: Annotated[
        bool, Query(description="start from the beginning instead of the newest checkpoint")
    ] = False,
    idempotency_key: _IdempotencyKey = None,
) -> Any:
    """Make a new job from a failed or cancelled one; it resumes from the newest stored checkpoint."""
    services.rate_limits.count_submit(caller)
    shown, is_new = submission.retry_job(services, job_id, from_start, idempotency_key)
    response.status_code = 201 if is_new else 200
    return shown


@edit.patch(
    "/jobs/{job_id}",
    response_model=JobRead,
    responses=documented(JobNotFound, RequestInvalid, BodyTooLarge),
    openapi_extra=request_body(JobEdit, EDIT_EXAMPLE),
)
def edit_job(job_id: str, raw: RawBody, services: ServicesDep) -> Any:
    """Change a job's tags and note, in any state; the spec never changes."""
    changes = parse_body(JobEdit, raw)
    with services.database.write() as session:
        shown = serializers.job_read(session, edits.edit_job(session, job_id, changes))
    services.feed.notify()
    return shown


@edit.delete("/jobs/{job_id}", response_model=JobRead, responses=documented(JobNotFound, JobStateConflict))
def delete_job(job_id: str, services: ServicesDep) -> Any:
    """Delete an ended job: it is hidden from every list at once, and its data is deleted some days later.

    Until then `POST /jobs/{id}/restore` restores it.
    """
    with services.database.write() as session:
        shown = serializers.job_read(session, edits.delete_job(session, job_id))
    services.feed.notify()
    return shown


@edit.post("/jobs/{job_id}/restore", response_model=JobRead, responses=documented(JobNotFound))
def restore_job(job_id: str, services: ServicesDep) -> Any:
    """Restore a deleted job; a job that is not deleted does not change."""
    with services.database.write() as session:
        shown = serializers.job_read(session, edits.restore_job(session, job_id))
    services.feed.notify()
    return shown
