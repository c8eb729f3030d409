"""The list of jobs in the order of a field of their specs, on both kinds of database."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.jobs import queries as job_queries
from api.server.database.engine import Database
from tests.support.services import add_job, make_spec

MATCHING = {"technique": "feature_matching", "weight": 0.5}
SPECS: list[dict[str, Any]] = [
    {"name": "a", "batch_size": 64, "seed": 9, "losses": {"generator": "hinge", "discriminator": "hinge"}},
    {"name": "b", "batch_size": 128, "seed": 9},
    {"name": "c", "batch_size": 9, "seed": 2**53 + 1, "description": "Zebra", "tags": ["x", "a"]},
    {"name": "d", "batch_size": 64, "seed": 2**53, "description": "", "techniques": [MATCHING]},
    {"name": "e", "batch_size": 64, "seed": 10, "description": "ähre", "tags": ["b"]},
]


@pytest.fixture
def jobs(database: Database) -> Database:
    with database.write() as session:
        for spec in SPECS:
            add_job(session, **spec)
    return database


def list_names(database: Database, sort: str, limit: int = 50) -> list[str]:
    """All names in this order, so many a page."""
    names, cursor = [], None
    with database.read() as session:
        for _ in range(1 + len(SPECS)):
            page = job_queries.list_jobs(session, sort=sort, limit=limit, cursor=cursor)
            names += [job.name for job in page.items]
            cursor = page.next
            if cursor is None:
                break
    return names


@pytest.mark.parametrize(
    ("field", "rising", "falling"),
    [
        ("batch_size", [{"c"}, {"a", "d", "e"}, {"b"}], [{"b"}, {"a", "d", "e"}, {"c"}]),
        ("losses.generator", [{"a"}, {"b", "c", "d", "e"}], [{"b", "c", "d", "e"}, {"a"}]),
        # As texts by their code points, and an empty one is a text.
        ("description", [{"a", "b", "d"}, {"c"}, {"e"}], [{"e"}, {"c"}, {"a", "b", "d"}]),
        # Of a list the first element; who has none comes last either way.
        ("tags", [{"e"}, {"c"}, {"a", "b", "d"}], [{"c"}, {"e"}, {"a", "b", "d"}]),
        ("techniques", [{"d"}, {"a", "b", "c", "e"}], [{"d"}, {"a", "b", "c", "e"}]),
    ],
)
def test_jobs_are_ordered_by_a_field_and_every_page_goes_on_there(
    jobs: Database, field: str, rising: list[set[str]], falling: list[set[str]]
) -> None:
    for sort, groups in ((field, rising), (f"-{field}", falling)):
        names = list_names(jobs, sort)
        assert [name for group in groups for name in sorted(group)] != [], sort
        for group in groups:
            assert set(names[: len(group)]) == group, sort
            names = names[len(group) :]
        for limit in (1, 2, 3):
            assert list_names(jobs, sort, limit) == list_names(jobs, sort), (sort, limit)


def test_numbers_too_large_for_a_float_lose_no_job_between_pages(jobs: Database) -> None:
    for sort in ("seed", "-seed"):
        assert sorted(list_names(jobs, sort, 1)) == ["a", "b", "c", "d", "e"]


BAD = [
    "losses.genrator",
    "losses",
    "nothing.here",
    "name.x",
    "batch_size'",
    "batch_size) OR 1=1 --",
    "$.batch_size",
    "batch_size;",
    "batch_size,id",
    "(SELECT 1)",
    "techniques.-1",
    "",
    "-",
    "--seed",
    "☃",
]


@pytest.mark.parametrize("sort", BAD)
def test_what_is_no_field_is_no_order(client: TestClient, sort: str) -> None:
    client.post("/jobs", json=make_spec())
    answer = client.get("/jobs", params={"sort": sort})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "request_invalid")
    assert answer.json()["error"]["details"]["problems"][0]["field"] in ("sort", "query.sort")


def test_a_place_that_no_list_reaches_is_an_order_of_nothing(client: TestClient) -> None:
    client.post("/jobs", json=make_spec())
    answer = client.get("/jobs", params={"sort": "techniques.99999999999999999999"})
    assert [job["name"] for job in answer.json()["items"]] == ["tiny"]


def test_a_wrong_field_is_refused_with_advice(client: TestClient) -> None:
    problem = client.get("/jobs", params={"sort": "losses.genrator"}).json()["error"]["details"]["problems"][0]
    assert "did you mean losses.generator?" in problem["message"]


def test_a_cursor_of_another_field_is_refused(client: TestClient) -> None:
    for seed in range(2):
        client.post("/jobs", json=make_spec(seed=seed))
    cursor = client.get("/jobs?sort=seed&limit=1").json()["next"]
    assert client.get(f"/jobs?sort=seed&limit=1&cursor={cursor}").status_code == 200
    assert client.get(f"/jobs?sort=batch_size&limit=1&cursor={cursor}").status_code == 422
