"""Who a request comes from and what that allows; answers are remembered for a few seconds."""

import time
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from starlette.concurrency import run_in_threadpool

from api.errors import NotAuthenticated
from api.server.access import tokens
from api.server.access.scopes import read_bearer
from api.server.access.tokens import (
    ALL_SCOPES,
    ATTEMPT_PREFIX,
    ATTEMPT_SCOPES,
    EVERYTHING,
    GRANTS,
    OPEN,
    Grant,
    hash_token,
    is_same_hash,
    make_token,
)
from api.server.database.engine import Database, build_database, prepare_tables
from api.settings import Settings

LOGIN_COOKIE = "ganvas_login"
# How long a token that was revoked elsewhere may still work.
REMEMBERED_SECONDS = 2.0
# An attempt's token stays that attempt's for ever, and whether it may still write the fence decides.
FENCED_SECONDS = 300.0
_MAX_REMEMBERED = 10_000


class Access:
    """Answers with a Grant for the headers of each request.

    While neither GANVAS_TOKEN is set nor any token was ever made, everybody who reaches the service may do
    everything: that is one person's machine, and `check_bind` keeps it so.
    """

    def __init__(self, database: Database, token: str | None) -> None:
        self._database = database
        self._token_sha256 = hash_token(token) if token else None
        self._is_closed = token is not None
        self._asked_at = float("-inf")
        # When each credential was looked up, and what it allows.
        self._remembered: dict[str, tuple[float, Grant]] = {}
        self._own_worker_sha256: str | None = None

    async def find_grant(self, headers: Mapping[str, str], is_fenced: bool = False) -> Grant:
        """Return what these headers allow; raises NotAuthenticated for a wrong credential, or for none.

        is_fenced: the route itself asks the database whether an attempt is live.
        """
        if not await self._wants_tokens():
            return EVERYTHING
        bearer = read_bearer(headers.get("authorization"))
        if bearer is not None:
            seconds = FENCED_SECONDS if is_fenced and bearer.startswith(ATTEMPT_PREFIX) else REMEMBERED_SECONDS
            return await self._recall(f"bearer {hash_token(bearer)}", bearer, seconds)
        login = _read_cookie(headers.get("cookie", ""), LOGIN_COOKIE)
        if login:
            return await self._recall(f"login {hash_token(login)}", login, REMEMBERED_SECONDS)
        raise NotAuthenticated

    def make_worker_token(self) -> str:
        """Return a worker's token that lives as long as this process, for the worker that it starts itself."""
        _, token = make_token("worker")
        self._own_worker_sha256 = hash_token(token)
        return token

    def check_login(self, token: str) -> str:
        """Return the hash of a token that people may log in with; raises NotAuthenticated."""
        sha256 = hash_token(token)
        grant = self._grant_of_token(sha256)
        if "read" not in grant.scopes:
            raise NotAuthenticated("This is a worker's token; log in with one for reading or for users.")
        return sha256

    def forget(self) -> None:
        """Look everything up again, after a logout."""
        self._remembered.clear()

    def is_closed(self) -> bool:
        """Whether tokens are wanted; once that is so it stays so."""
        if not self._is_closed and time.monotonic() - self._asked_at > REMEMBERED_SECONDS:
            with self._database.read() as session:
                self._is_closed = tokens.has_tokens(session)
            self._asked_at = time.monotonic()
        return self._is_closed

    async def _wants_tokens(self) -> bool:
        if self._is_closed or time.monotonic() - self._asked_at <= REMEMBERED_SECONDS:
            return self._is_closed
        return await run_in_threadpool(self.is_closed)

    async def _recall(self, key: str, secret: str, seconds: float) -> Grant:
        asked_at, grant = self._remembered.get(key, (float("-inf"), OPEN))
        if time.monotonic() < asked_at + seconds:
            return grant
        asked_at = time.monotonic()
        grant = await run_in_threadpool(self._look_up, key.startswith("login "), secret)
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = (asked_at, grant)
        return grant

    def _look_up(self, is_login: bool, secret: str) -> Grant:
        sha256 = hash_token(secret)
        if is_login:
            with self._database.read() as session:
                login = tokens.find_login(session, sha256)
            if login is None:
                raise NotAuthenticated("You are logged out; log in again.")
            return self._grant_of_token(login.token_sha256)
        if secret.startswith(ATTEMPT_PREFIX):
            return self._grant_of_attempt(sha256)
        return self._grant_of_token(sha256)

    def _grant_of_token(self, sha256: str) -> Grant:
        if self._token_sha256 is not None and is_same_hash(sha256, self._token_sha256):
            return Grant(ALL_SCOPES, "GANVAS_TOKEN")
        if self._own_worker_sha256 is not None and is_same_hash(sha256, self._own_worker_sha256):
            return Grant(GRANTS["worker"], "own worker")
        with self._database.read() as session:
            token = tokens.find_live_token(session, sha256)
            is_noted = token is not None and tokens.is_use_noted(session, token.id)
        if token is None:
            raise NotAuthenticated("This token is not valid: it is wrong, was revoked, or has expired.")
        if not is_noted:
            with self._database.write() as session:
                tokens.note_use(session, token.id)
        return Grant(GRANTS[token.scope], token.id)

    def _grant_of_attempt(self, sha256: str) -> Grant:
        with self._database.read() as session:
            row = tokens.find_attempt_of_token(session, sha256)
        if row is None:
            raise NotAuthenticated("This attempt's token is not valid.")
        return Grant(
            ATTEMPT_SCOPES, f"{row.job_id}-{row.attempt}", (row.job_id, row.attempt), row.ended_at is not None
        )


def tokens_exist(settings: Settings) -> bool:
    """Whether a token was ever made in the database of these settings, whose tables are looked after first."""
    database = build_database(settings)
    try:
        prepare_tables(database.engine, settings)
        with database.read() as session:
            return tokens.has_tokens(session)
    finally:
        database.close()


def _read_cookie(header: str, name: str) -> str | None:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return None
    return found.value if found else None
