"""Query fields that an address does not take are refused, with the nearest that it does."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from api.server.http import query_fields
from api.server.settings import Settings
from dashboard.web.requests import SCRIPT_FIELDS
from ganvas.app import build_app
from tests.support.services import HOST, TINY_SPEC

DASHBOARD = Path(__file__).parents[4] / "dashboard"


@pytest.fixture
def pages(settings: Settings) -> Iterator[TestClient]:
    """The service with its pages."""
    with TestClient(build_app(settings), base_url=HOST, follow_redirects=False) as client:
        client.post("/jobs", json=TINY_SPEC)
        yield client


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/jobs?tga=x", "tga: there is no such query field; did you mean tag?"),
        (
            "/jobs?format=csv",
            "this address takes: commit, cursor, finding, limit, name, q, recipe, sort, state, tag, verdict, "
            "where",
        ),
        ("/jobs?limit=5&stat=failed", "did you mean state?"),
        ("/jobs?state=runing", "or 'cancelled'; did you mean running?"),
        ("/jobs/{job}?tail=5", "this address takes none"),
        ("/jobs/{job}/log?tial=5", "did you mean tail?"),
        ("/jobs/{job}/metrics?name=a/b&point=5", "did you mean points?"),
        ("/jobs/{job}/events?afterr=5", "did you mean after?"),
        ("/workers?limit=1", "this address takes none"),
        ("/queue?comit=none", "did you mean commit?"),
        ("/healthz?x=1", "this address takes none"),
        ("/?tga=x", "did you mean tag?"),
        ("/runs/{job}?iteratio=5", "did you mean iteration?"),
        ("/compare?runs=a", "did you mean run?"),
        ("/new?recipes=x", "did you mean recipe?"),
        ("/figures?metrics=loss/generator", "did you mean metric?"),
        ("/figures/curves.csv?run=a&format=csv", "this address takes: metric, run"),
        ("/runs/{job}/logits/real.png?first=0&last=5&low=0&high=1&hihg=2", "did you mean high?"),
    ],
)
def test_an_unknown_query_field_is_refused(pages: TestClient, path: str, said: str) -> None:
    job = pages.get("/jobs").json()["items"][0]["id"]
    answer = pages.get(path.format(job=job))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "request_invalid")
    assert said in error["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/jobs?tag=x&state=failed&where=seed=1&q=a&sort=name&limit=5",
        "/?q=a&sort=name&view=gallery&columns=seed&state=failed",
        "/runs/{job}?iteration=5&metric=loss/generator&from=1&to=2&cell=1-1&row=1&column=1{views}",
        "/compare?run=a&run=b&axis=images&at=5&metric=a/b&view=wipe&left=a&right=b&split=5&cell=a-1-1{views}",
        "/figures?kind=movie&find=x&beside={job}&run={job}&label.{job}=x&fps=5&from=1&to=2&metric=a/b&dpi=100&x=log",
        "/new?recipe=winkler-mnist&data=mnist&order=time",
        "/login?back=/",
    ],
)
def test_the_fields_of_a_page_are_taken(pages: TestClient, path: str) -> None:
    job = pages.get("/jobs").json()["items"][0]["id"]
    views = "&slider=log&smoothing=0.5&scale=log&values=full&zoom=1-2"
    assert pages.get(path.format(job=job, views=views)).status_code == 200


def test_scripts_write_no_field_that_its_page_refuses_when_it_is_loaded_again() -> None:
    scripts = [path.read_text(encoding="utf-8") for path in DASHBOARD.rglob("*.js")]
    named = {name for script in scripts for name in re.findall(r'readAddress\("(\w+)"\)', script)}
    assert named == {*SCRIPT_FIELDS, "iteration", "at", "cell"}


def test_what_pages_read_of_the_query_is_declared(pages: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoints = [route.endpoint for route in iter_route_contexts(pages.app.routes)]  # type: ignore[attr-defined]
    declared = set().union(*(getattr(endpoint, query_fields._DECLARED, set()) for endpoint in endpoints))
    sources = [path.read_text(encoding="utf-8") for path in DASHBOARD.rglob("*.py")]
    read = {name for text in sources for name in re.findall(r'query(?:_params)?\.get(?:list)?\("(\w+)"', text)}
    assert {"beside", "iteration", "q"} - read == {"iteration"}
    assert read <= declared
    # Control: without its declaration a page refuses its own fields.
    monkeypatch.setattr(query_fields, "_DECLARED", "nothing")
    assert pages.get("/?q=a").status_code == 422
