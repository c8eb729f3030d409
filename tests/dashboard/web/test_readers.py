"""A login that may only read is offered nothing that would be refused."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.server.access import tokens
from api.server.access.grants import TokenScope
from api.server.settings import Settings
from dashboard.web import rendering
from dashboard.web.layout import Frame
from ganvas.app import build_app
from tests.support.fake_worker import FakeWorker
from tests.support.servers import make_home

SAID = "Read-only login"
# What only takes time: files that are drawn when they are asked for.
DRAWN = re.compile(r"/figures/\w+\.|/runs/\w+/movie\.")
ID = re.compile(r"/[a-z0-9]{12}(?=/|$)|/[0-9a-f]{64}")


class Offers(HTMLParser):
    """Every address that a page offers: its links, and where its forms and their buttons lead, by method."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()
        self._form = ("", "")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and given.get("href", "#")[0] == "/":
            self.found.add(("get", given["href"].partition("#")[0]))
        if tag == "form":
            self._form = (given.get("method", "get"), given.get("action", ""))
        if tag in ("form", "button") and given.get("type") != "button" and any(self._form):
            method = given.get("formmethod", self._form[0])
            self.found.add((method, given.get("formaction", self._form[1]).partition("#")[0]))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    app = build_app(Settings(home=make_home(tmp_path / "home"), submits_per_minute=1000))
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as client:
        yield client


def log_in(client: TestClient, scope: TokenScope) -> dict[str, str]:
    """Close the service to all without a token; returns what whoever logged in with one of this scope sends."""
    services = client.app.state.services  # type: ignore[attr-defined]
    with services.database.write() as session:
        secret = tokens.insert_token(session, scope, scope, None)[1]
    services.authenticator.forget()
    services.authenticator._asked_at = float("-inf")
    answer = client.post("/login", data={"token": secret, "back": "/"})
    assert answer.status_code == 303, answer.text
    cookie = answer.headers["set-cookie"].partition(";")[0]
    client.cookies.clear()
    return {"cookie": cookie, "accept": "text/html"}


def make_runs(client: TestClient) -> list[str]:
    """A run of each state, and a deleted one; returns the addresses of the pages that show them."""
    worker = FakeWorker(client)
    jobs = []
    for end in ("succeeded", "failed", "cancelled", ""):
        jobs.append(worker.submit(name=end or "runs"))
        worker.claim()
        worker.train(100)
        worker.save_checkpoint(100)
        if end == "cancelled":
            client.post(f"/jobs/{jobs[-1]}/cancel")
        if end:
            worker.finish(end, "out_of_memory" if end == "failed" else "", "Too large.")
    deleted, waits = worker.submit(name="deleted"), worker.submit(name="waits")
    client.post(f"/jobs/{deleted}/cancel")
    client.delete(f"/jobs/{deleted}")
    both = f"run={jobs[0]}&run={jobs[1]}"
    lists = ["/", "/?view=gallery", "/?q=nothing", "/compare", f"/compare?{both}", "/queue-and-workers", "/docs"]
    figures = [f"/figures?kind={kind}&{both}" for kind in ("timelines", "curves", "movie")]
    return [*lists, *figures, *(f"/runs/{job}" for job in (*jobs, deleted, waits)), "/runs/none"]


def read_pages(client: TestClient, pages: list[str], login: dict[str, str]) -> list[str]:
    return [client.get(page, headers=login).text for page in pages]


def find_refused(client: TestClient, texts: list[str], asked_by: dict[str, str]) -> set[str]:
    """Return the kinds of what these pages offer that are refused to a login: addresses without their ids."""
    offers = Offers()
    for text in texts:
        offers.feed(text)
    assert len(offers.found) > 5
    kinds: dict[tuple[str, str], str] = {}
    for method, path in sorted(offers.found):
        if not DRAWN.match(path) and path != "/logout":
            kinds[method, ID.sub("/ID", path.partition("?")[0])] = path
    return {
        kind
        for (method, kind), path in kinds.items()
        if client.request(method, path, headers=asked_by).status_code == 403
    }


def test_nothing_that_a_reader_is_offered_is_refused(client: TestClient) -> None:
    pages = make_runs(client)
    reader = log_in(client, "read")
    texts = read_pages(client, pages, reader)
    assert find_refused(client, texts, reader) == set()
    assert [page for page, text in zip(pages, texts, strict=True) if text.count(SAID) != 1] == []
    # Who may edit is offered all that is refused to a reader, and not told so.
    user = log_in(client, "user")
    texts = read_pages(client, pages, user)
    refused = {"/new", "/runs/ID/again", "/runs/ID/cancel", "/runs/ID/retry", "/runs/actions", "/share-links"}
    assert find_refused(client, texts, reader) == refused
    assert [page for page, text in zip(pages, texts, strict=True) if SAID in text] == []


def test_an_empty_service_offers_a_reader_nothing_to_start(client: TestClient) -> None:
    reader = log_in(client, "read")
    texts = read_pages(client, ["/", "/compare", "/figures", "/queue-and-workers"], reader)
    assert find_refused(client, texts, reader) == set()


def test_without_the_reader_s_frame_a_reader_would_be_refused(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = log_in(client, "read")
    monkeypatch.setattr(rendering, "is_reader", lambda request: False)
    for room in ("runs", "run", "compare", "figures", "workers"):
        monkeypatch.setattr(
            f"dashboard.{room}.routes.read_frame", lambda request: Frame("system", request.url.path)
        )
    assert "/new" in find_refused(client, read_pages(client, ["/", "/queue-and-workers"], reader), reader)
