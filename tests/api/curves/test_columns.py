"""Curves as bytes have the layout that docs/reference/api.md tells, and come back bit by bit."""

import gzip
import math
import random
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.curves.columns import MEDIA_TYPE, StoredCurve, StoredCurves, read_curves, write_curves
from api.curves.points import Points
from api.events.ingest import insert_events
from api.events.parsing import post_event
from api.events.schemas import NumberedEvent
from api.server.database.engine import Database, build_database
from api.server.settings import Settings
from ganlib.events import MetricsLogged
from tests.support.services import add_claimed_job, make_metrics, post

INFINITY = float("inf")
BEGAN = datetime(2026, 11, 30, 12, tzinfo=UTC)
# Written by hand: two points of `loss/generator` and one of `a`, all 8 bytes apart.
BY_HAND = (
    b"GVC1" + struct.pack("<IQ", 2, 77)
    + struct.pack("<IIQ", 14, 2, 9) + b"loss/generator\0\0"
    + bytes.fromhex("000000000000f03f" "000000000000f07f") + bytes.fromhex("0a000000" "14000000")
    + struct.pack("<IIQ", 1, 1, 1) + b"a\0\0\0\0\0\0\0"
    + bytes.fromhex("00000000000000c0") + bytes.fromhex("ffffffff" "00000000")
)  # fmt: skip


def test_curves_have_the_layout_that_is_documented() -> None:
    curves = [
        StoredCurve("loss/generator", Points([10, 20], [1.0, INFINITY]), 9),
        StoredCurve("a", Points([2**32 - 1], [-2.0]), 1),
    ]
    assert write_curves(StoredCurves(curves, 77)) == BY_HAND


def test_curves_are_read_back() -> None:
    found = read_curves(BY_HAND)
    assert found.last_event_id == 77
    assert [
        (curve.name, list(curve.points.iterations), list(curve.points.values), curve.total)
        for curve in found.curves
    ] == [("loss/generator", [10, 20], [1.0, INFINITY], 9), ("a", [2**32 - 1], [-2.0], 1)]


@pytest.mark.parametrize("data", [b"", BY_HAND[:10], BY_HAND[:60], BY_HAND[:-8], b"GVC2" + BY_HAND[4:]])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="these"):
        read_curves(data)


@pytest.fixture
def long_curve(client: TestClient, home: Path) -> str:
    """A job with 100,000 points of noise: one spike, one NaN."""
    source = random.Random(0)
    values = [source.gauss(1, 0.1) for _ in range(100_000)]
    values[54_321], values[70_000] = 40.0, math.nan
    database: Database = build_database(Settings(home=home))
    with database.write() as session:
        job = add_claimed_job(session)
    for first in range(0, 100_000, 10_000):
        with database.write() as session:
            batch = [make_metrics(i, loss_generator=values[i]) for i in range(first, first + 10_000)]
            post(session, job, batch, first=first, attempt=1)
    database.close()
    return f"/jobs/{job.id}/metrics?name=loss/generator"


def test_a_single_spike_and_a_nan_among_100_000_points_are_in_every_answer(
    client: TestClient, long_curve: str
) -> None:
    for points in (5, 10, 100, 999, 2000, 50_000, None):
        wanted = long_curve if points is None else f"{long_curve}&points={points}"
        (shown,) = client.get(wanted).json()["curves"]
        (read,) = read_curves(client.get(f"{wanted}&form=binary").content).curves
        assert len(shown["values"]) <= (points or 100_000)
        assert (shown["total"], read.total) == (100_000, 100_000)
        assert list(read.points.iterations) == shown["iterations"]
        assert max(value for value in read.points.values if value == value) == 40.0
        assert 40.0 in shown["values"]
        assert "nan" in shown["values"]
        assert any(math.isnan(value) for value in read.points.values)


def test_the_answers_are_as_small_as_promised(client: TestClient, long_curve: str) -> None:
    with client.stream("GET", f"{long_curve}&points=1000", headers={"accept-encoding": "gzip"}) as plotted:
        body = b"".join(plotted.iter_raw())
    assert plotted.headers["content-encoding"] == "gzip"
    assert len(body) <= 25_000
    assert b"loss/generator" in gzip.decompress(body)
    full = client.get(f"{long_curve}&form=binary")
    assert full.headers["content-type"] == MEDIA_TYPE
    assert len(full.content) == 16 + 16 + 16 + 100_000 * 12
    plain = client.get(f"{long_curve}&points=1000", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == gzip.decompress(body)


def test_points_come_with_the_times_at_which_they_were_logged(client: TestClient, sqlite: Database) -> None:
    with sqlite.write() as session:
        job = add_claimed_job(session)
        events = [
            NumberedEvent(
                seq=seq, at=BEGAN + timedelta(seconds=seq + 1), event=MetricsLogged(iteration=step, values=values)
            )
            for seq, (step, values) in enumerate(
                [(10, {"a": 1.0, "b": 3.0}), (20, {"a": 2.0}), (20, {"a": math.nan})]
            )
        ]
        insert_events(session, job.id, 1, [post_event(each) for each in events], 60)
    address = f"/jobs/{job.id}/metrics?times=true"
    began = BEGAN.timestamp()
    curves = client.get(address).json()["curves"]
    # Of two values of one iteration the later one counts, and its time.
    assert [(each["name"], each["times"]) for each in curves] == [
        ("a", [began + 1, began + 3]),
        ("b", [began + 1]),
    ]
    read = read_curves(client.get(f"{address}&form=binary&name=a").content)
    assert [list(each.points.times or ()) for each in read.curves] == [[began + 1, began + 3]]
    assert list(read.curves[0].points.iterations) == [10, 20]
    refused = client.get(f"{address}&form=bands")
    assert (refused.status_code, refused.json()["error"]["details"]["problems"][0]["field"]) == (
        422,
        "query.times",
    )
    # Unless they are asked for, answers are as they were.
    assert "times" not in client.get(f"/jobs/{job.id}/metrics").text
