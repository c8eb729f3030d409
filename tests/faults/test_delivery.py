"""A service, and a database, that die while a worker posts: nothing is lost, nothing is doubled."""

import sqlite3
from contextlib import nullcontext

import pytest

from tests.faults.conftest import SEED, long_or_short
from tests.support.faults.machines import Service, wait_until
from tests.support.faults.postgres import run_postgres
from tests.support.faults.posting import check_nothing_lost_or_doubled, disturb, posting

pytestmark = pytest.mark.usefixtures("short_waits")


def test_a_service_that_is_killed_in_mid_post_loses_and_doubles_nothing(
    start_service, connect, tmp_path, say
) -> None:
    times = long_or_short(200, 8)
    service: Service = start_service(lease_seconds=30)
    with posting(service.url, tmp_path / "attempts") as posted:
        disturb(posted, times, lambda: (service.kill(), service.start()))
    check_nothing_lost_or_doubled(connect(service.url), posted)
    with sqlite3.connect(service.home / "ganvas.sqlite3") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()
    assert posted.broken >= times // 4
    say(
        "service killed (SIGKILL) while a worker posts, SQLite",
        times,
        "every point, line and grid once, in order, with its bytes. Control: event numbers not compared",
        f"{posted.written:,} points, {posted.written:,} lines, {len(posted.grids)} grids; "
        f"{posted.broken} posts broke (seed {SEED})",
    )


@pytest.mark.parametrize("tampering", [(), ("off:idempotency",)], ids=["numbers", "control"])
def test_a_post_whose_answer_was_lost_comes_again_and_is_not_doubled(
    start_service, connect, tmp_path, tampering
) -> None:
    service: Service = start_service(*tampering)
    if tampering:
        with sqlite3.connect(service.home / "ganvas.sqlite3") as database:
            database.execute("DROP INDEX uq_event_batches_job_id_attempt_first_seq")
        database.close()
    with posting(service.url, tmp_path / "attempts", loses_answers=True) as posted:
        wait_until(lambda: posted.written > 20)
    with pytest.raises(AssertionError) if tampering else nullcontext():
        check_nothing_lost_or_doubled(connect(service.url), posted)


def test_a_database_that_crashes_in_mid_post_loses_and_doubles_nothing(
    start_service, connect, tmp_path, say
) -> None:
    times = long_or_short(20, 3)
    with run_postgres() as postgres:
        service: Service = start_service(database_url=postgres.url, lease_seconds=30)
        with posting(service.url, tmp_path / "attempts") as posted:
            disturb(posted, times, postgres.crash)
        check_nothing_lost_or_doubled(connect(service.url), posted)
        service.kill()
    say(
        "PostgreSQL crashed (every process SIGKILL) while a worker posts",
        times,
        "the service goes on; every point, line and grid once, in order, with its bytes",
        f"{posted.written:,} points, {posted.written:,} lines, {len(posted.grids)} grids (seed {SEED})",
    )


def test_a_service_on_postgresql_that_is_killed_in_mid_post_loses_and_doubles_nothing(
    start_service, connect, tmp_path, say
) -> None:
    times = long_or_short(50, 3)
    with run_postgres() as postgres:
        service: Service = start_service(database_url=postgres.url, lease_seconds=30)
        with posting(service.url, tmp_path / "attempts") as posted:
            disturb(posted, times, lambda: (service.kill(), service.start()))
        check_nothing_lost_or_doubled(connect(service.url), posted)
        service.kill()
    say(
        "service killed (SIGKILL) while a worker posts, PostgreSQL",
        times,
        "every point, line and grid once, in order, with its bytes",
        f"{posted.written:,} points, {posted.written:,} lines, {len(posted.grids)} grids; "
        f"{posted.broken} posts broke (seed {SEED})",
    )
