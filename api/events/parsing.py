"""Parses posts of events: logged metrics by a fast reader, everything else by the schema.

Metrics are most of the traffic, and a pydantic object for each event costs ten times as much as reading its JSON.
The fast reader accepts a subset of the schema with the same result; anything else, such as a mistake, goes to the
schema, which reports the error. Of a field that is given twice only the last value is stored.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from api.events.schemas import EventsPost, NumberedEvent
from api.server.http.bodies import has_escapes, parse_body
from ganlib.events import (
    METRIC_NAME_PATTERN,
    CheckpointSaved,
    Event,
    FileSaved,
    FindingReported,
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

# The format of a worker's spool; the schema reads other formats of a time.
_TIME = r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)\Z"
# In the first and last year a time zone may lead out of the calendar.
_FIRST_YEAR, _LAST_YEAR = 1, 9999
_METRIC_NAME = re.compile(METRIC_NAME_PATTERN)


class MetricsRow(
    Struct, tag_field="kind", tag="metrics_logged", forbid_unknown_fields=True, frozen=True, gc=False
):
    """Metric values at one iteration; NaN and infinities are strings, as in JSON."""

    iteration: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    values: Annotated[dict[str, float | NamedFloat], Meta(min_length=1, max_length=256)]


OtherEvent = (
    TrainingStarted
    | LatentsFixed
    | SampleGridSaved
    | NeighbourGridSaved
    | HistogramsLogged
    | CheckpointSaved
    | FileSaved
    | LineLogged
    | FindingReported
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
    """The fast reader leaves this post to the schema."""


_decode_post = msgspec.json.Decoder(_RawPost).decode
_decode_row = msgspec.json.Decoder(MetricsRow).decode


def read_events(raw: bytes) -> list[PostedEvent]:
    """Read the JSON of an EventsPost; raises RequestInvalid."""
    try:
        if has_escapes(raw):
            raise _Unusual
        return _read_fast(raw)
    except (_Unusual, msgspec.MsgspecError, ValueError, RecursionError):
        return [post_event(item) for item in parse_body(EventsPost, raw).events]


def post_event(item: NumberedEvent) -> PostedEvent:
    """Convert an event of the schema."""
    return PostedEvent(item.seq, _in_utc(item.at), _simplify(item.event))


def encode_events(events: Sequence[PostedEvent]) -> bytes:
    """Write events as a JSON list."""
    return _encoder.encode(events)


def _read_fast(raw: bytes) -> list[PostedEvent]:
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
            # A number too large for a float would become infinite here.
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
