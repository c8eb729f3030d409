"""Curves of several jobs as one: means and deviations worked out by hand, and both forms of the answer."""

import math
import struct

import pytest
from fastapi.testclient import TestClient

from api.curves.folding import fold_curves
from api.curves.points import Points
from tests.support.fake_worker import FakeWorker


def fold(*curves: dict[int, float], limit: int | None = None) -> list[tuple[int, float, float | None, int]]:
    folded = fold_curves("m", [Points(list(curve), list(curve.values())) for curve in curves], limit)
    return [(point.iteration, point.mean, point.deviation, point.count) for point in folded.points]


def test_the_mean_of_jobs_and_their_deviation_with_n_less_one() -> None:
    assert fold({1: 1.0, 2: 5.0}, {1: 3.0, 2: 5.0}, {1: 8.0, 2: 5.0}) == [
        # sqrt((9 + 1 + 16) / 2): over n it were sqrt(26 / 3).
        (1, 4.0, pytest.approx(math.sqrt(13)), 3),
        (2, 5.0, 0.0, 3),
    ]
    assert fold({1: 2.0}) == [(1, 2.0, None, 1)]


def test_a_job_counts_as_far_as_it_has_come_and_straight_between_its_points() -> None:
    assert fold({0: 0.0, 10: 10.0}, {0: 0.0, 5: 9.0, 10: 10.0, 20: 30.0}) == [
        (0, 0.0, 0.0, 2),
        (5, 7.0, pytest.approx(math.sqrt(8)), 2),
        (10, 10.0, 0.0, 2),
        (20, 30.0, None, 1),
    ]
    # What is no number is not averaged, and a job without any is not there.
    assert fold({0: 1.0, 5: math.nan, 10: 3.0}, {5: math.inf}) == [
        (0, 1.0, None, 1),
        (5, 2.0, None, 1),
        (10, 3.0, None, 1),
    ]


def test_long_curves_are_averaged_over_stretches_first() -> None:
    first = {iteration: float(iteration % 2) for iteration in range(1, 1001)}
    other = {iteration: value + 2.0 for iteration, value in first.items()}
    folded = fold(first, other, limit=10)
    assert [row[0] for row in folded] == list(range(100, 1001, 100))
    assert [row[1:] for row in folded] == [(1.5, pytest.approx(math.sqrt(2)), 2)] * 10


def test_group_curves_are_read_as_json_and_as_bands(client: TestClient) -> None:
    worker, jobs = FakeWorker(client), []
    for values in ((1.0, 2.0), (3.0, 2.0)):
        jobs.append(worker.submit())
        worker.claim()
        worker.post(*(
            {"kind": "metrics_logged", "iteration": 10 * place, "values": {"a/b": value}}
            for place, value in enumerate(values, 1)
        ))  # fmt: skip
    address = f"/job-groups/{','.join(jobs)}/metrics"
    answer = client.get(address, params={"name": ["a/b", "none/such"]}).json()
    deviation = pytest.approx(math.sqrt(2))
    assert answer["curves"] == [{
        "name": "a/b", "iterations": [10, 20], "values": [2.0, 2.0], "total": 4, "times": None,
        "deviations": [deviation, 0.0], "counts": [2, 2],
    }]  # fmt: skip
    assert client.get(f"{address}?to=10").json()["curves"][0]["iterations"] == [10]
    bands = client.get(f"{address}?form=bands&name=a/b&points=300").content
    assert bands[:16] == b"GVB1" + struct.pack("<IQ", 1, answer["last_event_id"])
    assert bands[32 + 8 : 32 + 8 + 16] == struct.pack("<dd", 2.0, 2.0)
    low, _, high, _ = struct.unpack_from("<4d", bands, 32 + 8 + 16)
    assert (low, high) == (pytest.approx(2 - math.sqrt(2)), pytest.approx(2 + math.sqrt(2)))
    assert client.get(f"/job-groups/{jobs[0]},{12 * '2'}/metrics").status_code == 404
    assert client.get("/job-groups/x/metrics").status_code == 422
