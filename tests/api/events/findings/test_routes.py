"""What the service answers about findings."""

import pytest
from fastapi.testclient import TestClient

from api.events.findings import advice, schemas
from ganlib.evaluation.diagnosis.advice import Advice
from ganlib.evaluation.diagnosis.rule import Rule
from tests.api.server.test_prometheus import read
from tests.support.fake_worker import FakeWorker
from tests.support.services import make_finding, make_signals

LOWER = Advice("Lower the rate", "It takes smaller steps.", "Heusel and others, 2017", {"seed": 8})


@pytest.fixture
def worker(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> FakeWorker:
    """A worker that holds a job, in a service that knows one rule and its advice."""
    rule = Rule(
        name="mode_collapse",
        title="Mode collapse",
        severity="serious",
        meaning="All samples are alike.",
        threshold="",
        window=2,
        look=lambda _: None,
        remedies=(lambda spec: LOWER if spec["seed"] == 7 else None, lambda _: None),
    )
    for module in (schemas, advice):
        monkeypatch.setattr(module, "RULES", {"mode_collapse": rule})
    worker = FakeWorker(client)
    worker.submit()
    worker.claim()
    return worker


def report(worker: FakeWorker, *findings: dict[str, object]) -> None:
    for finding in findings:
        fields = {"iteration": 100, **finding}
        worker.post(make_finding(**fields).model_dump(mode="json"))  # type: ignore[arg-type]


def test_findings_of_a_job_say_what_they_mean_and_what_to_do(client: TestClient, worker: FakeWorker) -> None:
    report(worker, {"iteration": 200, "since": 120}, {"rule": "odd_colours", "severity": "warning", "text": "Odd"})
    answer = client.get(f"/jobs/{worker.job_id[:8]}/findings").json()
    collapse, odd = answer["items"]
    assert (collapse["title"], collapse["meaning"]) == ("Mode collapse", "All samples are alike.")
    assert collapse["description"] == "Collapsed since iteration 120: 64 cells, 1 kind"
    assert collapse["advice"] == [
        {
            "title": "Lower the rate",
            "text": "It takes smaller steps.",
            "source": "Heusel and others, 2017",
            "changes": {"seed": 8},
            "words": ["seed: 7 → 8"],
        }
    ]
    # A rule of another version.
    assert (odd["title"], odd["meaning"], odd["advice"]) == ("Odd colours", "", [])
    job = client.get(f"/jobs/{worker.job_id}").json()
    assert job["findings"] == answer["items"]
    assert job["verdict"] == {
        "text": "Collapsed since iteration 120: 64 cells, 1 kind",
        "tone": "serious",
        "rule": "mode_collapse",
        "since": 120,
    }
    assert client.get("/jobs").json()["items"][0]["verdict"] == job["verdict"]


def test_findings_of_all_jobs_come_newest_first_and_in_pages(client: TestClient, worker: FakeWorker) -> None:
    report(worker, {"iteration": 10}, {"iteration": 20, "rule": "checkerboard", "severity": "note"})
    report(worker, {"iteration": 90, "since": 10, "ended": 80}, {"iteration": 95})
    first = client.get("/findings", params={"limit": 2}).json()
    second = client.get("/findings", params={"limit": 2, "cursor": first["next"]}).json()
    items = [*first["items"], *second["items"]]
    assert [(each["rule"], each["since"], each["ended"]) for each in items] == [
        ("mode_collapse", 95, None),
        ("checkerboard", 20, None),
        ("mode_collapse", 10, 80),
    ]
    assert second["next"] is None
    assert {(each["job_id"], each["job_name"], each["url"]) for each in items} == {
        (worker.job_id, "first-light", f"/runs/{worker.job_id}")
    }
    for query, count in (
        ({"active": "true"}, 2),
        ({"active": "false"}, 1),
        ({"rule": "mode_collapse"}, 2),
        ({"severity": "note"}, 1),
        ({"job": worker.job_id[:6], "rule": "checkerboard"}, 1),
    ):
        assert len(client.get("/findings", params=query).json()["items"]) == count, query


def test_findings_of_a_deleted_job_are_not_listed(client: TestClient, worker: FakeWorker) -> None:
    report(worker, {"iteration": 10})
    worker.finish("succeeded")
    client.delete(f"/jobs/{worker.job_id}")
    assert client.get("/findings").json()["items"] == []


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/findings?serverity=note", 422, "did you mean severity?"),
        ("/findings?severity=bad", 422, "severity"),
        ("/findings?rule=No-Rule", 422, "must be the name of a rule, as mode_collapse"),
        ("/findings?rule=mode_colapse", 422, "did you mean mode_collapse?"),
        ("/jobs?finding=mode_colapse", 422, "did you mean mode_collapse?"),
        ("/jobs?q=finding:mode_colapse", 422, "did you mean mode_collapse?"),
        ("/jobs?q=-finding:divergense", 422, "did you mean divergence?"),
        ("/findings?rule=of_my_own_loop", 200, ""),
        ("/jobs?finding=of_my_own_loop", 200, ""),
        ("/findings?cursor=abc", 422, "cursor"),
        ("/findings?job=nothing", 404, "no such job"),
        ("/jobs/nothing0123/findings", 404, "no such job"),
        ("/jobs?verdict=bad", 422, "verdict"),
        ("/jobs?findings=mode_collapse", 422, "did you mean finding?"),
    ],
)
def test_a_question_that_cannot_be_meant_is_refused(client: TestClient, path: str, status: int, said: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_the_list_of_jobs_is_filtered_by_verdict_and_finding(client: TestClient, worker: FakeWorker) -> None:
    other = worker.submit(name="other")
    report(worker, {"iteration": 10})
    assert [job["id"] for job in client.get("/jobs?verdict=serious").json()["items"]] == [worker.job_id]
    assert [job["id"] for job in client.get("/jobs?verdict=unknown&verdict=good").json()["items"]] == [other]
    assert [job["id"] for job in client.get("/jobs?finding=mode_collapse").json()["items"]] == [worker.job_id]
    assert client.get("/jobs?finding=checkerboard").json()["items"] == []


def test_prometheus_reads_what_lasts_in_running_jobs_and_what_was_found(
    client: TestClient, worker: FakeWorker
) -> None:
    report(worker, {"iteration": 10}, {"iteration": 20, "since": 10, "text": "Collapsed: all"})
    report(worker, {"iteration": 30, "rule": "checkerboard", "severity": "note"})
    report(worker, {"iteration": 40, "since": 30, "ended": 35, "rule": "checkerboard", "severity": "note"})
    found = read(client)
    assert found["ganvas_active_findings", "mode_collapse serious"] == 1
    assert ("ganvas_active_findings", "checkerboard note") not in found
    assert found["ganvas_findings_total", "mode_collapse"] == found["ganvas_findings_total", "checkerboard"] == 1
    worker.finish("succeeded")
    assert ("ganvas_active_findings", "mode_collapse serious") not in read(client)


def test_rules_without_end_get_no_series_without_end(client: TestClient, worker: FakeWorker) -> None:
    worker.post(*(make_finding(1, rule=f"rule_{place}").model_dump(mode="json") for place in range(70)))
    names = [name for name, _ in read(client)]
    assert names.count("ganvas_findings_total") == names.count("ganvas_active_findings") == 51


def test_a_stream_has_findings_and_the_verdict_after_them(client: TestClient, worker: FakeWorker) -> None:
    worker.post(make_signals(100).model_dump(mode="json"), make_finding(100).model_dump(mode="json"))
    services = client.app.state.services  # type: ignore[attr-defined]
    from api.events.feed import read_job_messages, read_list_messages

    messages, _ = read_job_messages(services.database, worker.job_id, 0)
    assert b'"finding_reported"' in messages[-1]
    assert b'"tone":"serious"' in messages[-1]
    listed, _ = read_list_messages(services.database, 0)
    assert b'"text":"Collapsed since iteration 100: 64 cells, 1 kind"' in listed[-1]
