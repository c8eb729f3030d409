"""Tokens with scopes, the tokens of attempts, and logins."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from api.server.access import authenticator, tokens
from api.server.access.authenticator import Authenticator
from api.server.access.grants import TokenScope, hash_token
from api.server.services import Services
from api.server.settings import Settings
from ganvas.app import build_app
from tests.support.services import HOST, QUIET, TINY_SPEC, make_png, sha256

BOOTSTRAP = "the first token"
CLAIM = {"worker": "w"}


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    """The whole application, open until a token is made."""
    with TestClient(build_app(Settings(home=home, **QUIET)), base_url=HOST, follow_redirects=False) as made:
        yield made


@pytest.fixture(autouse=True)
def always_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered, so that no test waits."""
    monkeypatch.setattr(authenticator, "REMEMBERED_SECONDS", 0.0)


def services_of(client: TestClient) -> Services:
    app = client.app
    assert isinstance(app, FastAPI)
    services: Services = app.state.services
    return services


def make_token(client: TestClient, scope: TokenScope, seconds: float | None = None) -> str:
    with services_of(client).database.write() as session:
        return tokens.insert_token(session, f"for {scope}", scope, seconds)[1]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_the_first_token_closes_the_service(client: TestClient) -> None:
    assert client.get("/jobs").status_code == 200
    token = make_token(client, "read")
    assert client.get("/jobs").status_code == 401
    assert client.get("/jobs", headers=bearer(token)).status_code == 200


def test_revoking_the_only_token_does_not_open_the_service_again(client: TestClient) -> None:
    token = make_token(client, "user")
    with services_of(client).database.write() as session:
        tokens.revoke_token(session, tokens.list_tokens(session)[0].id)
    assert client.get("/jobs").status_code == 401
    assert client.get("/jobs", headers=bearer(token)).status_code == 401


def test_a_token_expires_by_the_database_s_clock(client: TestClient) -> None:
    token, old = make_token(client, "read", 60), make_token(client, "read", -1)
    assert client.get("/jobs", headers=bearer(token)).status_code == 200
    assert client.get("/jobs", headers=bearer(old)).status_code == 401


@pytest.mark.parametrize(
    ("scope", "reads", "submits", "claims"),
    [("read", 200, 403, 403), ("user", 200, 201, 403), ("worker", 403, 403, 200)],
)
def test_a_token_allows_what_its_scope_says(
    client: TestClient, scope: TokenScope, reads: int, submits: int, claims: int
) -> None:
    client.post("/jobs", json=TINY_SPEC)
    headers = bearer(make_token(client, scope))
    assert client.get("/jobs", headers=headers).status_code == reads
    assert client.post("/jobs", json=TINY_SPEC, headers=headers).status_code == submits
    assert client.post("/workers/claim", json=CLAIM, headers=headers).status_code == claims


def test_a_refusal_for_the_scope_says_so(client: TestClient) -> None:
    answer = client.post("/jobs", json=TINY_SPEC, headers=bearer(make_token(client, "read")))
    assert answer.json()["error"]["code"] == "not_allowed"


def test_every_route_wants_a_token_but_those_that_are_open(client: TestClient) -> None:
    make_token(client, "read")
    app = client.app
    assert isinstance(app, FastAPI)
    asked = 0
    for route in walk_routes(app):
        path = route.path.replace("{job_id}", "any").replace("{attempt}", "1").replace("{sha256}", "a" * 64)
        # What a shared link shows, and to whom, is tested in tests/api/server/sharing.
        if path in ("/healthz", "/login", "/theme", "/favicon.ico") or path.startswith(("/static/", "/s/")):
            continue
        for method in route.methods:
            asked += 1
            assert client.request(method, path).status_code == 401, (method, path)
            assert client.request(method, path, headers=bearer("wrong")).status_code == 401, (method, path)
    assert asked > 15


def walk_routes(app: FastAPI) -> Iterator[Any]:
    from fastapi.routing import iter_route_contexts

    for context in iter_route_contexts(app.routes):
        route = getattr(context, "original_route", context)
        if isinstance(route, APIRoute):
            yield route


