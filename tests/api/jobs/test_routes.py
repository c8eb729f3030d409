"""Jobs over HTTP, as a person's client sees them."""

import re
from datetime import datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from api.jobs import queries as job_queries
from api.jobs import sorting
from api.server.http.openapi import CLAIM_EXAMPLE, EVENTS_EXAMPLE, FINISH_EXAMPLE, SPEC_EXAMPLE
from tests.support.services import TINY_SPEC, make_spec


def submit(client: TestClient, **changes: Any) -> dict[str, Any]:
    answer = client.post("/jobs", json=make_spec(**changes))
    assert answer.status_code == 201
    job: dict[str, Any] = answer.json()
    return job


def list_names(client: TestClient, query: str) -> list[str]:
    answer = client.get(f"/jobs?{query}")
    assert answer.status_code == 200, answer.text
    return [job["name"] for job in answer.json()["items"]]


def test_a_submitted_job_is_queued_and_reads_the_same_again(client: TestClient) -> None:
    job = submit(client, name="first", tags=["mnist", "demo"], seed=7)
    assert (job["state"], job["attempt"], job["seed"], job["tags"]) == ("queued", 0, 7, ["mnist", "demo"])
    assert job["spec"]["batch_size"] == 64, "defaults are written out"
    # Only there the queue is counted for the reason of its waiting.
    waiting = ["No worker has claimed this run yet."]
    assert client.get(f"/jobs/{job['id']}").json() == job | {"waiting": waiting}


def test_the_same_key_makes_one_job(client: TestClient) -> None:
    headers = {"idempotency-key": "abc"}
    first = client.post("/jobs", json=TINY_SPEC, headers=headers)
    again = client.post("/jobs", json=TINY_SPEC, headers=headers)
    other = client.post("/jobs", json=make_spec(seed=1), headers=headers)
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert again.json()["id"] == first.json()["id"]
    assert other.json()["error"]["code"] == "idempotency_conflict"
    assert len(client.get("/jobs").json()["items"]) == 1


def test_jobs_are_filtered_by_state_name_tag_and_commit(client: TestClient) -> None:
    submit(client, name="claimed")
    client.post("/workers/claim", json=CLAIM_EXAMPLE)
    submit(client, name="real_digits", tags=["a_b"])
    submit(client, name="realXdigits", tags=["aXb"])
    assert list_names(client, "state=running") == ["claimed"]
    assert list_names(client, "state=running&state=queued&sort=name") == ["claimed", "realXdigits", "real_digits"]
    assert list_names(client, "name=REAL_") == ["real_digits"], "an underscore is no wildcard"
    assert list_names(client, "tag=a_b") == ["real_digits"]
    assert list_names(client, "tag=a") == []
    assert list_names(client, "commit=0123") == ["claimed"]
    assert list_names(client, "commit=9") == []


@pytest.mark.parametrize("sort", sorting.JOB_SORTS)
def test_pages_of_any_sort_hold_every_job_once_and_in_order(client: TestClient, sort: str) -> None:
    for index in range(7):
        submit(client, name=f"job-{index % 3}", iterations=100 * (1 + index % 2))
    whole = client.get(f"/jobs?sort={sort}").json()["items"]
    values = [job[sort.removeprefix("-")] for job in whole]
    if sort.endswith("created_at"):
        # As text, a whole second would come after its parts.
        values = [datetime.fromisoformat(value) for value in values]
    assert values == sorted(values, reverse=sort.startswith("-"))
    paged, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/jobs?sort={sort}&limit=2{cursor}").json()
        paged += page["items"]
        cursor = f"&cursor={page['next']}" if page["next"] else None
    assert paged == whole
    assert len({job["id"] for job in paged}) == 7


