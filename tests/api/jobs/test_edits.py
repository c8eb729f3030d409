"""Tags, notes, deleting and bringing back: what people do with jobs that is no state."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from api.jobs import edits
from api.jobs import queries as job_queries
from api.jobs.schemas import JobEdit
from api.server.database.engine import Database
from api.server.database.models import Base, Job
from api.server.services import Services, purge_deleted_jobs
from tests.support.services import (
    TINY_SPEC,
    add_claimed_job,
    finish,
    kinds,
    make_checkpoint,
    make_grid,
    make_line,
    make_metrics,
    make_png,
    post,
    sha256,
)

CLAIM = {"worker": "w"}


def make_ended_job(client: TestClient) -> str:
    job_id: str = client.post("/jobs", json=TINY_SPEC).json()["id"]
    client.post(f"/jobs/{job_id}/cancel")
    return job_id


def listed(client: TestClient) -> list[str]:
    return [job["id"] for job in client.get("/jobs").json()["items"]]


def test_tags_come_and_go_and_a_note_is_kept_whatever_the_state(client: TestClient) -> None:
    job_id = client.post("/jobs", json=TINY_SPEC | {"tags": ["sweep-1", "mnist"]}).json()["id"]
    edited = client.patch(f"/jobs/{job_id}", json={"add_tags": ["good", "mnist"], "remove_tags": ["sweep-1"]})
    assert edited.json()["tags"] == ["mnist", "good"]
    assert client.patch(f"/jobs/{job_id}", json={"note": "Sharp."}).json()["note"] == "Sharp."
    client.post(f"/jobs/{job_id}/cancel")
    replaced = client.patch(f"/jobs/{job_id}", json={"tags": ["only"]}).json()
    assert (replaced["tags"], replaced["note"], replaced["state"]) == (["only"], "Sharp.", "cancelled")
    assert replaced["spec"]["tags"] == ["sweep-1", "mnist"]
    assert client.get("/jobs", params={"tag": "only"}).json()["items"][0]["id"] == job_id
    assert client.get("/jobs", params={"tag": "mnist"}).json()["items"] == []


@pytest.mark.parametrize(
    "edit", [{"add_tags": ['"quoted"']}, {"tags": "one"}, {"note": "\0"}, {"state": "succeeded"}, {"name": "x"}]
)
def test_an_edit_of_anything_else_is_refused(client: TestClient, edit: dict[str, object]) -> None:
    job_id = make_ended_job(client)
    assert client.patch(f"/jobs/{job_id}", json=edit).status_code == 422
    assert client.patch("/jobs/nosuchjob", json={"note": "x"}).status_code == 404


def test_a_job_has_at_most_32_tags(client: TestClient) -> None:
    job_id = make_ended_job(client)
    many = [f"tag-{number}" for number in range(32)]
    assert client.patch(f"/jobs/{job_id}", json={"add_tags": many}).status_code == 200
    refused = client.patch(f"/jobs/{job_id}", json={"add_tags": ["one-more"]})
    assert refused.status_code == 422
    assert "at most 32 tags" in refused.json()["error"]["message"]


def test_a_job_that_waits_or_runs_cannot_be_deleted_and_is_told_what_to_do(client: TestClient) -> None:
    job_id = client.post("/jobs", json=TINY_SPEC).json()["id"]
    for state in ("queued", "running"):
        refused = client.delete(f"/jobs/{job_id}")
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["details"]) == (
            409,
            "job_state_conflict",
            {"state": state},
        )
        assert f"ganvas cancel {job_id}" in error["message"]
        client.post("/workers/claim", json=CLAIM)


def test_a_deleted_job_is_in_no_list_until_it_is_restored(client: TestClient) -> None:
    job_id, other = make_ended_job(client), make_ended_job(client)
    deleted = client.delete(f"/jobs/{job_id}")
    assert deleted.status_code == 200
    assert deleted.json()["deleted_at"] is not None
    assert client.delete(f"/jobs/{job_id}").json()["deleted_at"] == deleted.json()["deleted_at"]
    assert listed(client) == [other]
    assert client.get("/jobs", params={"state": "cancelled"}).json()["items"][0]["id"] == other
    assert client.get(f"/jobs/{job_id}").json()["deleted_at"] is not None
    restored = client.post(f"/jobs/{job_id}/restore").json()
    assert (restored["deleted_at"], restored["state"]) == (None, "cancelled")
    assert set(listed(client)) == {job_id, other}
    assert client.post(f"/jobs/{job_id}/restore").json()["last_event_id"] == restored["last_event_id"]
    assert client.post("/jobs/nosuchjob/restore").status_code == 404
    assert client.delete("/jobs/nosuchjob").status_code == 404


def add_ended_job(database: Database, content: bytes) -> Job:
    """A job that has rows in every table, one grid and one checkpoint."""
    with database.write() as session:
        job = add_claimed_job(session)
        grid, checkpoint = make_grid(session, 10, content), make_checkpoint(session, 10, content + b"c")
        events = [make_metrics(10, loss_generator=1.0), grid, checkpoint, make_line(10, "done")]
        post(session, job, events)
        return finish(session, job, "succeeded", len(events))


def test_streams_hear_of_every_change(database: Database) -> None:
    job = add_ended_job(database, b"grid")
    with database.write() as session:
        edits.edit_job(session, job.id, JobEdit(add_tags=["a"]))
        edits.edit_job(session, job.id, JobEdit(add_tags=["a"]))
        edits.delete_job(session, job.id)
        edits.restore_job(session, job.id)
        assert kinds(session, job)[-3:] == ["job_edited", "job_deleted", "job_restored"]


def test_a_job_is_purged_when_its_days_are_over_and_not_before(database: Database) -> None:
    job = add_ended_job(database, b"grid")
    with database.write() as session:
        assert edits.list_purgeable(session, 0) == []
        assert edits.purge_job(session, job.id, 0) == []
        edits.delete_job(session, job.id)
        assert edits.list_purgeable(session, 3600) == []
        assert edits.purge_job(session, job.id, 3600) == []
        assert edits.list_purgeable(session, 0) == [job.id]
        names = edits.purge_job(session, job.id, 0)
    assert names == sorted([sha256(b"grid"), sha256(b"gridc")])
    with database.read() as session:
        owned = [table for table in Base.metadata.sorted_tables if "job_id" in table.c and table.name != "workers"]
        counts = {table.name: session.scalar(select(func.count()).select_from(table)) for table in owned}
        assert set(counts.values()) == {0}, counts
        assert job_queries.find_job(session, job.id) is None


def test_purging_removes_the_files_that_only_that_job_named(client: TestClient, tmp_path: Path) -> None:
    services: Services = client.app.state.services  # type: ignore[attr-defined]
    own, shared = make_png(shade=1), make_png(shade=2)
    jobs = []
    for contents in ((own, shared), (shared,)):
        job_id = client.post("/jobs", json=TINY_SPEC).json()["id"]
        claimed = client.post("/workers/claim", json=CLAIM).json()
        for content in contents:
            client.put(f"/artifacts/{sha256(content)}", content=content, headers={"content-type": "image/png"})
        events = [
            {"seq": seq, "at": "2026-01-02T03:04:05Z", "event": make_grid_posted(content, seq + 1)}
            for seq, content in enumerate(contents)
        ]
        base = f"/jobs/{job_id}/attempts/{claimed['attempt']}"
        assert client.post(f"{base}/events", json={"events": events}).status_code == 200
        client.post(f"{base}/finish", json={"end": "succeeded", "events_count": len(events)})
        jobs.append(job_id)
    client.delete(f"/jobs/{jobs[0]}")
    purge_deleted_jobs(services.database, services.blobs, 3600)
    assert client.get(f"/artifacts/{sha256(own)}").status_code == 200
    purge_deleted_jobs(services.database, services.blobs, 0)
    assert client.get(f"/jobs/{jobs[0]}").status_code == 404
    assert client.get(f"/artifacts/{sha256(own)}").status_code == 404
    assert not services.blobs.exists(sha256(own))
    assert client.get(f"/artifacts/{sha256(shared)}").status_code == 200


def make_grid_posted(content: bytes, iteration: int) -> dict[str, object]:
    file = {"path": "any.png", "sha256": sha256(content), "size": len(content)}
    size = {"rows": 1, "columns": 1, "cell_width": 8, "cell_height": 8}
    return {
        "kind": "sample_grid_saved",
        "iteration": iteration,
        "file": file,
        "latents_sha256": sha256(b"latents"),
        **size,
    }
