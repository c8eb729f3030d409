"""Authenticates requests: finds the grant of a token, login or attempt, and caches it for a few seconds."""

import base64
import binascii
import logging
import time
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import OperationalError

from api.errors import NotAuthenticated, StorageFull
from api.server.access import tokens
from api.server.access.grants import (
    ALL_SCOPES,
    ATTEMPT_PREFIX,
    ATTEMPT_SCOPES,
    FULL_GRANT,
    GRANTS,
    OPEN_GRANT,
    Grant,
    hash_token,
    is_same_hash,
    make_token,
)
from api.server.access.rate_limits import RateLimits
from api.server.database.engine import Database, build_database, prepare_tables
from api.server.settings import Settings

logger = logging.getLogger(__name__)
LOGIN_COOKIE = "ganvas_login"
# A token that was revoked elsewhere may still work for this long.
REMEMBERED_SECONDS = 2.0
# Answers that take longer are looked at again this often, so that a revoked token's end within two seconds too.
RECHECKED_SECONDS = 0.5
# An attempt's token never changes its attempt, and the fence decides whether it may still write.
FENCED_SECONDS = 300.0
_MAX_CACHED = 10_000
Given = ParamSpec("Given")
Answer = TypeVar("Answer")


class Authenticator:
    """Returns the Grant of each request.

    While GANVAS_TOKEN is not set and no token was ever made, every request may do everything: the service then
    listens on loopback only, which `check_bind` enforces.
    """

    def __init__(self, database: Database, token: str | None, limits: RateLimits) -> None:
        self._database = database
        self._limits = limits
        self._token_sha256 = hash_token(token) if token else None
        self._requires_tokens = token is not None
        self._asked_at = float("-inf")
        # Time of the last look-up and grant of each credential.
        self._cache: dict[str, tuple[float, Grant]] = {}
        self._own_worker_sha256: str | None = None

    async def find_grant(
        self, headers: Mapping[str, str], address: str = "", *, is_fenced: bool = False, is_fresh: bool = False
    ) -> Grant:
        """Return the grant of these headers; raises NotAuthenticated for a missing or wrong credential.

        Raises TooManyRequests when too many wrong tokens have come from this address.
        is_fenced: the route itself checks in the database whether an attempt is live. is_fresh: look it up now.
        """
        if not await self._check_requires_tokens():
            return FULL_GRANT
        bearer = _read_bearer(headers.get("authorization"))
        if bearer is not None:
            seconds = FENCED_SECONDS if is_fenced and bearer.startswith(ATTEMPT_PREFIX) else REMEMBERED_SECONDS
            return await self._check_bearer(bearer, address, 0.0 if is_fresh else seconds)
        login = read_login(headers.get("cookie", ""))
        if login:
            return await self._find_cached(f"login {hash_token(login)}", login, REMEMBERED_SECONDS)
        raise NotAuthenticated

    async def holds(self, headers: Mapping[str, str], scopes: frozenset[str]) -> bool:
        """Return whether the credential of an answer that is still being sent is valid for these scopes by now."""
        try:
            if not await self._check_requires_tokens(RECHECKED_SECONDS):
                return True
            bearer = _read_bearer(headers.get("authorization"))
            secret = bearer or read_login(headers.get("cookie", "")) or ""
            kind = "login" if bearer is None else "bearer"
            grant = await self._find_cached(f"{kind} {hash_token(secret)}", secret, RECHECKED_SECONDS)
        except NotAuthenticated:
            return False
        return bool(grant.scopes & scopes) and not grant.is_over

    def make_worker_token(self) -> str:
        """Return a worker token that is valid as long as this process, for the worker that it starts itself."""
        _, token = make_token("worker")
        self._own_worker_sha256 = hash_token(token)
        return token

    def check_login(self, token: str) -> str:
        """Return the hash of a token that allows logging in; raises NotAuthenticated."""
        sha256 = hash_token(token)
        grant = self._grant_of_token(sha256)
        if "read" not in grant.scopes:
            raise NotAuthenticated("This is a worker token; log in with a read or user token.")
        return sha256

    def forget(self) -> None:
        """Clear the cache, after a logout."""
        self._cache.clear()

    def requires_tokens(self) -> bool:
        """Return whether requests need a token; once they do, they always do."""
        if not self._requires_tokens and time.monotonic() - self._asked_at > REMEMBERED_SECONDS:
            self._ask_for_tokens()
        return self._requires_tokens

    def _ask_for_tokens(self) -> None:
        with self._database.read() as session:
            self._requires_tokens = tokens.has_tokens(session)
        self._asked_at = time.monotonic()

    async def _check_requires_tokens(self, seconds: float | None = None) -> bool:
        remembered = REMEMBERED_SECONDS if seconds is None else seconds
        if not self._requires_tokens and time.monotonic() - self._asked_at > remembered:
            await _run_in_thread(self._ask_for_tokens)
        return self._requires_tokens

    async def _check_bearer(self, token: str, address: str, seconds: float) -> Grant:
        sha256 = hash_token(token)
        self._limits.check_token(address, sha256)
        try:
            grant = await self._find_cached(f"bearer {sha256}", token, seconds)
        except NotAuthenticated:
            self._limits.record_wrong_token(address, sha256)
            raise
        self._limits.record_right_token(address, sha256)
        return grant

    async def _find_cached(self, key: str, secret: str, seconds: float) -> Grant:
        asked_at, grant = self._cache.get(key, (float("-inf"), OPEN_GRANT))
        if time.monotonic() < asked_at + seconds:
            return grant
        asked_at = time.monotonic()
        grant = await _run_in_thread(self._look_up, key.startswith("login "), secret)
        if len(self._cache) >= _MAX_CACHED:
            self._cache.clear()
        self._cache[key] = (asked_at, grant)
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
            is_recorded = token is not None and tokens.was_used_recently(session, token.id)
        if token is None:
            raise NotAuthenticated("This token is not valid: it is wrong, revoked or expired.")
        if not is_recorded:
            self._record_use(token.id)
        return Grant(GRANTS[token.scope], token.id)

    def _record_use(self, token_id: str) -> None:
        try:
            with self._database.write() as session:
                tokens.record_use(session, token_id)
        except (StorageFull, OperationalError) as error:
            # On a full disk reading still works, for those with a token too.
            logger.warning("The use of a token could not be recorded: %s", error)

    def _grant_of_attempt(self, sha256: str) -> Grant:
        with self._database.read() as session:
            row = tokens.find_attempt_of_token(session, sha256)
        if row is None:
            raise NotAuthenticated("This attempt's token is not valid.")
        return Grant(
            ATTEMPT_SCOPES, f"{row.job_id}-{row.attempt}", (row.job_id, row.attempt), row.ended_at is not None
        )


