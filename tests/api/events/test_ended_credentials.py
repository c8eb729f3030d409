"""An answer that is still being sent ends with the token, login or permission that opened it."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.server.access import authenticator, tokens
from api.server.access.authenticator import Authenticator
from api.server.database.engine import Database, build_database
from api.server.http import middleware
from api.server.settings import Settings
from tests.conftest import LiveService
from tests.support.servers import make_home
from tests.support.services import TINY_SPEC

# A busy machine is patient, too.
post, get = (partial(call, timeout=60) for call in (httpx.post, httpx.get))
BOSS = "a token of some length"


@pytest.fixture
def service(
    tmp_path: Path, start_service: Callable[[Settings], LiveService], monkeypatch: pytest.MonkeyPatch
) -> LiveService:
    """A service without a token yet, which looks at open answers often, so that no test waits."""
    monkeypatch.setattr(middleware, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(authenticator, "RECHECKED_SECONDS", 0.0)
    monkeypatch.setattr(authenticator, "REMEMBERED_SECONDS", 0.0)
    settings = Settings(home=make_home(tmp_path / "home"), port=0, stream_poll_seconds=0.02)
    return start_service(settings)


@pytest.fixture
def database(service: LiveService) -> Iterator[Database]:
    made = build_database(service.settings)
    yield made
    made.close()


def make_token(database: Database, scope: Any = "user") -> str:
    with database.write() as session:
        return tokens.insert_token(session, scope, scope, None)[1]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def revoke(database: Database, _: str, __: str) -> None:
    with database.write() as session:
        tokens.revoke_token(session, tokens.list_tokens(session)[0].id)


def expire(database: Database, _: str, __: str) -> None:
    with database.write() as session:
        tokens.list_tokens(session)[0].expires_at = tokens.database_now(-1)


def log_out(_: Database, url: str, cookie: str) -> None:
    assert post(f"{url}/logout", headers={"cookie": cookie}).status_code == 303


ENDS = {"revoked": revoke, "expired": expire, "logged out": log_out, "revoked behind a login": revoke}


@pytest.mark.parametrize("path", ["/events", "/jobs/{job}/events"])
@pytest.mark.parametrize("end", ENDS)
def test_a_stream_ends_with_what_opened_it(service: LiveService, database: Database, end: str, path: str) -> None:
    job = post(f"{service.url}/jobs", json=TINY_SPEC).json()["id"]
    token = make_token(database)
    other = bearer(make_token(database))
    cookie = ""
    if "log" in end:
        cookie = post(f"{service.url}/login", data={"token": token}).headers["set-cookie"].partition(";")[0]
    headers = {"cookie": cookie} if cookie else bearer(token)
    with httpx.stream("GET", f"{service.url}{path.format(job=job)}", headers=headers, timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": connected"
        ENDS[end](database, service.url, cookie)
        # It ends as a whole answer does, so that a browser asks again and is refused.
        assert [line for line in lines if line.startswith("data:") and "after the end" in line] == []
        spec = {**TINY_SPEC, "name": "after the end"}
        assert post(f"{service.url}/jobs", json=spec, headers=other).status_code == 201
    assert get(f"{service.url}/jobs", headers=headers).status_code == 401


def test_a_stream_that_was_open_to_all_ends_with_the_first_token(service: LiveService, database: Database) -> None:
    with httpx.stream("GET", f"{service.url}/events", timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": connected"
        make_token(database)
        assert [line for line in lines if line.startswith("data:")] == []


def test_control_without_the_look_the_stream_brings_new_runs(
    service: LiveService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    async def look(self: Authenticator, *_: object) -> bool:
        looks.append(self)
        return True

    monkeypatch.setattr(Authenticator, "holds", look)
    token = make_token(database)
    with httpx.stream("GET", f"{service.url}/events", headers=bearer(token), timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": connected"
        revoke(database, "", "")
        other = bearer(make_token(database))
        post(f"{service.url}/jobs", json={**TINY_SPEC, "name": "after the end"}, headers=other)
        assert any("after the end" in line for line in lines if line.startswith("data:"))
    assert looks


def test_a_stream_whose_token_is_valid_goes_on(
    service: LiveService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    holds, looks = Authenticator.holds, asyncio.Queue[bool]()

    async def look(self: Authenticator, *given: Any) -> bool:
        looks.put_nowait(await holds(self, *given))
        return True

    monkeypatch.setattr(Authenticator, "holds", look)
    headers = bearer(make_token(database))
    with httpx.stream("GET", f"{service.url}/events", headers=headers, timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": connected"
        while looks.qsize() < 3:
            post(f"{service.url}/jobs", json=TINY_SPEC, headers=headers)
            assert any(line.startswith("data:") for line in lines)
    assert {looks.get_nowait() for _ in range(3)} == {True}


def test_what_was_revoked_ends_within_two_seconds() -> None:
    # The longest wait: a look just before, whose answer may be remembered, then the next one.
    assert middleware.WATCH_SECONDS + authenticator.RECHECKED_SECONDS < 2


def test_an_upload_ends_with_its_attempt(service: LiveService, database: Database) -> None:
    post(f"{service.url}/jobs", json=TINY_SPEC)
    claim = post(f"{service.url}/workers/claim", json={"worker": "w"}).json()
    make_token(database)
    path = f"{service.url}/jobs/{claim['job_id']}/attempts/{claim['attempt']}"
    own = bearer(claim["token"])
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        finish = {"end": "failed", "reason": {"code": "any", "message": "Because."}, "events_count": 0}
        while True:
            yield b"x" * 65_536
            sent += 1
            if sent == 2:
                assert post(f"{path}/finish", json=finish, headers=own).status_code == 200

    headers = {**own, "content-type": "application/octet-stream"}
    try:
        answer = httpx.put(f"{service.url}/artifacts/{'a' * 64}", content=endless(), headers=headers, timeout=20)
        assert answer.status_code in (401, 409)
    except httpx.TransportError:
        # The connection may close before the client looks for an answer.
        pass
    assert list(service.settings.blobs_dir.glob("*/*")) == []
