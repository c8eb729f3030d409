"""Jobs in groups: means over seeds against numbers worked out by hand, and what a group says of itself."""

import math

import pytest
from fastapi.testclient import TestClient

from api.jobs.tables.groups import average
from tests.support.fake_worker import FakeWorker

LOSSES = "losses.generator"


@pytest.fixture
def worker(client: TestClient) -> FakeWorker:
    return FakeWorker(client)


def train(worker: FakeWorker, score: float | str, **fields: object) -> str:
    """Train a job whose best score is this one, and a worse one its newest."""
    job = worker.submit(**fields)
    worker.claim()
    for iteration, value in ((100, score), (200, 90.0)):
        values = {"eval/frechet_distance": value, "eval/coverage": 0.5}
        worker.post({"kind": "metrics_logged", "iteration": iteration, "values": values})
    worker.finish("succeeded")
    return job


def hinge(**fields: object) -> dict[str, object]:
    return {"losses": {"generator": "hinge", "discriminator": "hinge"}, **fields}


def test_groups_have_means_and_deviations_over_their_seeds(client: TestClient, worker: FakeWorker) -> None:
    jobs = [train(worker, score, **hinge(seed=seed)) for seed, score in ((1, 10.0), (2, 12.0), (3, 17.0))]
    alone = train(worker, 40.0, seed=1, tags=["alone"])
    waits = worker.submit(**hinge(seed=4))
    said = client.get("/job-groups", params={"by": LOSSES, "metric": ["eval/coverage", "eval/frechet_distance"]})
    first, second = said.json()["groups"]
    assert (first["values"], first["title"], first["seeds"], first["differing"]) == (["hinge"], "hinge", 4, [])
    assert [job["id"] for job in first["jobs"]] == [waits, *jobs[::-1]]
    assert (first["states"], first["verdicts"]) == ({"queued": 1, "succeeded": 3}, {"unknown": 4})
    # 13; sqrt((9 + 1 + 16) / 2), over n - 1.
    assert first["score"] == {
        "metric": "eval/frechet_distance", "count": 3, "mean": 13.0, "deviation": pytest.approx(math.sqrt(13)),
    }  # fmt: skip
    newest = {"count": 3, "mean": 90.0, "deviation": 0.0}
    assert first["metrics"] == [
        {"metric": "eval/coverage", "count": 3, "mean": 0.5, "deviation": 0.0},
        {"metric": "eval/frechet_distance", **newest},
    ]
    # One job alone says nothing of how jobs differ.
    assert second["score"] == {"metric": "eval/frechet_distance", "count": 1, "mean": 40.0, "deviation": None}
    assert [job["id"] for job in second["jobs"]] == [alone]
    (only,) = client.get("/job-groups", params={"by": LOSSES, "q": "tag:alone"}).json()["groups"]
    assert only["title"] == "non_saturating"


def test_groups_of_one_spec_hold_its_seeds_and_others_say_what_else_differs(
    client: TestClient, worker: FakeWorker
) -> None:
    for size in (32, 64):
        for seed in (1, 2):
            worker.submit(name=f"b{size}-s{seed}", seed=seed, batch_size=size, tags=[f"s{seed}"])
    groups = client.get("/job-groups?by=spec").json()["groups"]
    assert sorted((group["title"], group["seeds"], group["differing"]) for group in groups) == [
        ("batch_size 32", 2, []),
        ("batch_size 64", 2, []),
    ]
    (group,) = client.get(f"/job-groups?by={LOSSES}").json()["groups"]
    assert (group["seeds"], group["differing"]) == (2, ["batch_size"])
    by_size = client.get(f"/job-groups?by=batch_size&by={LOSSES}").json()["groups"]
    assert [(group["values"], group["differing"]) for group in by_size] == [
        ([32, "non_saturating"], []),
        ([64, "non_saturating"], []),
    ]


def test_groups_say_what_no_job_has_and_refuse_what_is_no_field(client: TestClient, worker: FakeWorker) -> None:
    train(worker, 3.0)
    answer = client.get("/job-groups?by=losses.genrator")
    assert answer.status_code == 422
    assert "did you mean losses.generator?" in answer.json()["error"]["message"]
    assert client.get("/job-groups").status_code == 422
    assert client.get("/job-groups?by=seed&metric=").status_code == 422
    notes = client.get("/job-groups?by=config.lr&metric=eval/covrage").json()["notes"]
    assert notes[0].startswith("No job has a setting config.lr")
    assert notes[1] == "No job has a metric eval/covrage; did you mean eval/coverage?"


def test_scores_by_different_extractors_have_no_mean(client: TestClient, worker: FakeWorker) -> None:
    for seed, extractor in ((1, "one"), (2, "other")):
        worker.submit(**hinge(seed=seed))
        worker.claim()
        worker.post(
            {
                "kind": "line_logged",
                "level": "info",
                "iteration": 0,
                "text": f"Evaluation by {extractor}.",
                "about": "evaluation",
            },
            {"kind": "metrics_logged", "iteration": 1, "values": {"eval/frechet_distance": 5.0}},
        )
    said = client.get(f"/job-groups?by={LOSSES}").json()
    assert said["groups"][0]["score"] is None
    assert "different extractors" in said["notes"][0]
    said = client.get("/job-groups?by=seed").json()
    assert [group["score"]["mean"] for group in said["groups"]] == [5.0, 5.0]
    assert "different extractors" in said["notes"][0]


def test_averages_of_extreme_and_missing_values() -> None:
    assert average("m", [math.nan, math.inf]) is None
    assert average("m", []) is None
    one = average("m", [2.0, math.nan])
    assert one is not None
    assert (one.count, one.mean, one.deviation) == (1, 2.0, None)
    large = average("m", [1.7e308, 1.7e308, 1.6e308])
    assert large is not None
    assert large.mean == pytest.approx(1.6666666e308)
    assert large.deviation == pytest.approx(0.1e308 / math.sqrt(3))
    # A sum of squares over n would be sqrt(2 / 3).
    assert average("m", [1.0, 2.0, 3.0]).deviation == 1.0  # type: ignore[union-attr]
    assert average("m", [0.0, 0.0]).deviation == 0.0  # type: ignore[union-attr]
