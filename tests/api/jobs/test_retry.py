"""Failed and cancelled jobs once more, on both databases."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from api.errors import JobStateConflict
from api.jobs import queries as job_queries
from api.jobs import serializers
from api.jobs.edits import retry_job
from api.samples import queries as sample_queries
from api.server.database.engine import Database
from api.server.database.models import Job
from ganlib.events import MetricsLogged
from tests.support.services import (
    TINY_SPEC,
    add_claimed_job,
    claim,
    finish,
    make_checkpoint,
    make_grid,
    make_metrics,
    post,
    read_points,
)


class Stored:
    """A file store that has every file, or none."""

    def __init__(self, has_all: bool = True) -> None:
        self.has_all = has_all

    def exists(self, sha256: str) -> bool:
        return self.has_all


def fail_after_checkpoint(session: Session) -> Job:
    """Return a failed job with points at 1 to 4, grids at 2 and 4, and a checkpoint at 2."""
    job = add_claimed_job(session)
    events: list[Any] = [
        make_metrics(1, loss_generator=1.0),
        make_metrics(2, loss_generator=2.0),
        make_grid(session, 2, b"two"),
        make_checkpoint(session, 2, b"checkpoint"),
        make_metrics(3, loss_generator=3.0),
        make_metrics(4, loss_generator=4.0),
        make_grid(session, 4, b"four"),
    ]
    post(session, job, events)
    return finish(session, job, "failed", len(events), "trainer_failed")


def test_a_failed_job_goes_on_from_its_checkpoint_as_a_new_one(database: Database) -> None:
    with database.write() as session:
        source = fail_after_checkpoint(session)
        job, _ = retry_job(session, source.id, 5, Stored())
        assert (job.state, job.iteration, job.retry_of) == ("queued", 2, source.id)
        assert read_points(session, job, "loss/generator") == {1: 1.0, 2: 2.0}
        assert [sample.iteration for sample in sample_queries.list_samples(session, job.id).items] == [2]
        assert serializers.job_read(session, job).latest["loss/generator"].value == 2.0
        # The failed one is as it was.
        assert source.state == "failed"
        assert read_points(session, source, "loss/generator") == {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}
    with database.write() as session:
        claimed = claim(session)
        assert claimed is not None
        assert (claimed.job.id, claimed.resume and claimed.resume.iteration) == (job.id, 2)
        post(session, claimed.job, [make_metrics(3, loss_generator=7.0), make_grid(session, 4, b"other")])
        assert read_points(session, claimed.job, "loss/generator") == {1: 1.0, 2: 2.0, 3: 7.0}
        assert read_points(session, source, "loss/generator")[3] == 3.0


@pytest.mark.parametrize("blobs", [None, Stored(has_all=False)])
def test_without_a_checkpoint_it_begins_anew(database: Database, blobs: Stored | None) -> None:
    with database.write() as session:
        job, _ = retry_job(session, fail_after_checkpoint(session).id, 5, blobs)
        assert (job.iteration, sample_queries.list_samples(session, job.id).items) == (0, [])
        claimed = claim(session)
        assert claimed is not None
        assert claimed.resume is None


def test_a_cancelled_job_may_be_tried_again_and_others_not(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        for _ in range(1):
            with pytest.raises(JobStateConflict, match="running"):
                retry_job(session, job.id, 5, Stored())
        job_queries.cancel_job(session, job.id)
        finish(session, job, "cancelled")
        again, _ = retry_job(session, job.id, 5, Stored())
        with pytest.raises(JobStateConflict, match="queued"):
            retry_job(session, again.id, 5, Stored())


def test_a_long_curve_is_cut_at_the_checkpoint(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        events: list[Any] = [
            MetricsLogged(iteration=i, values={"loss/generator": float(i)}) for i in range(1, 6001)
        ]
        events.insert(5000, make_checkpoint(session, 5000, b"c"))
        for start in range(0, len(events), 2000):
            post(session, job, events[start : start + 2000], start)
        finish(session, job, "failed", len(events), "any")
        again, _ = retry_job(session, job.id, 5, Stored())
        points = read_points(session, again, "loss/generator")
        assert (len(points), points[5000], max(points)) == (5000, 5000.0, 5000)


def test_over_http(client: Any, make_failed: Callable[[], str]) -> None:
    job_id = make_failed()
    answer = client.post(f"/jobs/{job_id}/retry?from_start=true")
    assert (answer.status_code, answer.json()["retry_of"], answer.json()["state"]) == (201, job_id, "queued")
    assert client.post(f"/jobs/{answer.json()['id']}/retry").status_code == 409
    assert client.post("/jobs/nothing/retry").status_code == 404


@pytest.fixture
def make_failed(client: Any) -> Callable[[], str]:
    def make() -> str:
        from tests.support.services import TINY_SPEC

        job_id: str = client.post("/jobs", json=TINY_SPEC).json()["id"]
        client.post("/workers/claim", json={"worker": "w"})
        finish = {"end": "failed", "reason": {"code": "any", "message": "Because."}, "events_count": 0}
        assert client.post(f"/jobs/{job_id}/attempts/1/finish", json=finish).status_code == 200
        return job_id

    return make


def test_a_retry_honours_its_idempotency_key(client: TestClient) -> None:
    first, second = (client.post("/jobs", json=TINY_SPEC).json()["id"] for _ in range(2))
    for job in (first, second):
        client.post(f"/jobs/{job}/cancel")

    def retry(job: str, key: str) -> httpx.Response:
        return client.post(f"/jobs/{job}/retry", headers={"Idempotency-Key": key})

    made, again = retry(first, "once"), retry(first, "once")
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json()["id"] == again.json()["id"]
    assert made.json()["retry_of"] == first
    # The same spec does not make it the same: a key belongs to one retry of one job.
    other = retry(second, "once")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    submitted = client.post("/jobs", json=TINY_SPEC, headers={"Idempotency-Key": "submitted"})
    assert submitted.status_code == 201
    assert retry(first, "submitted").status_code == 409
    assert len(client.get("/jobs").json()["items"]) == 4
