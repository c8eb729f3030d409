"""The list of jobs and keys of requests, on both kinds of database."""

import threading

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, text

from api.errors import IdempotencyConflict
from api.jobs import queries as job_queries
from api.jobs import sorting
from api.jobs.queries import JobFilters
from api.main import build_service
from api.server.database.engine import Database
from api.server.http.openapi import CLAIM_EXAMPLE, EVENTS_EXAMPLE, FINISH_EXAMPLE
from api.server.settings import Settings
from ganlib.spec.parse import parse_spec
from tests.support.services import HOST, QUIET, TINY_SPEC, add_job, make_spec


@pytest.mark.parametrize("sort", sorting.JOB_SORTS)
def test_every_sort_pages_through_all_jobs(database: Database, sort: sorting.JobSort) -> None:
    with database.write() as session:
        ids = {add_job(session, name=f"job-{index % 2}", iterations=index % 3 + 100).id for index in range(7)}
    with database.read() as session:
        page = job_queries.list_jobs(session, sort=sort, limit=3)
        found = [job.id for job in page.items]
        while page.next:
            page = job_queries.list_jobs(session, sort=sort, limit=3, cursor=page.next)
            found += [job.id for job in page.items]
    assert len(found) == 7
    assert set(found) == ids


@pytest.mark.parametrize("sort", sorting.JOB_SORTS)
def test_the_first_page_of_any_sort_is_read_from_an_index(sqlite: Database, sort: sorting.JobSort) -> None:
    seen: list[tuple[str, object]] = []
    event.listen(sqlite.engine, "before_cursor_execute", lambda *said: seen.append((said[2], said[3])))
    with sqlite.read() as session:
        job_queries.list_jobs(session, sort=sort)
    statement, values = next(item for item in seen if "ORDER BY" in item[0])
    with sqlite.engine.connect() as connection:
        plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]  # type: ignore[arg-type]
    assert plan == [f"SCAN jobs USING INDEX ix_jobs_{sort.removeprefix('-')}_id"]


def test_filters_match_whole_tags_and_parts_of_names(database: Database) -> None:
    with database.write() as session:
        add_job(session, name="W-4.7.5 final", tags=["mnist", "paper:w"])
        add_job(session, name="other", tags=["mnist-like"])
    with database.read() as session:
        found = [
            [job.name for job in job_queries.list_jobs(session, filters).items]
            for filters in (
                JobFilters(tag="mnist"),
                JobFilters(tag="paper:w", name="4.7"),
                JobFilters(name="FINAL"),
                JobFilters(states=["running"]),
                JobFilters(commit="abc"),
            )
        ]
    assert found == [["W-4.7.5 final"]] * 3 + [[], []]


def test_the_same_key_at_once_makes_one_job(database: Database) -> None:
    made: list[tuple[str, bool]] = []

    def submit() -> None:
        with database.write() as session:
            job, is_new = job_queries.insert_job(session, parse_spec(TINY_SPEC), idempotency_key="key")
        made.append((job.id, is_new))

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job_id for job_id, _ in made}) == 1
    assert sorted(is_new for _, is_new in made) == [False, False, False, True]
    with pytest.raises(IdempotencyConflict), database.write() as session:
        job_queries.insert_job(session, parse_spec(make_spec(seed=9)), idempotency_key="key")


def test_a_service_on_postgresql_runs_a_whole_job(postgresql: Database, postgresql_url: str, home: str) -> None:
    settings = Settings(home=home, database_url=postgresql_url, **QUIET)
    with TestClient(build_service(settings), base_url=HOST) as client:
        job_id = client.post("/jobs", json=TINY_SPEC, headers={"idempotency-key": "k"}).json()["id"]
        assert client.post("/workers/claim", json=CLAIM_EXAMPLE).json()["job_id"] == job_id
        assert client.post(f"/jobs/{job_id}/attempts/1/events", json=EVENTS_EXAMPLE).status_code == 200
        ended = client.post(f"/jobs/{job_id}/attempts/1/finish", json=FINISH_EXAMPLE).json()
        assert ended["state"] == "succeeded"
        assert client.get("/jobs?name=%00").status_code == 422
        worker = {"worker": "a\0b"}
        client.post("/jobs", json=TINY_SPEC)
        assert client.post("/workers/claim", json=worker).status_code == 422
    with postgresql.read() as session:
        assert session.scalar(text("SELECT count(*) FROM jobs")) == 2
