"""Routes of the event streams (server-sent events)."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from api.errors import JobNotFound, RequestInvalid, TooManyRequests
from api.events import watermark
from api.events.feed import LIST_EVERY_SECONDS, read_job_messages, read_list_messages
from api.jobs import queries as job_queries
from api.jobs.ids import NAMED_JOB
from api.server.access.scopes import needs
from api.server.http.dependencies import ServicesDep, StreamPosition
from api.server.http.openapi import REF
from api.server.http.responses import documented

router = APIRouter(tags=["events"], dependencies=[*needs("read"), NAMED_JOB])

_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class EventStream(StreamingResponse):
    """Server-sent events; each message's data is one StreamEvent as JSON."""

    media_type = "text/event-stream"


_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`id`, `event: update` and `data`, a StreamEvent. Continue with `Last-Event-ID`.",
        "content": {"text/event-stream": {"schema": {"$ref": REF.format(model="StreamEvent")}}},
    },
    **documented(JobNotFound, RequestInvalid, TooManyRequests),
}


def check_job(job_id: str, services: ServicesDep) -> str:
    """Raise JobNotFound or TooManyRequests before the stream begins."""
    services.feed.check_room()
    with services.database.read() as session:
        return job_queries.get_job(session, job_id).id


def find_newest_event_id(services: ServicesDep) -> int:
    """Return the event id at which a stream begins by default."""
    services.feed.check_room()
    return watermark.find_watermark(services.database)


@router.get("/jobs/{job_id}/events", response_class=EventStream, responses=_RESPONSES)
async def stream_job(
    job_id: Annotated[str, Depends(check_job)], services: ServicesDep, after: StreamPosition
) -> EventStream:
    """Follow one job: every batch of events after the given id, or all of them without an id.

    Besides the trainer's events, the stream sends `state_changed` and `attempt_started`; after the latter, drop
    events later than its `resumed_from`, which will be sent again.
    """
    messages = services.feed.stream(
        job_id, after or 0, lambda last: read_job_messages(services.database, job_id, last)
    )
    return EventStream(messages, headers=_HEADERS)


@router.get("/events", response_class=EventStream, responses=_RESPONSES)
async def stream_jobs(
    newest: Annotated[int, Depends(find_newest_event_id)], services: ServicesDep, after: StreamPosition
) -> EventStream:
    """Follow all jobs: the summary of each that changed after the given id, or from now on without one.

    `events` is empty; a job is sent at most four times a second.
    """
    begin = newest if after is None else after
    database = services.database
    messages = services.feed.stream(
        None, begin, lambda last: read_list_messages(database, last), LIST_EVERY_SECONDS
    )
    return EventStream(messages, headers=_HEADERS)
