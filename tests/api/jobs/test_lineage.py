"""Which job another one was made from: stored, told, searched for, and kept through a step of the tables."""

from alembic import command
from fastapi.testclient import TestClient
from sqlalchemy import text

from api.jobs import queries as job_queries
from api.jobs.edits import retry_job
from api.jobs.queries import JobFilters
from api.jobs.search import parse_search
from api.server.database.engine import Database, migrate
from api.server.database.migrations import build_config
from tests.support.services import TINY_SPEC, add_claimed_job, add_job, finish


def test_a_job_names_the_one_that_it_was_made_from(client: TestClient) -> None:
    first = client.post("/jobs", json=TINY_SPEC).json()
    answer = client.post(f"/jobs?made_from={first['id']}", json=TINY_SPEC | {"seed": 9})
    assert (answer.status_code, answer.json()["made_from"], answer.json()["retry_of"]) == (201, first["id"], None)
    assert (first["made_from"], client.get(f"/jobs/{answer.json()['id']}").json()["made_from"]) == (
        None,
        first["id"],
    )
    found = client.get("/jobs", params={"q": f"from:{first['id']}"}).json()["items"]
    assert [job["id"] for job in found] == [answer.json()["id"]]


def test_a_job_that_there_is_not_makes_no_other(client: TestClient) -> None:
    for name in ("nothing", "../jobs", "%25"):
        answer = client.post("/jobs", params={"made_from": name}, json=TINY_SPEC)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "job_not_found"), name
    assert client.post("/jobs?made_from=", json=TINY_SPEC).status_code == 422
    assert client.get("/jobs").json()["items"] == []


def test_a_retry_was_made_from_what_it_repeats(database: Database) -> None:
    with database.write() as session:
        source = add_claimed_job(session)
        finish(session, source, "failed", 0, "any")
        again, _ = retry_job(session, source.id, 5, None)
        assert (again.made_from, again.retry_of) == (source.id, source.id)
        add_job(session)
        found = job_queries.list_jobs(session, JobFilters(terms=parse_search(f"from:{source.id[:6]}"))).items
        named = job_queries.list_jobs(session, JobFilters(terms=parse_search(f'from:"{source.name}"'))).items
        others = job_queries.list_jobs(session, JobFilters(terms=parse_search(f"-from:{source.id}"))).items
        assert ([job.id for job in found], len(others)) == ([again.id], 2)
        assert [job.id for job in named] == [again.id]


def test_retries_from_before_are_known_after_the_step(database: Database) -> None:
    with database.write() as session:
        source = add_claimed_job(session)
        finish(session, source, "failed", 0, "any")
        again = retry_job(session, source.id, 5, None)[0].id
        other = add_job(session).id
    with database.engine.begin() as connection:
        command.downgrade(build_config(connection), "0008")
        assert connection.execute(text("SELECT count(*) FROM jobs")).scalar() == 3
    migrate(database.engine)
    with database.read() as session:
        made = {job_id: job_queries.get_job(session, job_id).made_from for job_id in (source.id, again, other)}
    assert made == {source.id: None, again: source.id, other: None}