@pytest.mark.parametrize(
    "query",
    [
        "cursor=nonsense",
        "cursor=WzFd",
        "limit=0",
        "limit=1000",
        "sort=spec",
        "state=lost",
        "commit=xyz",
        "name=%00",
    ],
)
def test_a_bad_query_is_refused_with_its_problem(client: TestClient, query: str) -> None:
    answer = client.get(f"/jobs?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "request_invalid")
    assert answer.json()["error"]["details"]["problems"][0]["field"]


def test_a_cursor_of_another_sort_is_refused(client: TestClient) -> None:
    for _ in range(2):
        submit(client)
    cursor = client.get("/jobs?limit=1").json()["next"]
    assert client.get(f"/jobs?sort=name&cursor={cursor}").status_code == 422


@pytest.mark.parametrize("path", ["", "/metrics", "/samples", "/log", "/checkpoints", "/events"])
@pytest.mark.parametrize("job_id", ["nosuchjob", "%00", "a'b"])
def test_what_belongs_to_no_job_is_not_found(client: TestClient, job_id: str, path: str) -> None:
    answer = client.get(f"/jobs/{job_id}{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "job_not_found")


def test_unknown_addresses_and_methods_are_told_apart(client: TestClient) -> None:
    assert client.get("/nowhere").json()["error"]["code"] == "not_found"
    assert client.delete("/jobs").json()["error"]["code"] == "method_not_allowed"


def test_a_whole_job_goes_through_the_documented_examples(client: TestClient) -> None:
    job_id = client.post("/jobs", json=SPEC_EXAMPLE).json()["id"]
    claimed = client.post("/workers/claim", json=CLAIM_EXAMPLE).json()
    assert (claimed["job_id"], claimed["attempt"], claimed["resume"]) == (job_id, 1, None)
    base = f"/jobs/{job_id}/attempts/1"
    assert client.post(f"{base}/heartbeat").json() == {"lease_seconds": 60.0, "cancel_requested": False}
    assert client.post(f"{base}/events", json=EVENTS_EXAMPLE).json()["next_seq"] == 2
    ended = client.post(f"{base}/finish", json=FINISH_EXAMPLE).json()
    assert (ended["state"], ended["commit"]) == ("succeeded", CLAIM_EXAMPLE["provenance"]["commit"])
    assert ended["latest"]["loss/discriminator"] == {"iteration": 10, "value": "nan"}
    curves = client.get(f"/jobs/{job_id}/metrics?name=loss/generator").json()
    assert curves["curves"] == [{"name": "loss/generator", "iterations": [10], "values": [0.693], "total": 1}]
    assert curves["last_event_id"] == ended["last_event_id"]
    begun, line, ended_line = client.get(f"/jobs/{job_id}/log").json()["items"]
    assert (begun["text"][:16], ended_line["text"]) == ("Attempt 1 begins", "Attempt 1 succeeded.")
    assert (line["text"], line["at"]) == ("Ten iterations done.", "2026-01-02T03:04:06Z")
    assert client.post("/workers/claim", json=CLAIM_EXAMPLE).status_code == 204


def test_conflicts_leave_with_their_codes_and_details(client: TestClient) -> None:
    job_id = submit(client)["id"]
    client.post("/workers/claim", json={"worker": "w"})
    base = f"/jobs/{job_id}/attempts"
    late = client.post(f"{base}/2/heartbeat").json()["error"]
    assert (late["code"], late["details"]) == ("attempt_fenced", {"job_id": job_id, "attempt": 2})
    gap = client.post(f"{base}/1/finish", json={"end": "succeeded", "events_count": 4})
    assert (gap.status_code, gap.json()["error"]["details"]) == (409, {"next_seq": 0})
    assert client.post(f"/jobs/{job_id}/cancel").json()["cancel_requested_at"] is not None
    assert client.post(f"{base}/1/heartbeat").json()["cancel_requested"] is True
    assert (
        client.post(f"{base}/1/finish", json={"end": "cancelled", "events_count": 0}).json()["state"]
        == "cancelled"
    )


def test_log_lines_come_newest_last_and_page_to_older_ones(client: TestClient) -> None:
    job_id = submit(client)["id"]
    client.post("/workers/claim", json={"worker": "w"})
    lines = [{"kind": "line_logged", "iteration": 0, "text": f"line {index}"} for index in range(5)]
    events = [{"seq": i, "at": "2026-01-02T03:04:05Z", "event": line} for i, line in enumerate(lines)]
    client.post(f"/jobs/{job_id}/attempts/1/events", json={"events": events})
    newest = client.get(f"/jobs/{job_id}/log?tail=2").json()
    assert [line["text"] for line in newest["items"]] == ["line 3", "line 4"]
    older = client.get(f"/jobs/{job_id}/log?tail=4&cursor={newest['next']}").json()
    assert [line["text"] for line in older["items"]] == [
        "Attempt 1 begins on worker w.",
        "line 0",
        "line 1",
        "line 2",
    ]
    assert older["next"] is None


def test_health_counts_jobs(client: TestClient) -> None:
    for _ in range(2):
        submit(client)
    client.post("/workers/claim", json={"worker": "w"})
    health = client.get("/healthz").json()
    assert (health["status"], health["jobs_queued"], health["jobs_running"]) == ("ok", 1, 1)


@pytest.mark.parametrize(
    ("text", "code", "status"),
    [
        ("database or disk is full", "storage_full", 507),
        ("database is locked", "service_unavailable", 503),
    ],
)
def test_a_database_that_fails_is_told_apart(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, text: str, code: str, status: int
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("INSERT", {}, Exception(text))

    monkeypatch.setattr(job_queries, "insert_job", fail)
    answer = client.post("/jobs", json=TINY_SPEC)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert client.get("/jobs").status_code == 200, "reading goes on"


def test_an_unforeseen_failure_names_itself_and_hides_its_cause(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(job_queries, "count_states", lambda _: 1 / 0)
    # The test client raises what a server would only log.
    quiet = TestClient(client.app, base_url="http://localhost", raise_server_exceptions=False)
    answer = quiet.get("/healthz")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (500, "service_error")
    assert "division" not in answer.text
    assert error["id"] in caplog.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_schema_resolves_and_describes_bodies_and_errors(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    known = set(schema["components"]["schemas"])
    used = set(re.findall(r"#/components/schemas/([\w]+)", str(schema)))
    assert used <= known
    assert "HTTPValidationError" not in known
    post = schema["paths"]["/jobs"]["post"]
    assert post["requestBody"]["content"]["application/json"]["example"] == SPEC_EXAMPLE
    assert "spec_invalid" in post["responses"]["422"]["description"]
