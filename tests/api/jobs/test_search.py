"""Searching for jobs, on both kinds of database: words, spec fields, metrics, and what a search may get wrong."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from api.attempts import claims
from api.attempts.schemas import ClaimRequest
from api.errors import RequestInvalid
from api.jobs import queries as job_queries
from api.jobs.queries import JobFilters
from api.jobs.search import parse_search
from api.server.database.engine import Database
from api.server.database.models import Job
from tests.support.services import LEASE, add_job, claim, finish, make_metrics, make_spec, post

HINGE = {"losses": {"generator": "hinge", "discriminator": "hinge"}}
RECIPE = {"paper": "Winkler (2018), thesis", "section": "4.7.5", "expected": "digits", "cost": "a minute"}


@pytest.fixture
def jobs(database: Database) -> Database:
    """`first` with feature matching, of a paper; `second` with hinge losses, tagged; `third run` failed."""
    with database.write() as session:
        first = add_job(
            session,
            name="first",
            recipe=RECIPE,
            seed=7,
            techniques=[{"technique": "ema_generator"}, {"technique": "feature_matching", "weight": 0.5}],
        )
        claim(session)
        session.refresh(first)
        post(session, first, [make_metrics(10, eval_score=5.5, loss_generator=float("nan"))])
        second = add_job(session, name="second", tags=["sweep", "paper:w"], **HINGE)
        claim(session)
        session.refresh(second)
        post(session, second, [make_metrics(20, eval_score=2.0, loss_generator=0.5)])
        third = add_job(session, name="third run", queue={"worker_labels": ["big", "fast"]})
        offer = ClaimRequest(worker="w", labels=["big", "fast"])
        assert claims.claim_job(session, offer, LEASE, lambda _: True)
        session.refresh(third)
        finish(session, third, "failed", code="trainer_failed")
    return database


def find(database: Database, search: str, **options: Any) -> list[str]:
    with database.read() as session:
        filters = JobFilters(terms=parse_search(search))
        return [job.name for job in job_queries.list_jobs(session, filters, "created_at", **options).items]


ALL = ["first", "second", "third run"]


FOUND: list[tuple[str, list[str]]] = [
    ("", ALL),
    ("FIR", ["first"]),
    ("sweep", ["second"]),
    ('"third run"', ["third run"]),
    ("third first", []),
    ("name:sec", ["second"]),
    ("tag:sweep", ["second"]),
    ("tag:swee", []),
    ("tags:paper:w", ["second"]),
    ("paper:w", ["second"]),
    ("-tag:sweep", ["first", "third run"]),
    ("state:failed", ["third run"]),
    ("state:failed state:running", ALL),
    ("-state:running", ["third run"]),
    ("commit:ab12", []),
    ("-commit:ab12", ALL),
    ("recipe:winkler", ["first"]),
    ("losses.generator=hinge", ["second"]),
    ("losses.generator = hinge", ["second"]),
    ("-losses.generator=hinge", ["first", "third run"]),
    ("losses.generator!=hinge", ["first", "third run"]),
    ("losses.generator~SATUR", ["first", "third run"]),
    ("techniques.technique=feature_matching", ["first"]),
    ("techniques=feature_matching", ["first"]),
    ("techniques.1.technique=feature_matching", ["first"]),
    ("techniques.0.technique=feature_matching", []),
    ("techniques.technique!=feature_matching", ["second", "third run"]),
    ("techniques.weight>=0.5", ["first"]),
    ("techniques.weight>0.5", []),
    ("queue.worker_labels=fast", ["third run"]),
    ("queue.worker_labels~fas", ["third run"]),
    ("queue.worker_labels.1=fast", ["third run"]),
    ("dataset=digits", ALL),
    ("generator.layers=reshape", ALL),
    ("optimisers.generator.betas=0.999 seed=7", ["first"]),
    ("seed<7", ["second", "third run"]),
    ("seed~7", ["first"]),
    ("speed.compile=false", ALL),
    ("speed.compile=true", []),
    ("evaluation.every=null", []),
    ("histogram_every=null", ALL),
    ("tags=sweep", ["second"]),
    ("tags!=sweep", ["first", "third run"]),
    ("tags~paper", ["second"]),
    ("name=first", ["first"]),
    ("iteration>15", ["second"]),
    ("attempt=1", ALL),
    ("eval/score>2", ["first"]),
    ("eval/score>=2", ["first", "second"]),
    ("eval/score=2", ["second"]),
    ("eval/score!=2", ["first"]),
    ("eval/score<1", []),
    ("-eval/score>2", ["second", "third run"]),
    ("loss/generator=nan", ["first"]),
    ("loss/generator!=nan", ["second"]),
    ("loss/generator<1", ["second"]),
    ("loss/generator!=0.5", ["first"]),
    ("eval/score>1 losses.generator=hinge tag:sweep", ["second"]),
]


def test_a_search_finds_what_it_says(jobs: Database) -> None:
    assert [(search, find(jobs, search)) for search, _ in FOUND] == FOUND


TEXTS = ["'", "\\", "%", "_", "') OR 1=1 --", "$.x", "}", "\\u0000", "☃"]
SHAPES = ['"{}"', 'tag:"{}"', 'losses.generator="{}"', 'losses.generator~"{}"', 'techniques="{}"', 'recipe:"{}"']


def test_no_text_is_more_than_a_value(jobs: Database) -> None:
    searches = [shape.format(text) for shape in SHAPES for text in TEXTS]
    # The one text that a value holds: non_saturating.
    found = {search: names for search in searches if (names := find(jobs, search))}
    assert found == {'losses.generator~"_"': ["first", "third run"]}


@pytest.mark.parametrize(
    ("search", "advice"),
    [
        ("losses.genrator=hinge", "did you mean losses.generator?"),
        ("losses=hinge", "name one of its fields: classes, discriminator, generator"),
        ("nothing.here=1", "A spec has no field nothing"),
        ("losses.generator=", "a value is missing"),
        ("losses.generator<hinge", "compares numbers"),
        ('" score">1', "is not a metric"),
        ("eval/score~1", "~ searches in texts"),
        ("eval/score=high", "eval/score is a number"),
        ("state:done", "the states are queued, running, succeeded, failed, cancelled"),
        ("sate:failed", "did you mean state:?"),
        ("tag:", "a value is missing"),
        ("commit:xyz", "is not the beginning of a commit"),
        ('"open', "a quotation mark is not closed"),
        (" ".join(["a"] * 21), "at most 20 conditions"),
    ],
)
def test_a_search_that_means_nothing_is_refused_with_advice(search: str, advice: str) -> None:
    with pytest.raises(RequestInvalid, match=advice.replace("?", r"\?")) as refused:
        parse_search(search)
    assert refused.value.details["problems"][0]["field"] == "q"


def test_the_route_takes_conditions_and_names_what_is_wrong_with_one(client: TestClient) -> None:
    client.post("/jobs", json=make_spec(name="one", **HINGE))
    client.post("/jobs", json=make_spec(name="two", recipe=RECIPE))

    def names(**query: Any) -> list[str]:
        return [job["name"] for job in client.get("/jobs", params=query).json()["items"]]

    assert names(where=["losses.generator=hinge", "iterations>=100"]) == ["one"]
    assert names(where=["losses.generator=hinge", "iterations>=1000000"]) == []
    assert names(recipe="thesis") == ["two"]
    stop = {"mode_collapse": "stop", "divergence": {"action": "stop"}}
    client.post("/jobs", json=make_spec(name="three", on=stop))
    assert names(where=["on.mode_collapse=stop", "on.divergence.at_most=1"]) == ["three"]
    assert names(where="on.no_progress=stop") == []
    assert names(sort="on.mode_collapse")[0] == "three"
    assert names(q="two -tag:x") == ["two"]
    answer = client.get("/jobs", params={"where": "losses.genrator=hinge"})
    assert answer.status_code == 422
    problem = answer.json()["error"]["details"]["problems"][0]
    assert problem["field"] == "where"
    assert problem["given"] == "losses.genrator=hinge"
    assert "did you mean losses.generator?" in problem["message"]
    assert client.get("/jobs", params={"where": "just words"}).status_code == 422


@pytest.mark.parametrize("sort", ["eval/score", "-eval/score", "duration", "-duration"])
def test_sorting_by_a_number_pages_through_all_jobs_those_without_it_last(database: Database, sort: str) -> None:
    with database.write() as session:
        for index in range(7):
            job = add_job(session, name=f"job-{index}")
            if index % 3:
                claim(session)
                session.refresh(job)
                post(session, job, [make_metrics(1, eval_score=float(index % 2))])
            else:
                # Not claimed, so it has neither the metric nor a duration.
                session.execute(update(Job).where(Job.id == job.id).values(device="cuda"))
    with database.read() as session:
        page = job_queries.list_jobs(session, sort=sort, limit=2)
        found = [job.name for job in page.items]
        while page.next:
            page = job_queries.list_jobs(session, sort=sort, limit=2, cursor=page.next)
            found += [job.name for job in page.items]
    assert len(found) == len(set(found)) == 7
    assert set(found[4:]) == {"job-0", "job-3", "job-6"}
    if sort.endswith("score"):
        values = [int(name[-1]) % 2 for name in found[:4]]
        assert values == sorted(values, reverse=sort.startswith("-"))


def test_a_misspelt_metric_that_no_job_has_is_answered_with_the_usual_one(client: TestClient) -> None:
    for query in ({"sort": "-loss/genrator"}, {"where": "loss/genrator<1"}, {"q": "loss/genrator<1"}):
        error = client.get("/jobs", params=query).json()["error"]
        assert "o job has a metric loss/genrator; did you mean loss/generator?" in error["message"]
    # One's own metrics are no misspelt ones.
    for name in ("loss/generator", "eval/own"):
        assert client.get("/jobs", params={"sort": name, "where": f"{name}<1"}).status_code == 200


def test_a_search_without_a_match_says_what_no_job_has(jobs: Database) -> None:
    with jobs.write() as session:
        own = add_job(session, name="own")
        session.execute(
            update(Job)
            .where(Job.id == own.id)
            .values(origin="own", spec={"name": "own", "config": {"opt": {"lr": 1}}})
        )

    def note(search: str) -> str | None:
        with jobs.read() as session:
            return job_queries.list_jobs(session, JobFilters(terms=parse_search(search))).note

    assert note("loss/gen<3") == "No job has a metric loss/gen; did you mean loss/generator?"
    assert note("foo/bar<3") == "No job has a metric foo/bar; there are eval/score, loss/generator."
    assert note('"val loss"<3') == 'No job has a metric "val loss"; there are eval/score, loss/generator.'
    assert note("config.opt.lrr=1") == "No job has a setting config.opt.lrr; did you mean config.opt.lr?"
    assert note("eval/frechet_distance<3") == "No job has measured eval/frechet_distance."
    # What is had but matches nothing, or is not asked for, needs no words.
    assert [note(search) for search in ("eval/score>99", "config.opt.lr=7", "first -foo/bar<3", "first")] == [
        None
    ] * 4
