"""Who holds a job: claims, fences, leases, budgets. Each guard has a control that switches it off."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, true, update
from sqlalchemy.orm import Session

from api.attempts import claims, lease_expiry, leases
from api.errors import AttemptFenced, JobNotFound, JobStateConflict, SequenceConflict
from api.jobs import queries as job_queries
from api.samples import queries as sample_queries
from api.server.database.clock import database_now
from api.server.database.engine import Database
from api.server.database.models import Attempt, Job
from tests.support.services import (
    LEASE,
    add_claimed_job,
    add_job,
    claim,
    finish,
    kinds,
    make_checkpoint,
    make_metrics,
    post,
    reap,
)  # fmt: skip


def lose_attempt(database: Database, job: Job) -> Job:
    with database.write() as session:
        reaped = reap(session, job.id)
    assert reaped is not None
    return reaped


def end_backoff(database: Database, job: Job) -> None:
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job.id).values(not_before=database_now(-1)))


def claims_twice(database: Database) -> bool:
    with database.write() as session:
        add_job(session)
    with database.write() as session:
        assert claim(session) is not None
    with database.write() as session:
        return claim(session) is not None


def test_second_claim_of_one_job_is_refused(database: Database) -> None:
    assert not claims_twice(database)


def test_control_without_its_conditions_a_job_is_claimed_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "claimable_by", lambda _: [true()])
    assert claims_twice(database)


def test_of_many_claims_at_once_each_job_goes_to_one(database: Database) -> None:
    with database.write() as session:
        ids = {add_job(session, name=f"job-{index}").id for index in range(6)}
    taken: list[str] = []

    def claim_all() -> None:
        while True:
            with database.write() as session:
                claimed = claim(session)
            if claimed is None:
                return
            taken.append(claimed.job.id)

    threads = [threading.Thread(target=claim_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(ids)


def test_the_highest_priority_goes_first_and_then_the_oldest(database: Database) -> None:
    with database.write() as session:
        first, second, urgent = (add_job(session, name=name) for name in ("first", "second", "urgent"))
        session.execute(update(Job).where(Job.id == first.id).values(created_at=database_now(-20)))
        session.execute(update(Job).where(Job.id == second.id).values(created_at=database_now(-10)))
        session.execute(update(Job).where(Job.id == urgent.id).values(priority=1))
    with database.write() as session:
        names = [claimed.job.name for claimed in (claim(session) for _ in range(3)) if claimed]
    assert names == ["urgent", "first", "second"]


@pytest.mark.parametrize(
    ("device", "offered", "is_given"),
    [
        ("cuda", ["cpu"], False),
        ("cuda", ["cpu", "cuda"], True),
        ("cpu", ["cuda"], False),
        ("auto", ["cpu"], True),
        ("auto", ["cuda"], True),
    ],
)
def test_a_job_goes_only_to_a_worker_that_offers_its_device(
    sqlite: Database, device: str, offered: list[str], is_given: bool
) -> None:
    with sqlite.write() as session:
        add_job(session, device=device)
    with sqlite.write() as session:
        assert (claim(session, *offered) is not None) is is_given


def test_a_job_in_backoff_is_not_claimed_before_its_time(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
    assert lose_attempt(database, job).state == "queued"
    with database.write() as session:
        assert claim(session) is None
    end_backoff(database, job)
    with database.write() as session:
        claimed = claim(session)
    assert claimed is not None
    assert claimed.job.attempt == 2


def stale_write_is_taken(database: Database, write: Callable[[Database, Job], None]) -> bool:
    with database.write() as session:
        job = add_claimed_job(session)
    lose_attempt(database, job)
    end_backoff(database, job)
    with database.write() as session:
        assert claim(session) is not None
    try:
        write(database, job)
    except AttemptFenced:
        return False
    return True


def write_events(database: Database, job: Job) -> None:
    with database.write() as session:
        post(session, job, [make_metrics(1, loss_generator=1.0)], attempt=1)


def write_heartbeat(database: Database, job: Job) -> None:
    with database.write() as session:
        leases.renew_lease(session, job.id, 1, 60)


def write_finish(database: Database, job: Job) -> None:
    with database.write() as session:
        finish(session, job, "succeeded")


@pytest.mark.parametrize("write", [write_events, write_heartbeat, write_finish])
def test_a_stale_attempt_writes_nothing(database: Database, write: Callable[[Database, Job], None]) -> None:
    assert not stale_write_is_taken(database, write)


@pytest.mark.parametrize("write", [write_events, write_heartbeat, write_finish])
def test_control_without_the_fence_a_stale_attempt_writes(
    sqlite: Database, write: Callable[[Database, Job], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE_UPDATE", leases.build_lease_update(leases.FENCE[:1]))
    assert stale_write_is_taken(sqlite, write)


def test_a_write_for_no_job_says_so(sqlite: Database) -> None:
    with pytest.raises(JobNotFound), sqlite.write() as session:
        leases.renew_lease(session, "nosuchjob", 1, 60)


def end_and_write_again(database: Database) -> str:
    with database.write() as session:
        job = add_claimed_job(session)
        finish(session, job, "failed", code="training_diverged")
    try:
        with database.write() as session:
            finish(session, job, "succeeded")
    except AttemptFenced:
        pass
    with database.read() as session:
        return job_queries.get_job(session, job.id).state


def test_a_terminal_state_is_final(database: Database) -> None:
    assert end_and_write_again(database) == "failed"


def test_control_without_the_state_in_the_fence_an_ended_job_changes(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE_UPDATE", leases.build_lease_update(leases.FENCE[:2]))
    assert end_and_write_again(sqlite) == "succeeded"


def test_an_ended_job_is_neither_claimed_nor_reaped_nor_cancelled(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        [lease] = lease_expiry.list_leases(session)
        finish(session, job, "succeeded")
    with database.write() as session:
        assert claim(session) is None
        assert lease_expiry.list_leases(session) == []
        assert lease_expiry.reap_job(session, lease) is None
        with pytest.raises(JobStateConflict):
            job_queries.cancel_job(session, job.id)


def test_the_same_finish_may_be_sent_again(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        finish(session, job, "succeeded")
    with database.write() as session:
        assert finish(session, job, "succeeded").state == "succeeded"


def test_a_finish_with_missing_events_is_refused_and_names_the_next_number(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_metrics(1, loss_generator=1.0)])
    with pytest.raises(SequenceConflict) as refused, database.write() as session:
        finish(session, job, "succeeded", count=3)
    assert refused.value.details == {"next_seq": 1}


def test_a_preempted_job_is_queued_at_once_and_keeps_its_budget(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        ended = finish(session, job, "preempted")
    assert (ended.state, ended.attempts_used, ended.not_before) == ("queued", 0, None)
    with database.write() as session:
        claimed = claim(session)
    assert claimed is not None
    assert claimed.job.attempt == 2


def test_a_killed_trainer_is_tried_again_until_the_budget_is_used_up(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session, attempts_allowed=2)
        again = finish(session, job, "failed", code="trainer_killed")
    assert (again.state, again.attempts_used) == ("queued", 1)
    end_backoff(database, job)
    with database.write() as session:
        claimed = claim(session)
        assert claimed is not None
        ended = finish(session, claimed.job, "failed", code="trainer_killed")
    assert (ended.state, ended.reason["code"]) == ("failed", "attempts_used_up")


def test_a_trainer_that_raised_fails_the_job_at_once(database: Database) -> None:
    with database.write() as session:
        ended = finish(session, add_claimed_job(session), "failed", code="training_diverged")
    assert (ended.state, ended.reason["code"], ended.not_before) == ("failed", "training_diverged", None)


def test_a_queued_job_is_cancelled_at_once(database: Database) -> None:
    with database.write() as session:
        job = add_job(session)
        assert job_queries.cancel_job(session, job.id).state == "cancelled"
    with database.write() as session:
        assert job_queries.cancel_job(session, job.id).state == "cancelled"
        assert claim(session) is None
        assert kinds(session, job) == ["state_changed", "state_changed", "line_logged"]
        assert [line.text for line in sample_queries.list_log_lines(session, job.id).items] == [
            "Cancelled while waiting for a worker."
        ]


def test_a_running_job_is_asked_to_stop_and_ends_when_its_worker_says_so(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        assert leases.renew_lease(session, job.id, 1, 60).cancel_requested_at is None
    with database.write() as session:
        assert job_queries.cancel_job(session, job.id).state == "running"
    with database.write() as session:
        assert leases.renew_lease(session, job.id, 1, 60).cancel_requested_at is not None
        assert finish(session, job, "cancelled").state == "cancelled"


def test_nobody_cancels_but_a_person(database: Database) -> None:
    with pytest.raises(JobStateConflict), database.write() as session:
        finish(session, add_claimed_job(session), "cancelled")


def test_a_cancelled_job_whose_worker_fell_silent_ends_with_its_lease(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        job_queries.cancel_job(session, job.id)
    assert lose_attempt(database, job).state == "cancelled"


def test_a_lost_attempt_is_marked_and_the_job_queued_with_a_backoff(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
    reaped = lose_attempt(database, job)
    with database.read() as session:
        attempt = session.get_one(Attempt, (job.id, 1))
    assert (attempt.end, attempt.ended_at is not None) == ("lost", True)
    assert (reaped.state, reaped.attempts_used, reaped.not_before is not None) == ("queued", 1, True)


def reaps_after(database: Database, sign_of_life: Callable[[Session, Job], object]) -> bool:
    """Read a lease, let its worker give a sign of life, and reap what seemed silent."""
    with database.write() as session:
        job = add_claimed_job(session)
        [lease] = lease_expiry.list_leases(session)
    with database.write() as session:
        sign_of_life(session, session.get_one(Job, job.id))
    with database.write() as session:
        return lease_expiry.reap_job(session, lease) is not None


def send_heartbeat(session: Session, job: Job) -> None:
    leases.renew_lease(session, job.id, job.attempt, 2 * LEASE)


SIGNS_OF_LIFE: dict[str, Callable[[Session, Job], object]] = {
    "heartbeat": send_heartbeat,
    "finish": lambda session, job: finish(session, job, "preempted"),
    "next attempt": lambda session, job: (finish(session, job, "preempted"), claim(session)),
}


@pytest.mark.parametrize("sign", SIGNS_OF_LIFE)
def test_a_sign_of_life_after_the_reapers_look_saves_the_attempt(database: Database, sign: str) -> None:
    assert not reaps_after(database, SIGNS_OF_LIFE[sign])


def test_control_without_its_conditions_the_reaper_takes_a_live_job(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_expiry, "still_holds", lambda lease: [Job.id == lease.job_id])
    assert reaps_after(sqlite, send_heartbeat)


@pytest.mark.parametrize("end", ["lost", "trainer_killed"])
def test_an_attempt_that_reached_a_new_checkpoint_costs_nothing_of_the_budget(
    database: Database, end: str
) -> None:
    used = []
    for iterations in ([10], [20, 30], [], [40]):
        with database.write() as session:
            job = session.scalars(select(Job)).one_or_none() or add_job(session, attempts_allowed=2)
            session.execute(update(Job).values(not_before=None))
            claimed = claim(session)
            assert claimed is not None
            job = claimed.job
            for place, iteration in enumerate(iterations):
                post(session, job, [make_checkpoint(session, iteration, f"{iteration}".encode())], first=place)
            if end == "lost":
                assert reap(session, job.id) is not None
            else:
                finish(session, job, "failed", code=end, count=len(iterations))
            session.refresh(job)
            used.append((job.state, job.attempts_used))
    # The third, which got nowhere, is the only one that counts.
    assert used == [("queued", 0), ("queued", 0), ("queued", 1), ("queued", 1)]


@pytest.mark.parametrize("jump", [-86_400, 86_400], ids=["a day back", "a day forward"])
def test_a_clock_that_jumps_holds_no_job_back_for_longer_than_its_delay(database: Database, jump: int) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        finish(session, job, "failed", code="trainer_killed")
        # As if the clock had jumped that far after the delay was written.
        session.execute(update(Job).values(not_before=database_now(2.0 - jump)))
        assert claim(session) is not None


def lease_seconds_left(database: Database) -> float:
    """By the database's clock, whatever this process believes."""
    with database.write() as session:
        add_claimed_job(session)
    with database.read() as session:
        ends_at, now = session.execute(select(Job.lease_ends_at, database_now())).one()
    assert ends_at is not None
    return float((ends_at - now).total_seconds())


def test_a_lease_is_counted_by_the_databases_clock(database: Database) -> None:
    assert 30 < lease_seconds_left(database) <= 60


def test_control_by_the_clock_of_a_machine_that_is_wrong_the_lease_is_wrong_too(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        claims, "database_now", lambda seconds=0: datetime.now(UTC) + timedelta(hours=1, seconds=seconds)
    )
    assert lease_seconds_left(sqlite) > 3000
