"""Ids of jobs, shortened to as many characters as tell them apart, and names in their place."""

import pytest
from fastapi.testclient import TestClient

from api.errors import JobAmbiguous, JobNotFound
from api.jobs import queries
from api.server.database.engine import Database
from tests.support.services import TINY_SPEC, add_job

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
    assert f"2 jobs are named th4j, or have ids that begin so: {SECOND} (second, 20" in error["message"]
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


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobs/{}"),
        ("GET", "/jobs/{}/metrics"),
        ("PATCH", "/jobs/{}"),
        ("POST", "/jobs/{}/cancel"),
    ],
)
def test_a_name_that_only_one_job_has_stands_for_its_id(
    client_with_jobs: TestClient, method: str, path: str
) -> None:
    body = {"note": "x"} if method == "PATCH" else None
    answer = client_with_jobs.request(method, path.format("third"), json=body)
    assert answer.status_code == 200, answer.text
    if method == "PATCH":
        assert client_with_jobs.get(f"/jobs/{THIRD}").json()["note"] == "x"


def test_a_name_of_several_jobs_is_refused_with_their_ids_and_dates(client: TestClient) -> None:
    ids = [client.post("/jobs", json=TINY_SPEC | {"name": "my gän, twice"}).json()["id"] for _ in range(2)]
    error = client.get("/jobs/my gän, twice").json()["error"]
    assert error["code"] == "job_ambiguous"
    assert [job["id"] for job in error["details"]["jobs"]] == ids[::-1]
    assert all(
        job["created_at"][:2] == "20" and job_id in error["message"]
        for job, job_id in zip(error["details"]["jobs"], ids[::-1], strict=True)
    )
    # Only one has it once the other is deleted, and accents may come as signs of their own.
    client.post(f"/jobs/{ids[0]}/cancel")
    client.delete(f"/jobs/{ids[0]}")
    assert client.get("/jobs/my ga\u0308n, twice").json()["id"] == ids[1]


def test_a_name_like_the_beginning_of_anothers_id_is_ambiguous_and_a_whole_id_is_not(
    client_with_jobs: TestClient,
) -> None:
    named = client_with_jobs.post("/jobs", json=TINY_SPEC | {"name": "zz"}).json()["id"]
    jobs = client_with_jobs.get("/jobs/zz").json()["error"]["details"]["jobs"]
    assert [job["id"] for job in jobs] == [named, THIRD]
    client_with_jobs.post("/jobs", json=TINY_SPEC | {"name": THIRD})
    assert client_with_jobs.get(f"/jobs/{THIRD}").json()["name"] == "third"


def test_a_run_is_named_by_name_where_others_refer_to_it(client_with_jobs: TestClient) -> None:
    made = client_with_jobs.post("/jobs", params={"made_from": "third"}, json=TINY_SPEC)
    assert made.json()["made_from"] == THIRD
    assert client_with_jobs.get("/findings", params={"job": "third"}).json()["items"] == []
    assert client_with_jobs.get("/findings", params={"job": "fourth"}).status_code == 404


def test_both_databases_find_the_same_by_the_beginnings_of_ids(database: Database) -> None:
    with database.write() as session:
        ids = sorted(add_job(session, name=f"run {index}").id for index in range(60))
    with database.read() as session:
        for job_id in ids:
            for length in range(1, 13):
                text = job_id[:length]
                meant = [other for other in ids if other.startswith(text)]
                if len(meant) == 1:
                    assert queries.get_job_id(session, text) == job_id
                    continue
                with pytest.raises(JobAmbiguous) as refused:
                    queries.get_job_id(session, text)
                assert set(meant) >= {job["id"] for job in refused.value.details["jobs"]}
        # Ids have small letters.
        for text in {job_id[:3].upper() for job_id in ids if job_id[:3] != job_id[:3].upper()}:
            with pytest.raises(JobNotFound):
                queries.get_job_id(session, text)


def test_a_job_that_is_not_there_is_told_with_what_was_asked_for_and_the_nearest(
    client_with_jobs: TestClient,
) -> None:
    error = client_with_jobs.get("/jobs/frist").json()["error"]
    assert error["message"].endswith(
        "'frist' is neither an id, nor the beginning of one, nor a name; did you mean first?"
    )
    assert (error["details"]["job_id"], error["details"]["near"]) == ("frist", "first")
    assert "`ganvas list`" in client_with_jobs.get("/jobs/nope").json()["error"]["message"]
    # Who has the whole id of what is gone, as by a shared link, is told no other's name.
    assert "did you mean" not in client_with_jobs.get(f"/jobs/{FIRST[:-1]}z").json()["error"]["message"]
