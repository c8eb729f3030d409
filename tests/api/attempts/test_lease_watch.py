"""Whom the reaper believes to be silent: clocks that jump, its own deafness, attempts that all fall silent."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from api.attempts.lease_expiry import Cadence, Reaper
from api.attempts.lease_watch import HeldLease, LeaseWatch
from api.attempts.leases import renew_lease
from api.jobs import queries as job_queries
from api.server.database.engine import Database
from api.server.operations.availability import SLOW_HEARTBEAT_SECONDS, Availability, Reachability
from tests.conftest import LiveService
from tests.support.services import LEASE, add_claimed_job

CADENCE = Cadence(1.0, LEASE, 30.0)


class Laboratory:
    """One database, a clock, and reapers that look once a second."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = 1000.0
        self.availability = Availability(has_answered=True, clock=lambda: self.now)
        self.reapers = [self.make_reaper(self.availability)]

    def make_reaper(self, availability: Availability | None = None) -> Reaper:
        return Reaper(self.database, CADENCE, lambda: None, clock=lambda: self.now, availability=availability)

    def claim(self, count: int) -> list[str]:
        with self.database.write() as session:
            return [add_claimed_job(session).id for _ in range(count)]

    def beat(self, *job_ids: str) -> None:
        with self.database.write() as session:
            for job_id in job_ids:
                renew_lease(session, job_id, 1, LEASE)

    def listen(self, seconds: int, *living: str, each_second: Callable[[], None] = lambda: None) -> None:
        """Look once a second, while these jobs' workers send a heartbeat every five."""
        for second in range(seconds):
            if second % 5 == 0:
                self.beat(*living)
            each_second()
            for reaper in self.reapers:
                reaper.run_once()
            self.now += 1

    def states(self, *job_ids: str) -> list[str]:
        with self.database.read() as session:
            return [job_queries.get_job(session, job_id).state for job_id in job_ids]


@pytest.fixture
def laboratory(sqlite: Database) -> Laboratory:
    return Laboratory(sqlite)


@pytest.fixture
def set_clock(sqlite: Database) -> Callable[[float], None]:
    """Move the database's clock by so many seconds against the true one."""
    offset = [0.0]

    def strftime(form: str, now: str, plus: str) -> str:
        moved = datetime.now(UTC) + timedelta(seconds=offset[0] + float(plus.split()[0]))
        return moved.strftime("%Y-%m-%d %H:%M:%S.%f")

    event.listen(
        sqlite.engine, "connect", lambda connection, _: connection.create_function("strftime", 3, strftime)
    )
    sqlite.engine.dispose()
    return lambda seconds: offset.__setitem__(0, seconds)


@pytest.mark.parametrize("jump", [90.0, 86_400.0, -86_400.0], ids=["90 s", "a day", "a day back"])
@pytest.mark.parametrize("is_guarded", [True, False], ids=["listened", "control"])
def test_a_clock_that_jumps_neither_takes_nor_keeps_a_job(
    laboratory: Laboratory, set_clock: Callable[[float], None], jump: float, is_guarded: bool, monkeypatch
) -> None:
    """Control: a lease ends by the clock on the wall."""
    living, dead = laboratory.claim(2)
    if not is_guarded:
        wall = lambda: datetime.now(UTC) + timedelta(seconds=jump)  # noqa: E731
        monkeypatch.setattr(LeaseWatch, "list_ended", lambda watch: [
            each.lease for each in watch._watched.values() if each.lease.lease_ends_at < wall()
        ])  # fmt: skip
    laboratory.listen(1)
    set_clock(jump)
    laboratory.listen(59, *[living] if is_guarded else [])
    before = laboratory.states(living, dead)
    laboratory.listen(3, *[living] if is_guarded else [])
    after = laboratory.states(living, dead)
    if is_guarded:
        assert (before, after) == (["running"] * 2, ["running", "queued"])
    else:
        assert before == after == (["queued"] * 2 if jump > 0 else ["running"] * 2)


def test_a_process_that_hardly_ran_has_hardly_listened(laboratory: Laboratory) -> None:
    living, dead = laboratory.claim(2)
    # Its rounds come twenty seconds apart; each counts for six.
    for turn in range(10):
        laboratory.beat(living)
        laboratory.reapers[0].run_once()
        laboratory.now += 20
        assert laboratory.states(living, dead) == ["running"] * 2, turn
    laboratory.listen(10, living)
    assert laboratory.states(living, dead) == ["running", "queued"]


def test_two_reapers_take_a_silent_attempt_once_and_see_each_others_heartbeats(laboratory: Laboratory) -> None:
    laboratory.reapers.append(laboratory.make_reaper())
    living, dead = laboratory.claim(2)
    laboratory.listen(62, living)
    assert laboratory.states(living, dead) == ["running", "queued"]
    with laboratory.database.read() as session:
        assert job_queries.get_job(session, dead).attempts_used == 1


def test_where_all_fall_silent_together_the_service_suspects_itself_once(laboratory: Laboratory) -> None:
    jobs = laboratory.claim(3)
    laboratory.listen(70)
    assert laboratory.states(*jobs) == ["running"] * 3
    laboratory.listen(55, jobs[0])
    # One came back, and the others had their second lease.
    assert laboratory.states(*jobs) == ["running", "queued", "queued"]


