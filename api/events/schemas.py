"""Schemas of events: the batches that a worker posts and the messages of a stream."""

from typing import Annotated, Any

from pydantic import Field

from api.attempts.schemas import LeaseRead
from api.jobs.schemas import JobSummary
from api.server.http.schemas import Moment, Request, Schema
from ganlib.events import Event


class NumberedEvent(Request):
    """An event with its number in the attempt (0, 1, 2, …) and the time at which the trainer reported it."""

    seq: Annotated[int, Field(ge=0, le=2**53)]
    at: Moment
    event: Event


class EventsPost(Request):
    """A batch of events with consecutive numbers.

    The same batch may be sent again; a number that is stored already with other content is refused.
    """

    events: Annotated[list[NumberedEvent], Field(min_length=1, max_length=10_000)]


class EventsAccepted(LeaseRead):
    """The batch is durable; `next_seq` is the number that the service expects next."""

    next_seq: int


class StreamEvent(Schema):
    """One message of the stream. `events` are the trainer's, `job` is the job's summary after them."""

    id: int
    attempt: int | None
    events: list[dict[str, Any]]
    job: JobSummary
