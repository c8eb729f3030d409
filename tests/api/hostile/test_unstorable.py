"""What PostgreSQL cannot store or read is refused at the door, and one such row spoils no search over others."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import String, bindparam, text

from api.jobs import filters, sorting
from api.server.database.models import Job
from tests.api.hostile.attempt import AT, HeldAttempt
from tests.support.services import make_spec

RECIPE = {"paper": "Winkler (2018)", "section": "4.7", "expected": "digits", "cost": "a minute"}
LARGEST = 2**63 - 1


def put_into(spec: dict[str, Any], path: str, value: Any) -> str:
    """Write a spec as JSON with this value at a path; texts are given as JSON writes them."""
    spec = json.loads(json.dumps(spec))
    *before, last = path.split(".")
    inner = spec
    for step in before:
        inner = inner.setdefault(step, {})
    inner[last] = "HERE" if isinstance(value, str) else value
    return json.dumps(spec).replace("HERE", str(value))


@pytest.mark.parametrize("path", ["description", *(f"recipe.{name}" for name in RECIPE)])
@pytest.mark.parametrize("escape", ["\\u0000", "\\ud800", "x\\udfff"])
def test_a_spec_with_a_text_that_cannot_be_stored_is_refused_by_its_field(
    refusing_client: TestClient, path: str, escape: str
) -> None:
    answer = refusing_client.post("/jobs", content=put_into(make_spec(recipe=RECIPE), path, escape))
    assert (answer.status_code, answer.json()["error"]["details"]["problems"][0]["field"]) == (422, path)
    assert "databases cannot store" in answer.json()["error"]["message"]


@pytest.mark.parametrize("field", ["log_every", "sample_every", "checkpoint_every"])
def test_an_integer_of_64_bits_is_the_largest(client: TestClient, field: str) -> None:
    for value in (LARGEST + 1, 10**400):
        answer = client.post("/jobs", content=put_into(make_spec(), field, value))
        assert (answer.status_code, answer.json()["error"]["details"]["problems"][0]["field"]) == (422, field)
    job_id = client.post("/jobs", content=put_into(make_spec(), field, LARGEST)).json()["id"]
    assert client.get(f"/jobs/{job_id}").json()["spec"][field] == LARGEST
    assert list_names(client, where=f"{field}>=9e18") == ["tiny"]


def list_names(client: TestClient, **query: Any) -> list[str]:
    answer = client.get("/jobs", params=query)
    assert answer.status_code == 200, (query, answer.text)
    return sorted(job["name"] for job in answer.json()["items"])


# As an earlier version stored them: JSON that PostgreSQL keeps and then cannot read.
STORED = {"nul": "a\\u0000b", "half": "\\ud83d", "pair": "\\ud83d\\ude00", "slash": "\\\\u0000"}


def add_stored_rows(client: Any) -> None:
    """Add a job for each text, one of them with a number beyond every float, and a healthy one."""
    database = client.app.state.services.database
    given = ":spec" if database.engine.dialect.name == "sqlite" else "CAST(:spec AS json)"
    update = text(f"UPDATE jobs SET spec = {given} WHERE id = :id")  # noqa: S608
    for name in (*STORED, "healthy"):
        sent = make_spec(name=name, recipe=RECIPE, description="fine")
        job_id = client.post("/jobs", json=sent).json()["id"]
        if name in STORED:
            stored = client.get(f"/jobs/{job_id}").json()["spec"]
            stored["log_every"] = 10**400 if name == "nul" else 10
            with database.write() as session:
                spec = put_into(stored, "description", STORED[name])
                session.execute(update.bindparams(bindparam("spec", type_=String)), {"spec": spec, "id": job_id})


ALL = sorted([*STORED, "healthy"])
QUERIES: list[tuple[dict[str, Any], list[str]]] = [
    ({"where": "dataset=digits"}, ALL),
    ({"where": "losses.generator!=hinge"}, ALL),
    ({"where": "description~fine"}, ["healthy"]),
    ({"where": "log_every>1e300"}, ["nul"]),
    ({"where": "log_every<11"}, sorted({*ALL} - {"nul"})),
    ({"recipe": "winkler"}, ALL),
    ({"q": "recipe:winkler -name:nul"}, sorted({*ALL} - {"nul"})),
    *(
        ({"sort": f"{sign}{field}"}, ALL)
        for sign in ("", "-")
        for field in ("description", "log_every", "recipe.paper")
    ),
]


def test_rows_of_an_earlier_version_that_no_function_can_read_spoil_no_search(client: TestClient) -> None:
    add_stored_rows(client)
    for query, names in QUERIES:
        assert list_names(client, **query) == names, query
    for field in ("description", "log_every"):
        # Page by page, too.
        found, cursor = [], {}
        while True:
            page = client.get("/jobs", params={"sort": field, "limit": 1, **cursor}).json()
            found += [job["name"] for job in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert sorted(found) == ALL
    for job in client.get("/jobs").json()["items"]:
        assert client.get(f"/jobs/{job['id']}").status_code == 200
        assert client.get(f"/runs/{job['id']}", headers={"accept": "text/html"}).status_code == 200
    description = {
        job["name"]: client.get(f"/jobs/{job['id']}").json()["spec"]["description"]
        for job in client.get("/jobs").json()["items"]
    }
    assert description == {
        "nul": "a\ufffdb",
        "half": "\ufffd",
        "pair": "😀",
        "slash": "\\u0000",
        "healthy": "fine",
    }


def test_control_without_the_mended_column_one_row_spoils_the_search(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    if client.app.state.services.database.engine.dialect.name == "sqlite":  # type: ignore[attr-defined]
        pytest.skip("SQLite's functions fail at no such row")
    add_stored_rows(client)
    for module in (filters, sorting):
        monkeypatch.setattr(module, "spec_column", lambda _: Job.spec.expression)
    for query in ({"where": "dataset=digits"}, {"recipe": "winkler"}, {"sort": "description"}):
        assert client.get("/jobs", params=query).status_code == 422


@pytest.mark.parametrize("escape", ["a\\u0000b", "a\\ud800b", "a\\udc00b"])
def test_what_a_program_printed_is_kept_with_a_mark_for_what_cannot_be(attempt: HeldAttempt, escape: str) -> None:
    event = {"kind": "line_logged", "iteration": 1, "text": "HERE"}
    body = json.dumps({"events": [{"seq": 0, "at": AT, "event": event}]}).replace("HERE", escape)
    for _ in range(2):
        # The same post again is the same.
        assert attempt.client.post(f"{attempt.path}/events", content=body).status_code == 200
    log = attempt.client.get(f"/jobs/{attempt.job_id}/log").json()["items"]
    assert [line["text"] for line in log if line["iteration"] == 1] == ["a\ufffdb"]
    reason = {"code": "any", "message": "HERE", "log_tail": "HERE"}
    finish = json.dumps({"end": "failed", "events_count": 1, "reason": reason}).replace("HERE", escape)
    ended = attempt.client.post(f"{attempt.path}/finish", content=finish).json()["attempts"][0]["reason"]
    assert (ended["message"], ended["log_tail"]) == ("a\ufffdb", "a\ufffdb")


@pytest.mark.parametrize("escape", ["\\u0000", "\\ud800"])
def test_what_a_worker_says_of_itself_is_refused_by_its_field(attempt: HeldAttempt, escape: str) -> None:
    def refused_field(path: str, body: Any) -> str:
        answer = attempt.client.post(path, content=json.dumps(body).replace("HERE", escape))
        assert answer.status_code == 422, (path, body)
        field: str = answer.json()["error"]["details"]["problems"][0]["field"]
        return field

    for field in ("name", "device", "version"):
        assert refused_field("/workers/heartbeat", {"name": "w", field: "HERE"}) == field
    gpu = {"index": 0, "name": "HERE", "memory_total": 1, "memory_used": 1}
    assert refused_field("/workers/heartbeat", {"name": "w", "gpus": [gpu]}) == "gpus.0.name"
    for field in ("uncommitted_diff", "hostname", "branch", "command"):
        body = {"worker": "w", "provenance": {field: "HERE"}}
        assert refused_field("/workers/claim", body) == f"provenance.{field}"
    counts = {"image_count": 1, "generator_parameters": 1, "discriminator_parameters": 1}
    started = {"kind": "training_started", "iteration": 0, "iterations": 5, "device": "HERE", "precision": "x"}
    body = {"events": [{"seq": 0, "at": AT, "event": started | counts}]}
    assert "device" in refused_field(f"{attempt.path}/events", body)
    edit = attempt.client.patch(f"/jobs/{attempt.job_id}", content=f'{{"note": "{escape}"}}')
    assert edit.status_code == 422


def test_a_query_with_a_text_that_cannot_be_stored_is_refused(attempt: HeldAttempt) -> None:
    for path in (
        "/jobs?q=a%00",
        "/jobs?where=dataset=%00",
        f"/jobs/{attempt.job_id}/metrics?name=loss%00",
    ):
        assert attempt.client.get(path).status_code == 422, path
    page = attempt.client.get("/?q=%00")
    assert (page.status_code, attempt.job_id in page.text) == (200, False), "a page finds nothing"


def test_a_count_is_compared_with_any_number(client: TestClient) -> None:
    client.post("/jobs", json=make_spec())
    wanted = {"iteration<0.5": 1, "iteration<1e300": 1, "attempt>-1e300": 1, "iteration=5e9": 0}
    assert {where: len(list_names(client, where=where)) for where in wanted} == wanted
