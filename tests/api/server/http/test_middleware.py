"""The gate: hosts, origins, the token, sizes, headers, and a scope on every route."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from api.main import build_service
from api.server.access import authenticator, scopes
from api.server.access.origins import BindRefused, check_bind
from api.server.access.scopes import list_undeclared_routes, needs
from api.server.http import middleware
from api.server.settings import Settings
from tests.support.services import HOST, QUIET, TINY_SPEC

TOKEN = "correct horse"


@pytest.fixture
def guarded(home: Path) -> Iterator[TestClient]:
    """A service that wants a token."""
    settings = Settings(home=home, token=TOKEN, allowed_hosts=("gpu.example",), own_address="10.1.2.3", **QUIET)
    with TestClient(build_service(settings), base_url=HOST) as client:
        yield client


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8000", 200),
        ("127.0.0.1:1234", 200),
        ("[::1]:8000", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("", 403),
    ],
)
def test_only_hosts_of_this_machine_are_answered(client: TestClient, host: str, status: int) -> None:
    answer = client.get("/jobs", headers={"host": host})
    assert answer.status_code == status
    assert status == 200 or answer.json()["error"]["code"] == "origin_refused"


@pytest.mark.parametrize(
    ("host", "status"), [("GPU.example:443", 200), ("10.1.2.3:8000", 200), ("10.1.2.4:8000", 403)]
)
def test_an_allowed_host_and_the_own_address_are_answered(guarded: TestClient, host: str, status: int) -> None:
    headers = {"host": host, "authorization": f"Bearer {TOKEN}"}
    assert guarded.get("/metrics", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("headers", "is_let_in"),
    [
        ({}, True),
        ({"origin": "http://localhost"}, True),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://localhost.evil.example"}, False),
        ({"origin": "null"}, False),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, False),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_of_other_sites_are_refused(
    client: TestClient, method: str, headers: dict[str, str], is_let_in: bool
) -> None:
    answer = client.request(method, "/jobs", headers=headers, json=TINY_SPEC if method == "POST" else None)
    assert (answer.status_code in (200, 201)) is is_let_in
    assert is_let_in or answer.status_code == 403


def test_a_link_from_elsewhere_may_be_followed_but_posts_nothing(client: TestClient) -> None:
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client.get("/openapi.json", headers=followed).status_code == 200
    assert client.post("/jobs", headers=followed, json=TINY_SPEC).status_code == 403


def test_control_without_the_check_another_site_posts_a_job(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "check_origin", lambda *_: None)
    assert client.post("/jobs", headers={"origin": "http://evil.example"}, json=TINY_SPEC).status_code == 201


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer wrong", 401),
        (f"Token {TOKEN}", 401),
        ("Basic !!!", 401),
        (basic("wrong"), 401),
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (basic(TOKEN), 200),
    ],
)
def test_with_a_token_set_only_its_holders_get_in(
    guarded: TestClient, authorization: str | None, status: int
) -> None:
    answer = guarded.get("/jobs", headers={"authorization": authorization} if authorization is not None else {})
    assert answer.status_code == status
    assert status == 200 or answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/jobs", "/docs", "/openapi.json", "/nowhere", "/events"])
def test_without_the_token_every_address_is_refused(guarded: TestClient, path: str) -> None:
    assert guarded.get(path).status_code == 401


def test_without_the_token_only_health_is_told(guarded: TestClient) -> None:
    assert guarded.get("/healthz").json()["status"] == "ok"


def test_control_without_the_comparison_any_token_gets_in(
    guarded: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authenticator, "is_same_hash", lambda *_: True)
    assert guarded.get("/jobs", headers={"authorization": "Bearer wrong"}).status_code == 200


def test_every_route_declares_its_scope(client: TestClient) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    assert list_undeclared_routes(app.routes) == []


def test_control_a_route_without_a_scope_is_found() -> None:
    app, router = FastAPI(openapi_url=None), APIRouter()
    router.add_api_route("/declared", lambda: None, dependencies=needs("read"))
    router.add_api_route("/forgotten", lambda: None)
    app.include_router(router)
    assert list_undeclared_routes(app.routes) == ["/forgotten"]


def test_a_declared_scope_is_refused_when_the_gate_did_not_grant_it() -> None:
    app = FastAPI()
    app.add_api_route("/mine", lambda: "read", dependencies=needs("read"))
    with TestClient(app) as client, pytest.raises(scopes.NotAuthenticated):
        client.get("/mine")


@pytest.mark.parametrize("path", ["/jobs", "/docs", "/nowhere", "/jobs/none/events"])
def test_every_answer_carries_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_a_body_without_a_length_is_refused_at_the_limit(client: TestClient) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(64):
            sent += 65_536
            yield b"x" * 65_536

    answer = client.post("/jobs", content=endless())
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_a_body_of_exactly_the_limit_is_read(client: TestClient) -> None:
    body = json.dumps(TINY_SPEC).encode()
    padded = body + b" " * (middleware.MAX_BODY_BYTES - len(body))
    assert client.post("/jobs", content=padded).status_code == 201
    assert client.post("/jobs", content=padded + b" ").status_code == 413


def test_numbers_that_json_cannot_hold_are_refused_in_events(client: TestClient) -> None:
    for number in ("NaN", "-Infinity", "1e999", "9" * 400 + ".0"):
        event = {"kind": "metrics_logged", "iteration": 1, "values": {"loss/generator": "HERE"}}
        posted = {"events": [{"seq": 0, "at": "2026-01-02T03:04:05Z", "event": event}]}
        body = json.dumps(posted).replace('"HERE"', number)
        answer = client.post("/jobs/any/attempts/1/events", content=body)
        assert answer.status_code == 422, number
        assert "not JSON" in answer.json()["error"]["message"]


def test_such_words_inside_a_text_are_no_numbers(client: TestClient) -> None:
    job_id = client.post("/jobs", json=TINY_SPEC).json()["id"]
    client.post("/workers/claim", json={"worker": "w"})
    event = {"kind": "line_logged", "iteration": 1, "text": "the loss is NaN, at 1e999 or Infinity"}
    body = {"events": [{"seq": 0, "at": "2026-01-02T03:04:05Z", "event": event}]}
    assert client.post(f"/jobs/{job_id}/attempts/1/events", json=body).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_alone_may_be_served_without_a_token(host: str) -> None:
    check_bind(Settings(host=host), lambda: False)


@pytest.mark.parametrize(
    ("token", "hosts", "missing"),
    [
        (None, (), "GANVAS_TOKEN .* and GANVAS_ALLOWED_HOSTS"),
        ("t", (), "GANVAS_ALLOWED_HOSTS"),
        (None, ("a",), "GANVAS_TOKEN .*"),
    ],
)
def test_others_are_served_only_with_a_token_and_allowed_hosts(
    token: str | None, hosts: tuple[str, ...], missing: str
) -> None:
    with pytest.raises(BindRefused, match=f"set {missing} first"):
        check_bind(Settings(host="0.0.0.0", token=token, allowed_hosts=hosts), lambda: False)  # noqa: S104
    check_bind(Settings(host="0.0.0.0", token="t", allowed_hosts=("a",)), lambda: False)  # noqa: S104
    check_bind(Settings(host="0.0.0.0", allowed_hosts=("a",)), lambda: True)  # noqa: S104


def test_hosts_are_read_from_the_environment_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANVAS_ALLOWED_HOSTS", "a.example, b.example")
    assert Settings().allowed_hosts == ("a.example", "b.example")
