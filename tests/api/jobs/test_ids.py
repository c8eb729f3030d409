"""Ids of jobs, shortened to as many characters as tell them apart."""

import pytest
from fastapi.testclient import TestClient

from api.jobs import queries
from tests.support.services import TINY_SPEC

FIRST, SECOND, THIRD = "th4jbkgz2222", "th4jbkgz3333", "zzzzzzzz2222"


@pytest.fixture
def client_with_jobs(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    letters = iter(FIRST + SECOND + THIRD)
    with monkeypatch.context() as patched:
        patched.setattr(queries.secrets, "choice", lambda _: next(letters))
        for name in ("first", "second", "third"):
            assert client.post("/jobs", json=TINY_SPEC | {"name": name}).status_code == 201
    return client


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobs/{}"),
        ("GET", "/jobs/{}/samples"),
        ("GET", "/jobs/{}/metrics"),
        ("GET", "/jobs/{}/histograms"),
        ("GET", "/jobs/{}/log"),
        ("PATCH", "/jobs/{}"),
        ("POST", "/jobs/{}/cancel"),
    ],
)
def test_the_beginning_of_an_id_stands_for_it(client_with_jobs: TestClient, method: str, path: str) -> None:
    body = {"note": "x"} if method == "PATCH" else None
    for short in (THIRD, THIRD[:8], THIRD[:1], FIRST[:9]):
        answer = client_with_jobs.request(method, path.format(short), json=body)
        assert answer.status_code == 200, answer.text
    ambiguous = client_with_jobs.request(method, path.format("th4j"), json=body)
    error = ambiguous.json()["error"]
    assert (ambiguous.status_code, error["code"]) == (409, "job_ambiguous")
    assert [job["id"] for job in error["details"]["jobs"]] == [SECOND, FIRST]
    assert f"2 jobs' ids begin with th4j: {SECOND} (second), {FIRST} (first)" in error["message"]
    assert client_with_jobs.request(method, path.format("th5"), json=body).status_code == 404


def test_a_deleted_job_is_found_by_the_beginning_of_its_id(client_with_jobs: TestClient) -> None:
    client_with_jobs.post(f"/jobs/{THIRD}/cancel")
    assert client_with_jobs.delete("/jobs/zz").json()["id"] == THIRD
    assert client_with_jobs.post("/jobs/zz/restore").json()["deleted_at"] is None


def test_an_attempt_is_named_by_the_whole_id_alone(client_with_jobs: TestClient) -> None:
    assert client_with_jobs.post("/workers/claim", json={"worker": "w"}).json()["job_id"] == FIRST
    assert client_with_jobs.post(f"/jobs/{FIRST[:9]}/attempts/1/heartbeat").status_code == 404
    assert client_with_jobs.post(f"/jobs/{FIRST}/attempts/1/heartbeat").status_code == 200


def test_what_a_job_was_made_from_may_be_shortened(client_with_jobs: TestClient) -> None:
    made = client_with_jobs.post("/jobs", params={"made_from": "zz"}, json=TINY_SPEC)
    assert (made.status_code, made.json()["made_from"]) == (201, THIRD)
