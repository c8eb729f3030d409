"""Event ids of several jobs at once: nobody waits for another's commit, and no reader misses one."""

import threading
from contextlib import ExitStack

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.events import log, watermark
from api.jobs import queries as job_queries
from api.server.database.engine import Database
from api.server.database.models import Job
from tests.support.services import add_claimed_job, add_job, claim, make_metrics, post

POINT = [make_metrics(1, loss_generator=1.0)]


def read_news(database: Database, after: int) -> list[int]:
    """Read as a stream does, from the last event id that it has seen."""
    settled = watermark.find_watermark(database)
    with database.read() as session:
        return [event_id for event_id, _ in log.list_batch_ids(session, after, settled, 1000)]


def add_two_jobs(database: Database) -> tuple[Job, Job]:
    with database.write() as session:
        return add_claimed_job(session), add_claimed_job(session, name="second")


def post_at_once(session: Session, job: Job) -> None:
    """Post, or fail where another transaction would have to end first."""
    session.execute(text("SET LOCAL lock_timeout = '500ms'"))
    post(session, job, POINT)


def test_a_later_id_is_committed_first_and_seen_when_the_earlier_one_is(postgresql: Database) -> None:
    slow, quick = add_two_jobs(postgresql)
    known = max(read_news(postgresql, 0))
    with ExitStack() as under_way:
        post_at_once(under_way.enter_context(postgresql.write()), slow)
        with postgresql.write() as session:
            post_at_once(session, quick)
        assert read_news(postgresql, known) == []
    assert read_news(postgresql, known) == [known + 1, known + 2]


def test_control_without_the_announcement_the_earlier_one_is_missed(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = add_two_jobs(postgresql)
    known = max(read_news(postgresql, 0))
    monkeypatch.setattr(log, "_build_insert_for", lambda dialect: log.build_insert(dialect, announces=False))
    with ExitStack() as under_way:
        post_at_once(under_way.enter_context(postgresql.write()), slow)
        with postgresql.write() as session:
            post_at_once(session, quick)
        assert read_news(postgresql, known) == [known + 2]
    assert read_news(postgresql, known + 2) == []


def test_an_id_that_was_given_and_not_used_holds_nobody_up(postgresql: Database) -> None:
    slow, quick = add_two_jobs(postgresql)
    known = max(read_news(postgresql, 0))
    with postgresql.write() as session:
        post(session, slow, POINT)
        session.rollback()
    with postgresql.write() as session:
        post(session, quick, POINT)
    assert read_news(postgresql, known) == [known + 2]


def test_before_the_first_event_nothing_is_settled(database: Database) -> None:
    assert watermark.find_watermark(database) == 0


def test_many_writers_and_a_reader_that_asks_for_news_miss_nothing(database: Database) -> None:
    with database.write() as session:
        jobs = [add_job(session, name=f"job-{index}") for index in range(4)]
    for _ in jobs:
        with database.write() as session:
            assert claim(session) is not None
    done = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while True:
            last_round = done.is_set()
            seen.extend(read_news(database, max(seen, default=0)))
            if last_round:
                return

    def write(job_id: str) -> None:
        for index in range(15):
            with database.write() as session:
                job = job_queries.get_job(session, job_id)
                post(session, job, [make_metrics(index, loss_generator=1.0)], first=index)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(job.id,)) for job in jobs]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert seen == read_news(database, 0)
    assert len(seen) == 4 * (1 + 1 + 15)
