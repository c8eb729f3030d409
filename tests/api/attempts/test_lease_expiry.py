"""The reaper: whom it takes, when it may, and when it wakes workers."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from api.attempts import lease_expiry
from api.attempts.lease_expiry import Cadence, Reaper
from api.attempts.lease_watch import LeaseWatch
from api.attempts.leases import renew_lease
from api.jobs import queries as job_queries
from api.server.database.clock import database_now
from api.server.database.engine import Database
from api.server.database.models import Job
from api.server.operations.availability import Availability
from tests.support.faults.tampering import list_overdue
from tests.support.services import LEASE, add_claimed_job, add_job, claim


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Wakes:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wakes() -> Wakes:
    return Wakes()


@pytest.fixture
def reaper(sqlite: Database, clock: Clock, wakes: Wakes) -> Reaper:
    return Reaper(sqlite, Cadence(1.0, LEASE, 30.0), wakes, clock=clock)


def add_silent_job(database: Database) -> str:
    with database.write() as session:
        job = add_claimed_job(session)
        session.execute(update(Job).where(Job.id == job.id).values(lease_ends_at=database_now(-1)))
    return job.id


def state_of(database: Database, job_id: str) -> str:
    with database.read() as session:
        return job_queries.get_job(session, job_id).state


def look_for(seconds: int, reaper: Reaper, clock: Clock) -> None:
    for _ in range(seconds):
        reaper.run_once()
        clock.now += 1
    reaper.run_once()


def state_after(seconds: int, database: Database, reaper: Reaper, clock: Clock) -> str:
    job_id = add_silent_job(database)
    look_for(seconds, reaper, clock)
    return state_of(database, job_id)


def test_after_a_start_nobody_is_reaped_for_one_lease(sqlite: Database, reaper: Reaper, clock: Clock) -> None:
    assert state_after(59, sqlite, reaper, clock) == "running"


def test_after_one_lease_a_silent_attempt_is_reaped(sqlite: Database, reaper: Reaper, clock: Clock) -> None:
    assert state_after(60, sqlite, reaper, clock) == "queued"


def test_control_without_the_wait_a_start_reaps_at_once(
    sqlite: Database, reaper: Reaper, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LeaseWatch, "list_ended", list_overdue)
    assert state_after(0, sqlite, reaper, clock) == "queued"


def test_a_suspended_machine_gives_its_workers_a_full_lease_again(
    sqlite: Database, reaper: Reaper, clock: Clock
) -> None:
    look_for(60, reaper, clock)
    clock.now += 3600
    assert state_after(59, sqlite, reaper, clock) == "running"
    look_for(1, reaper, clock)


def test_a_live_attempt_is_left_alone(sqlite: Database, reaper: Reaper, clock: Clock) -> None:
    with sqlite.write() as session:
        job = add_claimed_job(session)
    for _ in range(14):
        look_for(5, reaper, clock)
        with sqlite.write() as session:
            renew_lease(session, job.id, 1, LEASE)
    assert state_of(sqlite, job.id) == "running"


def test_workers_are_woken_every_half_minute_while_a_job_waits(
    sqlite: Database, reaper: Reaper, clock: Clock, wakes: Wakes
) -> None:
    look_for(5, reaper, clock)
    assert wakes.count == 0
    with sqlite.write() as session:
        add_job(session)
    look_for(65, reaper, clock)
    assert wakes.count == 3
    with sqlite.write() as session:
        assert claim(session) is not None
    look_for(65, reaper, clock)
    assert wakes.count == 3


def test_workers_are_woken_when_a_backoff_ends(
    sqlite: Database, reaper: Reaper, clock: Clock, wakes: Wakes
) -> None:
    with sqlite.write() as session:
        job = add_job(session)
        session.execute(update(Job).where(Job.id == job.id).values(not_before=database_now(60)))
    look_for(3, reaper, clock)
    assert wakes.count == 0
    with sqlite.write() as session:
        session.execute(update(Job).where(Job.id == job.id).values(not_before=database_now(-0.1)))
    look_for(3, reaper, clock)
    assert wakes.count == 1


def test_files_that_nothing_refers_to_are_swept_at_the_start_and_once_an_hour(
    sqlite: Database, clock: Clock, wakes: Wakes
) -> None:
    sweeps: list[float] = []
    sweep: Callable[[], None] = lambda: sweeps.append(clock.now)  # noqa: E731
    reaper = Reaper(sqlite, Cadence(1.0, LEASE, 30.0), wakes, sweep=sweep, clock=clock)
    for _ in range(25):
        reaper.run_once()
        clock.now += 300
    assert sweeps == [1000, 4600, 8200]


def test_a_service_that_has_not_answered_yet_has_not_begun_to_listen(
    sqlite: Database, clock: Clock, wakes: Wakes
) -> None:
    availability = Availability()
    reaper = Reaper(sqlite, Cadence(1.0, LEASE, 30.0), wakes, clock=clock, availability=availability)
    job_id = add_silent_job(sqlite)
    look_for(int(3 * LEASE), reaper, clock)
    assert state_of(sqlite, job_id) == "running"
    availability.record("/healthz", 200)
    look_for(int(LEASE) - 1, reaper, clock)
    assert state_of(sqlite, job_id) == "running"
    look_for(3, reaper, clock)
    assert state_of(sqlite, job_id) == "queued"


@pytest.mark.parametrize(
    ("route", "status", "is_deaf"),
    [
        ("/jobs/{job_id}/attempts/{attempt}/heartbeat", 507, True),
        ("/jobs/{job_id}/attempts/{attempt}/events", 503, True),
        ("/jobs/{job_id}/attempts/{attempt}/events", 500, False),
        ("/artifacts/{sha256}", 507, False),
        ("/jobs/{job_id}/attempts/{attempt}/heartbeat", 200, False),
    ],
)
def test_a_heartbeat_that_could_not_be_stored_is_the_services_own_silence(
    sqlite: Database, clock: Clock, wakes: Wakes, route: str, status: int, is_deaf: bool
) -> None:
    availability = Availability()
    availability.record("/healthz", 200)
    reaper = Reaper(sqlite, Cadence(1.0, LEASE, 30.0), wakes, clock=clock, availability=availability)
    job_id = add_silent_job(sqlite)
    look_for(int(LEASE) - 1, reaper, clock)
    availability.record(route, status)
    look_for(3, reaper, clock)
    assert (state_of(sqlite, job_id) == "running") == is_deaf
    look_for(int(LEASE), reaper, clock)
    assert state_of(sqlite, job_id) == "queued"


def test_a_database_that_was_away_took_no_heartbeats(
    sqlite: Database, clock: Clock, reaper: Reaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = add_silent_job(sqlite)
    look_for(int(LEASE) - 1, reaper, clock)
    with monkeypatch.context() as patch:
        patch.setattr(lease_expiry, "list_leases", fail)
        patch.setattr(lease_expiry, "count_waiting", fail)
        clock.now += 1
        reaper.run_safely()
        clock.now += 1
        reaper.run_safely()
    look_for(int(LEASE) - 1, reaper, clock)
    assert state_of(sqlite, job_id) == "running"
    look_for(2, reaper, clock)
    assert state_of(sqlite, job_id) == "queued"


def fail(*_: object) -> None:
    raise OSError("no database")
