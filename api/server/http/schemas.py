"""Schemas that several parts share: names, states, pages, reasons, health."""

from datetime import UTC, datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from ganlib.events import PrintedText

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
TERMINAL_STATES: tuple[JobState, ...] = ("succeeded", "failed", "cancelled")
# Who writes a job: `ganlib` for a spec that workers train, `own` for a loop of somebody's own, or another tracker.
Origin = Literal["ganlib", "own", "mlflow", "tensorboard", "wandb", "trackio"]
AttemptEnd = Literal["succeeded", "failed", "cancelled", "preempted", "lost"]
MediaType = Literal["image/png", "application/octet-stream"]

# A worker's name: any characters except control characters.
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
    """Base of answers. Unknown fields are ignored, so that a client can read the answers of a newer service."""

    # Deferred: a process builds the schemas that it uses.
    model_config = ConfigDict(from_attributes=True, defer_build=True)


class Request(BaseModel):
    """Base of requests; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class Page(Schema, Generic[Item]):
    """One page of a list; `next` is the cursor of the following page, null at the end."""

    items: list[Item]
    next: str | None = None


class Reason(Schema):
    """Why a job or an attempt ended as it did: a stable code, a sentence, and the last log lines if any."""

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    message: Annotated[PrintedText, Field(max_length=4000)]
    log_tail: Annotated[PrintedText, Field(max_length=20_000)] = ""


class HealthRead(Schema):
    """The service is up and can reach its database. public_url: where people reach it, empty if not known."""

    status: Literal["ok"] = "ok"
    version: str
    public_url: str = ""
    jobs_queued: int
    jobs_running: int
