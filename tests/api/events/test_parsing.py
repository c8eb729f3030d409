"""The quick reader of events takes only what the schema takes, and takes it alike."""

import json
import random
from typing import Any

import pytest
from sqlalchemy import func, select

from api.errors import RequestInvalid
from api.events import parsing
from api.events.parsing import MetricsRow, PostedEvent, encode_events, post_event, read_events
from api.events.schemas import EventsPost
from api.server.database.engine import Database
from api.server.database.models import LatestValue
from tests.support.services import add_claimed_job, make_metrics, post, read_points

AT = "2026-01-02T03:04:05.678901+00:00"
LINE = {"kind": "line_logged", "iteration": 3, "level": "info", "text": 'a "NaN" 1e999 \\ \u2028 é'}


def write(*events: Any, at: str = AT) -> bytes:
    numbered = [{"seq": seq, "at": at, "event": event} for seq, event in enumerate(events)]
    return json.dumps({"events": numbered}).encode()


def write_value(text: str, name: str = "loss/generator", at: str = AT) -> bytes:
    event = f'{{"kind":"metrics_logged","iteration":1,"values":{{{json.dumps(name)}:{text}}}}}'
    return f'{{"events":[{{"seq":0,"at":"{at}","event":{event}}}]}}'.encode()


def read_by_schema(raw: bytes) -> list[PostedEvent]:
    return [post_event(item) for item in parsing.parse_body(EventsPost, raw).events]


def read_or_refuse(read: Any, raw: bytes) -> bytes | None:
    try:
        return encode_events(read(raw))
    except RequestInvalid:
        return None


def make_events(seed: int) -> list[Any]:
    noise = random.Random(seed)
    values = [noise.gauss(0, 10.0 ** noise.randint(-300, 300)) for _ in range(5)] + [
        0,
        -0.0,
        "nan",
        "-inf",
        10**30,
    ]
    rows = [
        {
            "kind": "metrics_logged",
            "iteration": at,
            "values": {f"loss/m{k}": noise.choice(values) for k in range(3)},
        }
        for at in range(20)
    ]
    return [*rows, LINE]


@pytest.mark.parametrize("seed", range(20))
def test_what_both_take_is_the_same_to_the_last_bit(seed: int) -> None:
    raw = write(*make_events(seed))
    assert encode_events(parsing._read_fast(raw)) == encode_events(read_by_schema(raw))


NO_NUMBERS = ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" + "0" * 400, "1" * 310 + ".5"]
NO_NUMBERS += ["null", "[]", "{}", '""', "1.", ".5", "01", "+1", "0x1", "1_0", "'1'"]
NUMBERS = ["1", "-0.0", "5e-324", "1e-400", "1E+2", '"nan"', '"inf"', '"-inf"']
# As strings, and as what pydantic takes for a number.
NUMBERS += ['"1.5"', '"NAN"', '"Infinity"', '"1e400"', "true"]
ZONED = "2026-01-02T03:04:05Z 2026-01-02T03:04:05.6+05:30 2026-01-02T03:04:05.1234567Z 2026-01-02T03:04Z"
DAYS = "2026-01-02 20260102T030405Z 2026-W01-5 2026-02-30T00:00:00Z 2026-01-02T24:00:00Z"
ENDS = "0001-01-01T00:00:00Z 0001-01-01T00:00:00+05:00 9999-12-31T23:59:59-05:00 2026-01-02T03:04:05+25:00"


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(RequestInvalid):
        read_events(write_value(text))


@pytest.mark.parametrize("text", NUMBERS)
def test_what_the_schema_takes_is_taken(text: str) -> None:
    taken = read_or_refuse(read_events, write_value(text))
    assert taken is not None
    assert taken == read_or_refuse(read_by_schema, write_value(text))


@pytest.mark.parametrize(
    "name", ["loss/generator\n", "", " loss", "loss ", "\t", "los\x7fs", "a\nb", "x" * 251, "loss\u2028"]
)
def test_a_metric_without_a_proper_name_is_refused(name: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        read_events(write_value("1.0", name))
    assert "events.0.event" in refused.value.details["problems"][0]["field"]


@pytest.mark.parametrize(
    "at", [*f"{ZONED} {DAYS} {ENDS}".split(), "2026-01-02 03:04:05Z", "2026-01-02T03:04:05Z\\n", ""]
)
def test_times_are_read_and_refused_as_the_schema_does(at: str) -> None:
    raw = write_value("1.0", at=at)
    assert read_or_refuse(read_events, raw) == read_or_refuse(read_by_schema, raw)


@pytest.mark.parametrize(
    "change",
    [
        {"iteration": -1},
        {"iteration": 10**9 + 1},
        {"iteration": 1.5},
        {"iteration": None},
        {"values": {}},
        {"more": 1},
        {"kind": "x"},
        {"values": {f"a/b{k}": 0 for k in range(257)}},
    ],
)
def test_a_row_that_the_schema_refuses_is_refused(change: dict[str, Any]) -> None:
    row = {"kind": "metrics_logged", "iteration": 1, "values": {"loss/generator": 1.0}, **change}
    with pytest.raises(RequestInvalid):
        read_events(write(row, LINE))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"events":[]}',
        b'{"events":' + b"[" * 100_000,
        b"\xff\xfe",
        write(LINE)[:-1],
        write(LINE) + b"x",
        write(*[LINE] * 10_001),
        write(LINE).replace(b'"seq": 0', b'"seq": -1'),
        write(LINE).replace(b'"seq"', b'"other": 1, "seq"'),
        write_value("1.0").replace(b"generator", b"\xff"),
        write({"kind": "metrics_logged", "iteration": 1, "values": [[[]]] * 9}),
    ],
)
def test_a_body_that_is_no_post_of_events_is_refused(raw: bytes) -> None:
    with pytest.raises(RequestInvalid):
        read_events(raw)


def test_of_a_field_that_is_given_twice_the_last_counts_and_is_all_that_is_stored() -> None:
    raw = write_value('1.0,"loss/generator":2.0')
    (event,) = read_events(raw)
    assert isinstance(event.event, MetricsRow)
    assert event.event.values == {"loss/generator": 2.0}
    assert encode_events([event]).count(b"loss/generator") == 1
    assert read_by_schema(raw) == [event]


def test_thousands_of_metrics_in_one_post_are_stored(sqlite: Database) -> None:
    rows = [make_metrics(1, **{f"m{row}_x{k}": float(k) for k in range(200)}) for row in range(35)]
    with sqlite.write() as session:
        job = add_claimed_job(session)
        assert post(session, job, rows).new_points == 7_000
        assert post(session, job, rows, first=35).new_points == 7_000
        assert session.scalar(select(func.count()).select_from(LatestValue)) == 7_000
        assert read_points(session, job, "m7/x199") == {1: 199.0}
