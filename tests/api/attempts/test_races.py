"""Queries that meet on one row of PostgreSQL, in both orders: one has written, the other comes before it ends."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.attempts import lease_expiry, leases
from api.attempts.lease_watch import HeldLease
from api.errors import ServiceError
from api.jobs import edits
from api.jobs import queries as job_queries
from api.server.database.engine import Database
from api.server.database.models import Job
from tests.support.services import LEASE, add_claimed_job, add_job, claim, finish, make_metrics, post

WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@dataclass
class Scene:
    """A job, and its lease as a reaper has read it."""

    database: Database
    job_id: str
    lease: HeldLease | None = None

    def read(self) -> Job:
        with self.database.read() as session:
            return job_queries.get_job(session, self.job_id)


Deed = Callable[[Session, Scene], object]


def do_claim(session: Session, scene: Scene) -> object:
    claimed = claim(session)
    return claimed and claimed.job.attempt


def do_reap(session: Session, scene: Scene) -> object:
    assert scene.lease is not None
    job = lease_expiry.reap_job(session, scene.lease)
    return job and job.state


def do_extend_all(session: Session, scene: Scene) -> object:
    return lease_expiry.extend_all_leases(session, 3 * LEASE)


DEEDS: dict[str, Deed] = {
    "claim": do_claim,
    "reap": do_reap,
    "extend all": do_extend_all,
    "cancel": lambda session, scene: job_queries.cancel_job(session, scene.job_id).state,
    "heartbeat": lambda session, scene: leases.renew_lease(session, scene.job_id, 1, 2 * LEASE).attempt,
    "finish": lambda session, scene: finish(session, session.get_one(Job, scene.job_id), "succeeded").state,
    "events": lambda session, scene: (
        post(
            session, session.get_one(Job, scene.job_id), [make_metrics(1, loss_generator=1.0)], attempt=1
        ).next_seq
    ),
    "retry": lambda session, scene: edits.retry_job(session, scene.job_id, 5, None)[0].retry_of == scene.job_id,
    "delete": lambda session, scene: edits.delete_job(session, scene.job_id).deleted_at is not None,
    "purge": lambda session, scene: edits.purge_job(session, scene.job_id, 0.0),
}


def meet(scene: Scene, first: str, second: str) -> tuple[object, object]:
    """Do the first deed; before its commit begin the second, which ends by itself or waits; return what came."""
    came: list[object] = []

    def follow() -> None:
        try:
            with scene.database.write() as session:
                came.append(DEEDS[second](session, scene))
        except ServiceError as error:
            came.append(error.code)

    thread = threading.Thread(target=follow)
    with scene.database.write() as session:
        try:
            first_came: object = DEEDS[first](session, scene)
        except ServiceError as error:
            first_came = error.code
        thread.start()
        deadline = time.monotonic() + 60
        while thread.is_alive() and not count_waiting(scene.database):
            assert time.monotonic() < deadline
            time.sleep(0.002)
    thread.join(60)
    return first_came, came[0]


def count_waiting(database: Database) -> int:
    with database.read() as session:
        return session.execute(text(WAITS)).scalar_one()


@pytest.fixture
def make_scene(postgresql: Database) -> Callable[[str], Scene]:
    """Make a job that is queued, running, failed or deleted."""

    def make(state: str) -> Scene:
        with postgresql.write() as session:
            if state == "queued":
                return Scene(postgresql, add_job(session).id)
            job = add_claimed_job(session)
            [lease] = lease_expiry.list_leases(session)
            if state in ("failed", "deleted"):
                finish(session, job, "failed", code="training_diverged")
            if state == "deleted":
                edits.delete_job(session, job.id)
            return Scene(postgresql, job.id, lease)

    return make


@pytest.mark.parametrize(
    ("first", "second", "came", "state", "attempt"),
    [
        ("claim", "claim", (1, None), "running", 1),
        ("claim", "cancel", (1, "running"), "running", 1),
        ("cancel", "claim", ("cancelled", None), "cancelled", 0),
        ("cancel", "cancel", ("cancelled", "cancelled"), "cancelled", 0),
    ],
)
def test_deeds_that_meet_on_a_queued_job(make_scene, first, second, came, state, attempt) -> None:
    scene = make_scene("queued")
    assert meet(scene, first, second) == came
    job = scene.read()
    assert (job.state, job.attempt) == (state, attempt)
    assert (job.cancel_requested_at is not None) == ("cancel" in (first, second))


@pytest.mark.parametrize(
    ("first", "second", "came", "state"),
    [
        ("heartbeat", "reap", (1, None), "running"),
        ("reap", "heartbeat", ("queued", "attempt_fenced"), "queued"),
        ("finish", "reap", ("succeeded", None), "succeeded"),
        ("reap", "finish", ("queued", "attempt_fenced"), "queued"),
        ("events", "reap", (1, None), "running"),
        ("reap", "events", ("queued", "attempt_fenced"), "queued"),
        ("reap", "reap", ("queued", None), "queued"),
        ("extend all", "reap", (None, None), "running"),
        ("reap", "extend all", ("queued", None), "queued"),
        ("heartbeat", "extend all", (1, None), "running"),
        ("events", "events", (1, 1), "running"),
        ("cancel", "reap", ("running", "cancelled"), "cancelled"),
        ("reap", "cancel", ("queued", "cancelled"), "cancelled"),
        ("finish", "cancel", ("succeeded", "job_state_conflict"), "succeeded"),
        ("finish", "delete", ("succeeded", True), "succeeded"),
        ("delete", "finish", ("job_state_conflict", "succeeded"), "succeeded"),
        ("cancel", "finish", ("running", "succeeded"), "succeeded"),
    ],
)
def test_deeds_that_meet_on_a_running_job(make_scene, first, second, came, state) -> None:
    scene = make_scene("running")
    assert meet(scene, first, second) == came
    job = scene.read()
    assert (job.state, job.attempts_used) == (state, int("reap" in (first, second) and came[0] == "queued"))


@pytest.mark.parametrize(
    ("state", "first", "second", "came"),
    [
        ("failed", "retry", "delete", (True, True)),
        ("failed", "delete", "retry", (True, True)),
        ("deleted", "retry", "purge", (True, [])),
        ("deleted", "purge", "retry", ([], "job_not_found")),
        ("deleted", "purge", "purge", ([], [])),
    ],
)
def test_deeds_that_meet_on_an_ended_job(make_scene, state, first, second, came) -> None:
    scene = make_scene(state)
    assert meet(scene, first, second) == came
    with scene.database.read() as session:
        retried = [job.state for job in session.query(Job).filter(Job.retry_of == scene.job_id)]
    assert retried == (["queued"] if True in came and "retry" in (first, second) else [])


def test_control_without_its_conditions_a_reaper_that_waited_takes_a_live_job(
    make_scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_scene("running")
    monkeypatch.setattr(lease_expiry, "still_holds", lambda lease: [Job.id == lease.job_id])
    assert meet(scene, "heartbeat", "reap") == (1, "queued")
