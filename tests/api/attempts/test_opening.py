"""Runs of loops that Ganvas does not start: opened by their writer, written like a worker's, opened again."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from api.artifacts.queries import delete_unused_artifact, insert_artifact
from api.attempts import opening
from api.attempts.lease_expiry import list_leases, reap_job
from api.attempts.schemas import RunOpen
from api.events.ingest import append_events
from api.jobs import edits
from api.server.database.engine import Database
from api.server.database.models import Attempt, Job
from ganlib.events import FileSaved, MetricsLogged, StoredFile
from tests.support.services import AT, make_png

BYTES = "application/octet-stream"
KEY = "my-gan-7f3a9c21"


def open_run(client: TestClient, status: int = 200, **changes: Any) -> dict[str, Any]:
    answer = client.post("/runs", json={"key": KEY, "name": "my gan", "writer": "desk-3 4711", **changes})
    assert answer.status_code == status, answer.text
    return answer.json()


def post(client: TestClient, run: dict[str, Any], first: int, *events: dict[str, Any], status: int = 200) -> Any:
    numbered = [{"seq": first + at, "at": AT.isoformat(), "event": event} for at, event in enumerate(events)]
    path = f"/jobs/{run['job_id']}/attempts/{run['attempt']}/events"
    answer = client.post(path, json={"events": numbered}, headers={"Authorization": f"Bearer {run['token']}"})
    assert answer.status_code == status, answer.text
    return answer.json()


def logged(iteration: int, **values: float) -> dict[str, Any]:
    return {"kind": "metrics_logged", "iteration": iteration, "values": values}


def finish(
    client: TestClient, run: dict[str, Any], count: int, end: str = "succeeded", **more: Any
) -> dict[str, Any]:
    path = f"/jobs/{run['job_id']}/attempts/{run['attempt']}/finish"
    answer = client.post(path, json={"end": end, "events_count": count, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def read_curve(client: TestClient, job_id: str, name: str) -> dict[int, float]:
    answer = client.get(f"/jobs/{job_id}/metrics", params={"name": name})
    (curve,) = answer.json()["curves"]
    return dict(zip(curve["iterations"], curve["values"], strict=True))


def test_a_run_of_ones_own_is_a_job_without_what_nobody_said(client: TestClient) -> None:
    run = open_run(client, config={"learning_rate": 0.1}, tags=["first"], note="why")
    post(client, run, 0, logged(7, loss_D=1.5, **{"Loss/D(x)": 2.0}), logged(3, loss_D=9.0), logged(7, loss_D=0.5))
    job = client.get(f"/jobs/{run['job_id']}").json()
    assert (job["origin"], job["state"], job["iteration"], job["iterations"]) == ("own", "running", 7, 0)
    assert job["spec"] == {"name": "my gan", "config": {"learning_rate": 0.1}}
    assert job["seed"] is job["attempts"][0]["seed"] is None
    assert job["attempts"][0]["worker"] == "desk-3 4711"
    assert (job["tags"], job["note"], job["findings"], job["checkpoints"]) == (["first"], "why", [], [])
    assert read_curve(client, run["job_id"], "loss_D") == {3: 9.0, 7: 0.5}
    assert read_curve(client, run["job_id"], "Loss/D(x)") == {7: 2.0}
    ended = finish(client, run, 3, ended_at=(AT + timedelta(days=1)).isoformat())
    assert (ended["state"], ended["reason"]) == ("succeeded", None)


def test_a_seed_of_the_config_is_the_runs(client: TestClient) -> None:
    run = open_run(client, config={"seed": 3})
    assert client.get(f"/jobs/{run['job_id']}").json()["seed"] == 3
    other = open_run(client, key="another-key", config={"seed": True})
    assert client.get(f"/jobs/{other['job_id']}").json()["seed"] is None


def test_the_same_key_opens_the_same_run_and_goes_on_with_the_next_number(client: TestClient) -> None:
    first = open_run(client)
    post(client, first, 0, logged(1, a=1.0), logged(2, a=2.0))
    again = open_run(client)
    assert (again["job_id"], again["attempt"], again["next_seq"]) == (first["job_id"], 1, 2)
    # What was stored may come again, and changes nothing.
    post(client, again, 1, logged(2, a=2.0), logged(3, a=3.0))
    assert read_curve(client, first["job_id"], "a") == {1: 1.0, 2: 2.0, 3: 3.0}
    assert post(client, again, 1, logged(2, a=4.0), status=409)["error"]["code"] == "sequence_conflict"


def test_a_run_that_was_given_up_goes_on_when_its_writer_is_back(client: TestClient) -> None:
    first = open_run(client)
    post(client, first, 0, logged(1, a=1.0))
    assert finish(client, first, 1, "failed")["state"] == "failed"
    again = open_run(client)
    assert (again["next_seq"], again["is_whole"]) == (1, False)
    job = client.get(f"/jobs/{first['job_id']}").json()
    assert (job["state"], job["reason"], job["ended_at"], job["attempts"][0]["end"]) == (
        "running",
        None,
        None,
        None,
    )
    post(client, again, 1, logged(2, a=2.0))
    assert finish(client, again, 2)["state"] == "succeeded"
    assert read_curve(client, first["job_id"], "a") == {1: 1.0, 2: 2.0}


def test_a_run_that_is_stored_whole_stays_ended(client: TestClient) -> None:
    run = open_run(client)
    post(client, run, 0, logged(1, a=1.0))
    finish(client, run, 1)
    again = open_run(client, events_count=1)
    assert (again["is_whole"], again["token"], again["state"]) == (True, "", "succeeded")
    # The control: one event more, and it is opened.
    assert open_run(client, events_count=2)["is_whole"] is False
    assert client.get(f"/jobs/{run['job_id']}").json()["state"] == "running"


def test_another_process_goes_on_from_an_iteration_and_the_first_is_fenced(client: TestClient) -> None:
    first = open_run(client)
    post(client, first, 0, logged(1, a=1.0), logged(2, a=2.0))
    second = open_run(client, attempt=2, resume_at=1)
    assert (second["attempt"], second["next_seq"]) == (2, 0)
    post(client, second, 0, logged(2, a=20.0))
    assert read_curve(client, first["job_id"], "a") == {1: 1.0, 2: 20.0}
    assert post(client, first, 2, logged(3, a=3.0), status=409)["error"]["code"] == "attempt_fenced"
    assert open_run(client, 409)["error"]["code"] == "attempt_fenced"
    job = client.get(f"/jobs/{first['job_id']}").json()
    assert (job["key"], [each["resumed_from"] for each in job["attempts"]]) == (KEY, [0, 1])
    # A writer asks what of an attempt is stored before it opens one, by the run's key as well.
    moments = {"at": AT.isoformat().replace("+00:00", "Z")}
    for named, attempt, before, expected in (
        (KEY, 1, "", {"newest": 2, "next_seq": 2, **moments}),
        (job["id"], 1, "?before=1", {"newest": 2, "next_seq": 2, **moments}),
        (KEY, 1, "?before=0", {"newest": 2, "next_seq": 2, "at": None}),
        (KEY, 9, "?before=5", {"newest": 2, "next_seq": 0, "at": None}),
    ):
        assert client.get(f"/jobs/{named}/attempts/{attempt}/position{before}").json() == expected
    # Without a place to go on from, nothing is dropped.
    third = open_run(client, attempt=3)
    assert read_curve(client, first["job_id"], "a") == {1: 1.0, 2: 20.0}
    assert [attempt["end"] for attempt in client.get(f"/jobs/{third['job_id']}").json()["attempts"]] == [
        "lost",
        "lost",
        None,
    ]


def test_a_deleted_run_and_a_key_of_another_kind_are_refused(client: TestClient) -> None:
    run = open_run(client)
    assert open_run(client, 409, origin="wandb")["error"]["code"] == "idempotency_conflict"
    finish(client, run, 0)
    client.delete(f"/jobs/{run['job_id']}")
    refused = open_run(client, 409)["error"]
    assert refused["code"] == "job_state_conflict"
    assert "undelete" in refused["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("key", "a/../../b"),
        ("name", "a\x00b"),
        ("name", ""),
        ("config", {"a": "\x00"}),
        ("config", {"a": 2**70}),
        ("origin", "ganlib"),
        ("attempt", 0),
        ("tags", ['"']),
        ("unknown", 1),
    ],
)
def test_what_is_no_run_is_refused_by_its_field(client: TestClient, field: str, value: object) -> None:
    problems = open_run(client, 422, **{field: value})["error"]["details"]["problems"]
    assert problems[0]["field"].startswith(field)
    assert client.get("/jobs").json()["items"] == []


def reap_all(client: TestClient) -> list[str]:
    """End every attempt that holds a lease, as if it had been silent; returns the jobs."""
    with client.app.state.services.database.write() as session:  # type: ignore[attr-defined]
        return [lease.job_id for lease in list_leases(session) if reap_job(session, lease)]


def test_a_run_that_the_service_writes_itself_has_no_lease_to_lose(client: TestClient) -> None:
    held = open_run(client)["job_id"]
    with client.app.state.services.database.write() as session:  # type: ignore[attr-defined]
        given = RunOpen(key="written-here", name="served", origin="mlflow")
        job_id = opening.open_run(session, given, None, None).job.id
        append_events(session, job_id, [(AT, MetricsLogged(iteration=2, values={"a": 1.0}))])
        append_events(session, job_id, [(AT, MetricsLogged(iteration=1, values={"a": 2.0}))])
    assert reap_all(client) == [held]
    assert client.get(f"/jobs/{job_id}").json()["state"] == "running"
    with client.app.state.services.database.write() as session:  # type: ignore[attr-defined]
        assert opening.end_run(session, job_id, "succeeded").state == "succeeded"
        # Such trackers take numbers of ended runs, too.
        append_events(session, job_id, [(AT, MetricsLogged(iteration=3, values={"a": 3.0}))])
    assert read_curve(client, job_id, "a") == {1: 2.0, 2: 1.0, 3: 3.0}
    again = client.post(f"/jobs/{job_id}/cancel")
    assert again.status_code == 409


def test_a_cancel_of_a_run_without_a_lease_ends_it(client: TestClient) -> None:
    with client.app.state.services.database.write() as session:  # type: ignore[attr-defined]
        given = RunOpen(key="written-here", name="served", origin="mlflow")
        job_id = opening.open_run(session, given, None, None).job.id
    assert client.post(f"/jobs/{job_id}/cancel").json()["state"] == "cancelled"


def test_a_silent_run_is_lost_and_says_how_it_goes_on(client: TestClient) -> None:
    run = open_run(client)
    assert reap_all(client) == [run["job_id"]]
    job = client.get(f"/jobs/{run['job_id']}").json()
    assert (job["state"], job["reason"]["code"]) == ("failed", "run_lost")
    assert "ganvas sync" in job["reason"]["message"]
    # All its events are stored, but not how it ended.
    again = open_run(client, events_count=0)
    assert (again["job_id"], again["is_whole"]) == (run["job_id"], False)
    assert finish(client, again, 0)["state"] == "succeeded"
    assert open_run(client, events_count=0)["is_whole"] is True


def test_a_loop_may_go_on_beyond_its_plan_and_a_spec_may_not(client: TestClient) -> None:
    run = open_run(client, iterations=10)
    post(client, run, 0, logged(10, a=1.0))
    assert client.get(f"/jobs/{run['job_id']}").json()["iterations"] == 10
    post(client, run, 1, logged(25, a=1.0))
    assert client.get(f"/jobs/{run['job_id']}").json()["iterations"] == 25


def test_files_have_names_and_the_newest_of_a_name_counts(client: TestClient) -> None:
    run = open_run(client)
    bearer = {"Authorization": f"Bearer {run['token']}"}
    png = make_png(2, 2)
    stored = []
    for content, media_type in (
        (b"one", "application/octet-stream"),
        (b"two", "application/octet-stream"),
        (png, "image/png"),
    ):
        sha256 = hashlib.sha256(content).hexdigest()
        headers = {"Content-Type": media_type, **bearer}
        assert client.put(f"/artifacts/{sha256}", content=content, headers=headers).status_code == 200
        stored.append({"path": f"files.bin:{len(stored)}", "sha256": sha256, "size": len(content)})
    named = [
        ("model/a b.pt", 0, "text/html"),
        ("model/a b.pt", 1, "text/html"),
        ("images/real/00000100.png", 2, "image/png"),
    ]
    events = [
        {"kind": "file_saved", "iteration": at, "name": name, "file": stored[at], "media_type": kind}
        for name, at, kind in named
    ]
    post(client, run, 0, *events)
    files = client.get(f"/jobs/{run['job_id']}/files").json()["items"]
    assert [(file["name"], file["size"]) for file in files] == [
        ("images/real/00000100.png", len(png)),
        ("model/a b.pt", 3),
    ]
    under = client.get(f"/jobs/{run['job_id']}/files", params={"under": "model/"}).json()["items"]
    assert [file["name"] for file in under] == ["model/a b.pt"]
    answer = client.get(f"/jobs/{run['job_id']}/files/model/a b.pt")
    assert answer.content == b"two"
    # Whatever it is called, a browser never runs it.
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    shown = client.get(f"/jobs/{run['job_id']}/files/images/real/00000100.png")
    assert (shown.headers["content-type"], shown.content) == ("image/png", png)
    assert client.get(f"/jobs/{run['job_id']}/files/model/none").status_code == 404
    # A file that is no checked PNG is none for being called one.
    forged = {"kind": "file_saved", "iteration": 3, "name": "x.png", "file": stored[0], "media_type": "image/png"}
    assert post(client, run, 3, forged, status=409)["error"]["code"] == "artifact_missing"


@pytest.mark.parametrize(
    "name", ["../a", "/a", "a//b", "a/./b", "a\\b", "C:a", "", "a/", " a", "a\x00", "x" * 501]
)
def test_a_files_name_never_leads_out_of_its_run(client: TestClient, name: str) -> None:
    run = open_run(client)
    file = {"path": "files.bin:0", "sha256": "0" * 64, "size": 1}
    post(client, run, 0, {"kind": "file_saved", "iteration": 1, "name": name, "file": file}, status=422)


def test_a_grid_whose_latents_nobody_knows_has_none(client: TestClient) -> None:
    run = open_run(client)
    png = make_png(4, 2)
    sha256 = hashlib.sha256(png).hexdigest()
    client.put(f"/artifacts/{sha256}", content=png, headers={"Content-Type": "image/png"})
    grid = {"iteration": 1, "rows": 1, "columns": 2, "cell_width": 2, "cell_height": 2, "latents_sha256": None}
    file = {"path": "files.bin:0", "sha256": sha256, "size": len(png)}
    post(client, run, 0, {"kind": "sample_grid_saved", "file": file, **grid})
    (sample,) = client.get(f"/jobs/{run['job_id']}/samples").json()["items"]
    assert sample["latents_sha256"] is None


def test_a_run_of_ones_own_is_found_by_its_config_its_origin_and_any_metric(client: TestClient) -> None:
    run = open_run(client, config={"lr": 0.5, "net": {"depth": 3}})
    post(client, run, 0, logged(1, **{"val loss": 0.5, "acc": 2.0}))
    open_run(client, key="another-key", name="other", config={"lr": 0.25})

    def find(**query: str) -> list[str]:
        answer = client.get("/jobs", params=query)
        assert answer.status_code == 200, answer.text
        return [job["name"] for job in answer.json()["items"]]

    assert find(where="config.lr=0.5") == find(q="config.net.depth>2") == find(q='"val loss"<1') == ["my gan"]
    assert find(where='"acc">=2') == find(q="-config.lr<0.4") == ["my gan"]
    assert find(q="origin:own", sort="config.lr") == ["other", "my gan"]
    assert find(q="origin:mlflow") == []
    assert find(sort='-"val loss"') == ["my gan", "other"]


def test_what_ganvas_did_not_start_it_cannot_retry(client: TestClient) -> None:
    run = open_run(client)
    finish(client, run, 0, "failed")
    answer = client.post(f"/jobs/{run['job_id']}/retry")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "job_state_conflict")


def test_no_worker_gets_a_run_of_ones_own(client: TestClient) -> None:
    open_run(client)
    assert client.post("/workers/claim", json={"worker": "gpu-1", "devices": ["cpu"]}).status_code == 204


@pytest.mark.parametrize(
    ("steps", "end", "expected"),
    [
        ((0, 2), "succeeded", 3),
        ((1, 2), "succeeded", 2),
        ((0, 1), "succeeded", 1),
        ((0, 2), "failed", 2),
        ((0, 3), "succeeded", 3),
    ],
    ids=["from 0 to the end", "from 1", "too few", "failed", "from 0 to the number itself"],
)
def test_a_loop_that_counts_from_0_has_done_all_its_iterations_at_its_last_step(
    client: TestClient, steps: tuple[int, ...], end: str, expected: int
) -> None:
    run = open_run(client, iterations=3)
    post(client, run, 0, *(logged(step, loss=1.0) for step in steps), logged(0, **{"system/memory": 1.0}))
    ended = finish(client, run, len(steps) + 1, end)
    assert (ended["iteration"], ended["iterations"]) == (expected, 3)
    assert client.get(f"/jobs/{run['job_id']}").json()["iteration"] == expected
    assert list(read_curve(client, run["job_id"], "loss")) == list(steps)


def test_a_run_keeps_its_own_times(client: TestClient) -> None:
    began = datetime(2025, 1, 1, tzinfo=UTC)
    run = open_run(client, started_at=began.isoformat())
    ended = finish(client, run, 0, ended_at=(began + timedelta(hours=1)).isoformat())
    assert (ended["started_at"], ended["ended_at"]) == ("2025-01-01T00:00:00Z", "2025-01-01T01:00:00Z")


def test_of_many_that_open_one_run_at_once_all_get_the_same(database: Database) -> None:
    given = RunOpen(key=KEY, name="my gan")
    start = threading.Barrier(8)

    def open_once(number: int) -> tuple[str, int]:
        start.wait()
        with database.write() as session:
            opened = opening.open_run(session, given, 60.0, f"{number:064}")
            return opened.job.id, opened.next_seq

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(open_once, range(8)))
    assert len(found) == 1
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 1
        assert session.scalar(select(func.count()).select_from(Attempt)) == 1


def test_a_runs_files_are_kept_while_it_is_and_deleted_with_it(database: Database) -> None:
    sha256 = hashlib.sha256(b"one").hexdigest()
    file = StoredFile(path="files.bin:0", sha256=sha256, size=3)
    with database.write() as session:
        job_id = opening.open_run(session, RunOpen(key=KEY, name="my gan", origin="mlflow"), None, None).job.id
        insert_artifact(session, sha256, 3, BYTES)
        assert delete_unused_artifact(session, hashlib.sha256(b"other").hexdigest()) is None
        append_events(session, job_id, [(AT, FileSaved(iteration=1, name="a/b.pt", file=file))])
    with database.write() as session:
        assert delete_unused_artifact(session, sha256) is None
        opening.end_run(session, job_id, "succeeded")
        edits.delete_job(session, job_id)
    with database.write() as session:
        assert edits.purge_job(session, job_id, kept_seconds=-60.0) == [sha256]
        # The control: nothing refers to it any more.
        assert delete_unused_artifact(session, sha256) == 3