async def _run_in_thread(call: Callable[Given, Answer], *args: Given.args, **named: Given.kwargs) -> Answer:
    # Loaded with the first request: a service that only waits has none to authenticate.
    from starlette.concurrency import run_in_threadpool

    return await run_in_threadpool(call, *args, **named)


def tokens_exist(settings: Settings) -> bool:
    """Return whether a token was ever made in the database of these settings; prepares its tables first."""
    database = build_database(settings)
    try:
        prepare_tables(database.engine, settings)
        with database.read() as session:
            return tokens.has_tokens(session)
    finally:
        database.close()


def read_login(cookie_header: str) -> str | None:
    """Return the secret of a login's cookie, or None.

    Of several the first counts: browsers send that of the longest path first, and another service may lie above.
    """
    for part in cookie_header.split(";"):
        name, _, value = part.partition("=")
        if name.strip() == LOGIN_COOKIE:
            return value.strip().strip('"') or None
    return None


def _read_bearer(authorization: str | None) -> str | None:
    """Return the token of `Bearer`, or the password of `Basic`; None without the header.

    Raises NotAuthenticated for a header that is neither.
    """
    if authorization is None:
        return None
    kind, _, value = authorization.partition(" ")
    given = value.strip()
    if kind.lower() == "basic":
        given = _read_basic_password(given)
    elif kind.lower() != "bearer":
        raise NotAuthenticated
    if not given:
        raise NotAuthenticated
    return given


def _read_basic_password(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        raise NotAuthenticated from None
