"""Posts of events, as the service works with them: logged numbers by a quick reader, all else by its schema.

Numbers are most of what arrives, and a pydantic object for each event costs ten times as much as reading its JSON.
The quick reader takes only what the schema takes, and takes it alike; what it does not know, such as any mistake,
goes to the schema, which then says what is wrong. Of a field that is given twice the last one counts, and it alone
is stored.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from api.server.http.bodies import parse_body
from api.workers.schemas import EventsPost, NumberedEvent
from ganlib.events import (
    METRIC_NAME_PATTERN,
    CheckpointSaved,
    Event,
    HistogramsLogged,
    LatentsFixed,
    LineLogged,
    MetricsLogged,
    NamedFloat,
    NeighbourGridSaved,
    SampleGridSaved,
    TrainingEnded,
    TrainingStarted,
    event_adapter,
    show_float,
)

# What a worker's spool writes; other spellings of a time are left to the schema.
_TIME = r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)\Z"
# Near the ends of the calendar a zone may lead out of it.
_FIRST_YEAR, _LAST_YEAR = 1, 9999
_METRIC_NAME = re.compile(METRIC_NAME_PATTERN)


class MetricsRow(
    Struct, tag_field="kind", tag="metrics_logged", forbid_unknown_fields=True, frozen=True, gc=False
):
    """Numbers at one iteration; NaN and infinities are the strings that JSON has for them."""

    iteration: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    values: Annotated[dict[str, float | NamedFloat], Meta(min_length=1, max_length=256)]


OtherEvent = (
    TrainingStarted
    | LatentsFixed
    | SampleGridSaved
    | NeighbourGridSaved
    | HistogramsLogged
    | CheckpointSaved
    | LineLogged
    | TrainingEnded
)


class PostedEvent(Struct, frozen=True, gc=False):
    """An event with its number in the attempt and the time at which the trainer reported it."""

    seq: int
    at: datetime
    event: MetricsRow | OtherEvent


class _RawEvent(Struct, forbid_unknown_fields=True, gc=False):
    seq: Annotated[int, Meta(ge=0, le=2**53)]
    at: Annotated[str, Meta(pattern=_TIME)]
    event: Raw


class _RawPost(Struct, forbid_unknown_fields=True):
    events: Annotated[list[_RawEvent], Meta(min_length=1, max_length=10_000)]


class _Unusual(Exception):
    """The quick reader leaves this to the schema."""


_decode_post = msgspec.json.Decoder(_RawPost).decode
_decode_row = msgspec.json.Decoder(MetricsRow).decode


def read_events(raw: bytes) -> list[PostedEvent]:
    """Read the JSON of an EventsPost; raises RequestInvalid."""
    try:
        return _read_quickly(raw)
    except (_Unusual, msgspec.MsgspecError, ValueError, RecursionError):
        return [post_event(item) for item in parse_body(EventsPost, raw).events]


def post_event(item: NumberedEvent) -> PostedEvent:
    """Return an event of the schema as the service works with it."""
    return PostedEvent(item.seq, _in_utc(item.at), _simplify(item.event))


def encode_events(events: Sequence[PostedEvent]) -> bytes:
    """Write events as a JSON list."""
    return _encoder.encode(events)


def _read_quickly(raw: bytes) -> list[PostedEvent]:
    names: set[str] = set()
    events = []
    for item in _decode_post(raw).events:
        event = _read_event(item.event)
        if isinstance(event, MetricsRow):
            names.update(event.values)
        events.append(PostedEvent(item.seq, _read_time(item.at), event))
    if not all(_METRIC_NAME.fullmatch(name) for name in names):
        raise _Unusual
    return events


def _read_event(raw: Raw) -> MetricsRow | OtherEvent:
    try:
        return _decode_row(raw)
    except msgspec.ValidationError:
        other = event_adapter.validate_json(bytes(raw))
        if isinstance(other, MetricsLogged):
            # A number beyond a float would be infinite here.
            raise _Unusual from None
        return other


def _read_time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.year in (_FIRST_YEAR, _LAST_YEAR):
        raise _Unusual
    return _in_utc(at)


def _in_utc(at: datetime) -> datetime:
    return at if at.tzinfo is UTC else at.astimezone(UTC)


def _simplify(event: Event) -> MetricsRow | OtherEvent:
    if isinstance(event, MetricsLogged):
        return MetricsRow(event.iteration, {name: show_float(value) for name, value in event.values.items()})
    return event


def _encode_other(event: Any) -> Raw:
    return Raw(event.model_dump_json().encode())


_encoder = msgspec.json.Encoder(enc_hook=_encode_other)
