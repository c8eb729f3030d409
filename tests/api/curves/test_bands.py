"""Curves as bands: the layout that docs/reference/api.md tells, means and extremes, and windows of iterations."""

import math
import random
import struct

import pytest
from fastapi.testclient import TestClient

from api.curves.columns import BANDS_MEDIA_TYPE, StoredCurve, StoredCurves, write_bands
from api.curves.points import Points, reduce_to_bands
from api.server.database.engine import Database
from tests.support.services import add_claimed_job, make_metrics, post

NAN, INFINITY = math.nan, math.inf


def test_bands_have_the_layout_that_is_documented() -> None:
    curves = [
        StoredCurve("loss/generator", Points([10, 20, 30, 40], [1.0, 3.0, 5.0, 5.0]), 4),
        StoredCurve("a", Points([7], [0.5]), 1),
    ]
    expected = (
        b"GVB1" + struct.pack("<IQ", 2, 77)
        + struct.pack("<IIQ", 14, 2, 4) + b"loss/generator\0\0"
        + struct.pack("<dd", 2.0, 5.0) + struct.pack("<dd", 1.0, 5.0) + struct.pack("<dd", 3.0, 5.0)
        + struct.pack("<II", 20, 40)
        + struct.pack("<IIQ", 1, 1, 1) + b"a\0\0\0\0\0\0\0" + struct.pack("<d", 0.5) + struct.pack("<II", 7, 0)
    )  # fmt: skip
    assert write_bands(StoredCurves(curves, 77), 2) == expected


def test_every_spike_lies_in_a_band_and_means_are_those_of_the_points() -> None:
    source = random.Random(0)
    values = [source.gauss(1, 0.1) for _ in range(10_007)]
    values[4321] = 40.0
    found = reduce_to_bands(Points(list(range(10_007)), values), 100)
    assert (len(found), max(found.highs), min(found.lows)) == (100, 40.0, min(values))
    start = 0
    for end, mean, low, high in zip(found.iterations, found.means, found.lows, found.highs, strict=True):
        part = values[start : end + 1]
        assert (low, high, pytest.approx(mean)) == (min(part), max(part), sum(part) / len(part))
        start = end + 1
    assert start == 10_007


@pytest.mark.parametrize("special", [NAN, INFINITY, -INFINITY])
def test_what_is_not_finite_is_a_stretch_of_its_own(special: float) -> None:
    values = [1.0] * 40
    values[13] = values[14] = special
    found = reduce_to_bands(Points(list(range(40)), values), 8)
    assert len(found) <= 8
    assert list(found.iterations) == sorted(set(found.iterations))
    shown = [value for value in found.means if not math.isfinite(value)]
    assert [str(value) for value in shown] == [str(special)]
    assert [found.iterations[index] for index, value in enumerate(found.means) if not math.isfinite(value)] == [13]


def test_large_values_have_a_mean() -> None:
    assert list(reduce_to_bands(Points([1, 2, 3], [1.7e308] * 3), 1).means) == [pytest.approx(1.7e308)]


@pytest.fixture
def job(sqlite: Database) -> str:
    """A job with a point every 10 iterations up to 100,000: a sine with one spike."""
    with sqlite.write() as session:
        job = add_claimed_job(session)
    points = [(at, 40.0 if at == 54_320 else math.sin(at / 500)) for at in range(10, 100_001, 10)]
    for first in range(0, len(points), 5000):
        with sqlite.write() as session:
            batch = [make_metrics(at, loss_generator=value) for at, value in points[first : first + 5000]]
            post(session, job, batch, first=first, attempt=1)
    return str(job.id)


def test_a_window_is_read_finer_than_the_whole(client: TestClient, job: str) -> None:
    def read(query: str) -> tuple[list[int], list[float], int]:
        (curve,) = client.get(f"/jobs/{job}/metrics?name=loss/generator&{query}").json()["curves"]
        return curve["iterations"], curve["values"], curve["total"]

    iterations, values, total = read("points=100")
    assert (len(iterations) <= 100, max(values), total) == (True, 40.0, 10_000)
    iterations, values, total = read("points=100&from=54000&to=54500")
    assert (iterations, max(values), total) == (list(range(54_000, 54_501, 10)), 40.0, 51)
    assert read("from=99990")[0] == [99_990, 100_000]
    assert read("to=20")[0] == [10, 20]


def test_bands_of_a_window_come_compressed(client: TestClient, job: str) -> None:
    query = {"name": "loss/generator", "form": "bands", "points": 50, "from": 50_000, "to": 60_000}
    answer = client.get(f"/jobs/{job}/metrics", params=query)
    assert (answer.headers["content-type"], answer.headers["content-encoding"]) == (BANDS_MEDIA_TYPE, "gzip")
    assert struct.unpack_from("<4sI", answer.content) == (b"GVB1", 1)
    assert struct.unpack_from("<IIQ", answer.content, 16) == (14, 50, 1001)
    highs = struct.unpack_from("<50d", answer.content, 16 + 16 + 16 + 2 * 50 * 8)
    assert max(highs) == 40.0


@pytest.mark.parametrize("query", ["from=-1", "to=x", "form=tape", "from=9999999999"])
def test_windows_that_are_none_are_refused(client: TestClient, job: str, query: str) -> None:
    assert client.get(f"/jobs/{job}/metrics?{query}").status_code == 422