def test_a_service_that_hears_other_workers_does_not_suspect_itself(laboratory: Laboratory) -> None:
    jobs = laboratory.claim(3)
    laboratory.listen(62, each_second=lambda: laboratory.availability.record("/workers/heartbeat", 204))
    assert laboratory.states(*jobs) == ["queued"] * 3


def test_a_job_that_is_to_be_cancelled_is_not_spared(laboratory: Laboratory) -> None:
    jobs = laboratory.claim(3)
    with laboratory.database.write() as session:
        job_queries.cancel_job(session, jobs[0])
    laboratory.listen(62)
    assert laboratory.states(*jobs) == ["cancelled", "running", "running"]


def test_a_heartbeat_that_waits_for_its_answer_is_the_services_own_silence(laboratory: Laboratory) -> None:
    [job] = laboratory.claim(1)
    laboratory.listen(10)
    laboratory.availability.begin_heartbeat(1)
    laboratory.listen(100)
    assert laboratory.states(job) == ["running"]
    laboratory.availability.end_heartbeat(1)
    laboratory.listen(58)
    assert laboratory.states(job) == ["running"]
    laboratory.listen(5)
    assert laboratory.states(job) == ["queued"]


@pytest.mark.parametrize("seconds", [SLOW_HEARTBEAT_SECONDS / 2, 2 * SLOW_HEARTBEAT_SECONDS])
def test_a_slow_answer_to_a_heartbeat_counts_and_a_quick_one_does_not(
    laboratory: Laboratory, seconds: float
) -> None:
    laboratory.availability.begin_heartbeat(1)
    laboratory.now += seconds
    laboratory.availability.end_heartbeat(1)
    assert (laboratory.availability.take_failure() is not None) == (seconds > SLOW_HEARTBEAT_SECONDS)
    assert laboratory.availability.take_failure() is None


def test_a_deaf_replica_keeps_the_others_from_reaping(laboratory: Laboratory) -> None:
    """Its workers may know no other address; control: the same replica, but not deaf."""
    deaf = Availability(has_answered=True, clock=lambda: laboratory.now)
    laboratory.reapers.append(laboratory.make_reaper(deaf))
    [job] = laboratory.claim(1)
    laboratory.listen(70, each_second=lambda: deaf.record("/jobs/{job_id}/attempts/{attempt}/events", 503))
    assert laboratory.states(job) == ["running"]
    laboratory.listen(62)
    assert laboratory.states(job) == ["queued"]


@pytest.mark.parametrize("is_reachable", [True, False])
def test_a_service_that_nobody_can_connect_to_takes_nobodys_job(
    laboratory: Laboratory, is_reachable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    [job] = laboratory.claim(1)
    questions: list[float] = []

    def ask(*_: object) -> bool:
        questions.append(laboratory.now)
        # The first one, when nobody was late yet, was answered.
        return is_reachable or len(questions) == 1

    monkeypatch.setattr(Reachability, "_ask", ask)
    laboratory.availability.learn_address(("127.0.0.1", 8000))
    laboratory.listen(90)
    assert laboratory.states(job) == ["queued" if is_reachable else "running"]
    # It asks itself only while somebody is late: after a third of a lease.
    assert [question for question in questions if question < 1000 + LEASE / 3] == [1000.0]


@pytest.fixture
def exhausted_port() -> Iterator[tuple[str, int]]:
    """A port whose program accepts nothing, with a full queue of connections."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as listener:
        address = listener.getsockname()
        waiting = []
        for _ in range(3):
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex(address)
            waiting.append(connection)
        yield address
        for connection in waiting:
            connection.close()


def test_the_question_is_asked_over_the_services_own_port(
    live_service: LiveService, exhausted_port: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, port = live_service.url.removeprefix("http://").split(":")
    reachability = Reachability()
    reachability.learn_address((host, int(port)))
    assert reachability.is_reachable(is_wanted=False)
    assert reachability._has_worked
    reachability._address = exhausted_port
    monkeypatch.setattr("api.server.operations.availability.TIMEOUT_SECONDS", 0.1)
    assert reachability.is_reachable(is_wanted=False)
    assert not reachability.is_reachable(is_wanted=True)


@pytest.mark.parametrize("server", [("testserver", 80), ("/run/ganvas.sock", None), None, ("127.0.0.1", 9)])
def test_a_service_that_cannot_be_asked_counts_as_reachable(server: object) -> None:
    reachability = Reachability()
    reachability.learn_address(server)
    assert reachability.is_reachable(is_wanted=True)


def test_a_lease_is_known_by_its_attempt_and_its_end() -> None:
    watch, at = LeaseWatch(60.0), datetime(2026, 1, 1, tzinfo=UTC)
    watch.observe([HeldLease("a", 1, at)], 0)
    watch.observe([HeldLease("a", 1, at)], 59)
    assert watch.longest_silence == 59
    watch.observe([HeldLease("a", 2, at)], 30)
    assert watch.longest_silence == 0
    watch.observe([HeldLease("a", 2, at - timedelta(days=1))], 30)
    assert watch.longest_silence == 0
    watch.observe([HeldLease("a", 2, at - timedelta(days=1))], 60)
    assert [lease.attempt for lease in watch.list_ended()] == [2]
    watch.forget()
    assert watch.list_ended() == []
