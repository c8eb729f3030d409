"""What scales workers: how many of them would have something to do, and what hinders jobs that nobody takes."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.api.server.test_prometheus import read
from tests.support.services import make_spec

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40


def submit(client: TestClient, **changes: Any) -> str:
    job_id: str = client.post("/jobs", json=make_spec(**changes)).json()["id"]
    return job_id


def describe(client: TestClient, **worker: Any) -> None:
    assert client.post("/workers/heartbeat", json={"name": "w", **worker}).status_code == 204


def find_obstacle(client: TestClient, job_id: str) -> str | None:
    (listed,) = (job for job in client.get("/jobs").json()["items"] if job["id"] == job_id)
    shown = client.get(f"/jobs/{job_id}").json()
    assert shown["obstacle"] == listed["obstacle"]
    found: str | None = shown["obstacle"]
    return found


@pytest.fixture
def busy(client: TestClient) -> TestClient:
    """One job runs on any device; others wait, some of them pinned."""
    submit(client, name="any")
    assert client.post("/workers/claim", json={"worker": "w"}).status_code == 200
    submit(client, device="cpu")
    submit(client, device="cuda", queue={"commit": COMMIT[:7]})
    submit(client, queue={"gpus": 2, "commit": COMMIT})
    submit(client, queue={"commit": OTHER})
    return client


def test_the_queue_says_how_many_workers_would_have_something_to_do(busy: TestClient) -> None:
    queue = busy.get("/queue").json()
    assert (queue["queued"], queue["waiting"], queue["running"], queue["wanted"]) == (4, 4, 1, 5)
    assert [queue[needs]["wanted"] for needs in ("gpu", "cpu", "any")] == [2, 1, 2]
    assert queue["any"] == {"waiting": 1, "running": 1, "wanted": 2}
    assert {digits: part["waiting"] for digits, part in queue["pinned"].items()} == {
        COMMIT[:7]: 1,
        COMMIT: 1,
        OTHER: 1,
    }


@pytest.mark.parametrize(
    ("commit", "wanted"), [(COMMIT, 2), (COMMIT[:10], 2), (OTHER.upper(), 1), ("none", 2), ("abcdef0", 0)]
)
def test_the_workers_of_one_commit_are_scaled_by_its_jobs(busy: TestClient, commit: str, wanted: int) -> None:
    queue = busy.get("/queue", params={"commit": commit}).json()
    assert (queue["wanted"], queue["queued"]) == (wanted, 4)


def test_a_commit_that_is_none_is_refused(client: TestClient) -> None:
    assert client.get("/queue", params={"commit": "trunk"}).status_code == 422


def test_prometheus_reads_the_same(busy: TestClient) -> None:
    found = read(busy)
    assert found["ganvas_queue_jobs", " any running"] == 1
    assert found["ganvas_queue_jobs", f"{COMMIT} gpu waiting"] == 1
    # What is not there is a zero and no gap, so that a rule can look at it.
    assert found["ganvas_queue_jobs", " gpu waiting"] == 0


def test_many_commits_are_few_series(client: TestClient) -> None:
    for number in range(25):
        submit(client, queue={"commit": f"{number:07x}"})
    rows = [labels for name, labels in read(client) if name == "ganvas_queue_jobs"]
    assert len({labels.split(" ")[0] for labels in rows}) == 22
    assert read(client)["ganvas_queue_jobs", "other any waiting"] == 5


def test_a_pinned_job_that_nobody_can_take_says_so(client: TestClient) -> None:
    job_id = submit(client, queue={"commit": COMMIT[:7]})
    nobody = "pinned to commit 0123456; no known worker runs it"
    assert find_obstacle(client, job_id) == nobody
    describe(client, commit=OTHER)
    assert find_obstacle(client, job_id) == nobody
    describe(client, commit=COMMIT, dirty=True)
    assert "uncommitted changes" in str(find_obstacle(client, job_id))
    describe(client, commit=COMMIT)
    assert find_obstacle(client, job_id) is None


def test_a_job_on_several_cards_that_nobody_has_says_so(client: TestClient) -> None:
    job_id = submit(client, queue={"gpus": 2})
    describe(client, gpu_count=1)
    assert find_obstacle(client, job_id) == ("it needs 2 GPUs on one machine; no known worker offers as many")
    describe(client, gpu_count=2)
    assert find_obstacle(client, job_id) is None


def test_a_job_that_asks_for_nothing_or_no_longer_waits_has_no_obstacle(client: TestClient) -> None:
    plain, pinned = submit(client), submit(client, queue={"commit": COMMIT[:7]})
    assert find_obstacle(client, plain) is None
    client.post(f"/jobs/{pinned}/cancel")
    assert find_obstacle(client, pinned) is None


def test_a_trainer_is_told_only_what_its_job_asks_of_workers(client: TestClient) -> None:
    """A worker of an older commit refuses fields that it does not know."""
    submit(client)
    assert client.post("/workers/claim", json={"worker": "w"}).json()["spec"]["queue"] == {}
    submit(client, queue={"gpus": 2, "priority": 3})
    offer = {"worker": "w", "gpus": 2}
    assert client.post("/workers/claim", json=offer).json()["spec"]["queue"] == {"gpus": 2, "priority": 3}
