"""Tokens that are remembered: an attempt's longer than others, where the fence decides what it may still do."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from api.server.access import authenticator, tokens
from api.server.access.scopes import RequireOwnAttempt, RequireScope
from api.server.http import middleware
from tests.support.services import TINY_SPEC, make_png, sha256


@pytest.fixture(autouse=True)
def _others_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticator, "REMEMBERED_SECONDS", 0.0)


@pytest.fixture
def attempt(client: TestClient) -> dict[str, Any]:
    """A claimed job's paths, and the headers of its attempt's own token, in a service that wants tokens."""
    app = client.app
    assert isinstance(app, FastAPI)
    client.post("/jobs", json=TINY_SPEC)
    claim = client.post("/workers/claim", json={"worker": "w"}).json()
    with app.state.services.database.write() as session:
        tokens.insert_token(session, "closes the service", "read", None)
    return {
        "path": f"/jobs/{claim['job_id']}/attempts/{claim['attempt']}",
        "headers": {"authorization": f"Bearer {claim['token']}"},
    }


def put_file(client: TestClient, headers: dict[str, str]) -> int:
    png = make_png()
    return client.put(
        f"/artifacts/{sha256(png)}", content=png, headers={**headers, "content-type": "image/png"}
    ).status_code


def test_a_workers_posts_ask_for_its_token_once(
    client: TestClient, attempt: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    find, asked = tokens.find_attempt_of_token, []
    monkeypatch.setattr(tokens, "find_attempt_of_token", lambda *given: asked.append(given) or find(*given))
    for _ in range(3):
        assert client.post(f"{attempt['path']}/heartbeat", headers=attempt["headers"]).status_code == 200
    assert len(asked) == 1


@pytest.mark.parametrize("prefix", [middleware.FENCED_PREFIX, "/"], ids=["fenced routes alone", "control"])
def test_a_file_of_an_attempt_that_is_over_is_refused_at_once(
    client: TestClient, attempt: dict[str, Any], monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setattr(middleware, "FENCED_PREFIX", prefix)
    assert put_file(client, attempt["headers"]) == 200
    finish = {"end": "failed", "reason": {"code": "any", "message": "Because."}, "events_count": 0}
    ended = client.post(f"{attempt['path']}/finish", json=finish, headers=attempt["headers"])
    assert ended.status_code == 200
    assert client.post(f"{attempt['path']}/heartbeat", headers=attempt["headers"]).status_code == 409
    assert (put_file(client, attempt["headers"]) == 409) == (prefix != "/")


def test_what_is_remembered_for_longer_is_for_an_attempts_own_routes_alone(client: TestClient) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    fenced = []
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        calls = [dependency.call for dependency in dependant.dependencies] if dependant else []
        opens = any(isinstance(call, RequireScope) and "attempt" in call.scopes for call in calls)
        path = str(getattr(route, "path", ""))
        if opens and path.startswith(middleware.FENCED_PREFIX):
            fenced.append(path.rpartition("/")[2])
            assert any(isinstance(call, RequireOwnAttempt) for call in calls), path
    assert sorted(fenced) == ["events", "finish", "heartbeat"]