def test_control_without_the_look_up_routes_answer_anybody(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_token(client, "read")
    monkeypatch.setattr(Authenticator, "_has_tokens", lambda self: False, raising=False)
    monkeypatch.setattr(tokens, "has_tokens", lambda session: False)
    assert client.get("/jobs").status_code == 200


def test_the_worker_that_the_service_starts_goes_on_when_the_first_token_closes_it(client: TestClient) -> None:
    client.post("/jobs", json=TINY_SPEC)
    own = bearer(services_of(client).authenticator.make_worker_token())
    make_token(client, "user")
    assert client.post("/workers/claim", json=CLAIM).status_code == 401
    assert client.post("/workers/claim", json=CLAIM, headers=own).status_code == 200
    assert client.get("/jobs", headers=own).status_code == 403


def test_only_hashes_are_stored(client: TestClient) -> None:
    token = make_token(client, "user")
    home = services_of(client).settings.home
    secret = token.split("_", 3)[3].encode()
    stored = b"".join(path.read_bytes() for path in home.glob("ganvas.sqlite3*"))
    assert hash_token(token).encode() in stored
    assert secret not in stored


# The token of an attempt.


def claim(client: TestClient) -> tuple[str, dict[str, str]]:
    """Submit and claim a job; return its id and the headers of the attempt's own token."""
    job_id = client.post("/jobs", json=TINY_SPEC).json()["id"]
    claimed = client.post("/workers/claim", json=CLAIM).json()
    assert claimed["job_id"] == job_id
    return job_id, bearer(claimed["token"])


def heartbeat(client: TestClient, job_id: str, headers: dict[str, str], attempt: int = 1) -> int:
    return client.post(f"/jobs/{job_id}/attempts/{attempt}/heartbeat", headers=headers).status_code


def test_an_attempt_s_token_writes_for_that_attempt_alone(client: TestClient) -> None:
    (mine, own), (other, _) = claim(client), claim(client)
    make_token(client, "worker")
    assert heartbeat(client, mine, own) == 200
    assert heartbeat(client, other, own) == 403
    assert heartbeat(client, mine, own, attempt=2) == 403
    assert client.get("/jobs", headers=own).status_code == 403
    assert client.post("/workers/claim", json=CLAIM, headers=own).status_code == 403


def test_control_without_the_check_one_worker_writes_for_another(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, own), (other, _) = claim(client), claim(client)
    make_token(client, "worker")
    monkeypatch.setattr(authenticator.Grant, "attempt", None, raising=False)
    monkeypatch.setattr(
        Authenticator,
        "_grant_of_attempt",
        lambda self, sha256: authenticator.Grant(authenticator.ATTEMPT_SCOPES, "any", None),
    )
    assert heartbeat(client, other, own) == 200


def test_a_worker_s_token_alone_writes_for_no_attempt(client: TestClient) -> None:
    job_id, _ = claim(client)
    worker = bearer(make_token(client, "worker"))
    assert heartbeat(client, job_id, worker) == 403
    png = make_png()
    put = client.put(f"/artifacts/{sha256(png)}", content=png, headers={**worker, "content-type": "image/png"})
    assert put.status_code == 403


def test_an_attempt_s_token_ends_with_the_attempt(client: TestClient) -> None:
    job_id, own = claim(client)
    make_token(client, "worker")
    png = make_png()
    put = {"url": f"/artifacts/{sha256(png)}", "content": png, "headers": {**own, "content-type": "image/png"}}
    assert client.put(**put).status_code == 200
    finish = {"end": "failed", "reason": {"code": "any", "message": "Because."}, "events_count": 0}
    path = f"/jobs/{job_id}/attempts/1/finish"
    assert client.post(path, json=finish, headers=own).status_code == 200
    # The same finish may come again, but nothing else.
    assert client.post(path, json=finish, headers=own).status_code == 200
    assert heartbeat(client, job_id, own) == 409
    answer = client.put(**put)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "attempt_fenced")


# Logins.

PAGE = {"accept": "text/html"}


def log_in(client: TestClient, token: str, back: str = "/") -> Any:
    return client.post("/login", data={"token": token, "back": back})


def test_a_person_is_led_to_the_login_page_and_back(client: TestClient) -> None:
    token = make_token(client, "user")
    led = client.get("/runs/any?iteration=5", headers=PAGE)
    assert (led.status_code, led.headers["location"]) == (303, "/login?back=%2Fruns%2Fany%3Fiteration%3D5")
    page = client.get(led.headers["location"], headers=PAGE)
    assert (page.status_code, 'value="/runs/any?iteration=5"' in page.text) == (200, True)
    answer = log_in(client, token, "/runs/any?iteration=5")
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs/any?iteration=5")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert token not in cookie
    assert client.get("/", headers=PAGE).status_code == 200
    assert "Log out" in client.get("/", headers=PAGE).text


def test_a_program_is_not_led_to_the_login_page(client: TestClient) -> None:
    make_token(client, "user")
    assert client.get("/jobs").status_code == 401


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_wrong_token_is_told_on_the_page(client: TestClient, token: str) -> None:
    make_token(client, "user")
    answer = log_in(client, token)
    assert answer.status_code == 401
    assert "not valid" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_worker_token_logs_nobody_in(client: TestClient) -> None:
    answer = log_in(client, make_token(client, "worker"))
    assert (answer.status_code, "worker token" in answer.text) == (401, True)


def test_logging_out_ends_the_login_itself(client: TestClient) -> None:
    log_in(client, make_token(client, "read"))
    cookie = client.cookies[authenticator.LOGIN_COOKIE]
    assert client.post("/logout").status_code == 303
    client.cookies.set(authenticator.LOGIN_COOKIE, cookie)
    assert client.get("/jobs").status_code == 401


def test_revoking_a_token_ends_its_logins(client: TestClient) -> None:
    log_in(client, make_token(client, "read"))
    assert client.get("/jobs").status_code == 200
    with services_of(client).database.write() as session:
        tokens.revoke_token(session, tokens.list_tokens(session)[0].id)
    assert client.get("/jobs").status_code == 401


def test_a_login_allows_no_more_than_its_token(client: TestClient) -> None:
    log_in(client, make_token(client, "read"))
    assert client.post("/jobs", json=TINY_SPEC).status_code == 403


def test_the_way_back_leads_to_this_site_alone(client: TestClient) -> None:
    token = make_token(client, "read")
    for back in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        assert log_in(client, token, back).headers["location"] == "/"


def test_guessing_is_slowed_down_whatever_comes_after(home: Path) -> None:
    settings = Settings(home=home, token=BOOTSTRAP, login_failures_per_minute=3, **QUIET)
    with TestClient(build_app(settings), base_url=HOST, follow_redirects=False) as client:
        assert [log_in(client, "guess").status_code for _ in range(4)] == [401, 401, 401, 429]
        refused = log_in(client, BOOTSTRAP)
        assert refused.status_code == 429
        assert "try again in" in refused.text


def test_submits_are_limited_a_caller_and_say_when_to_come_again(home: Path) -> None:
    with TestClient(build_app(Settings(home=home, submits_per_minute=2, **QUIET)), base_url=HOST) as client:
        statuses = [client.post("/jobs", json=TINY_SPEC).status_code for _ in range(3)]
        assert statuses == [201, 201, 429]
        answer = client.post("/jobs", json=TINY_SPEC)
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert answer.json()["error"]["code"] == "too_many_requests"
