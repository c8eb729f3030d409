"""What other schemas are made of."""

from datetime import UTC, datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
TERMINAL_STATES: tuple[JobState, ...] = ("succeeded", "failed", "cancelled")
AttemptEnd = Literal["succeeded", "failed", "cancelled", "preempted", "lost"]
MediaType = Literal["image/png", "application/octet-stream"]

# A name that a worker gives itself: any characters but those that control a terminal or a database's text.
Label = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Item = TypeVar("Item")


def _check_moment(moment: datetime) -> datetime:
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("in UTC this lies before the year 1 or after 9999") from None
    return moment


Moment = Annotated[datetime, AfterValidator(_check_moment)]


class Schema(BaseModel):
    """What leaves. Unknown fields pass, so that a client goes on reading the answers of a newer service."""

    model_config = ConfigDict(from_attributes=True)


class Request(BaseModel):
    """What arrives; a field that is not known is a mistake."""

    model_config = ConfigDict(extra="forbid")


class Page(Schema, Generic[Item]):
    """One page of a list; `next` is the cursor to ask for the following one, null at the end."""

    items: list[Item]
    next: str | None = None


class Reason(Schema):
    """Why a job or an attempt ended as it did: a stable code, a sentence, and the last log lines if any."""

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    message: Annotated[str, Field(max_length=4000)]
    log_tail: Annotated[str, Field(max_length=20_000)] = ""
