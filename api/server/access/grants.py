"""The text of tokens and the scopes that they grant; free of the database, for `ganvas secrets`."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Literal, cast, get_args

# open: no token needed; read: see jobs and files; user: submit, edit and cancel jobs; worker: claim jobs;
# attempt: write for the one attempt that a worker holds.
Scope = Literal["open", "read", "user", "worker", "attempt"]
ALL_SCOPES: frozenset[str] = frozenset(get_args(Scope))
OPEN_SCOPES: frozenset[str] = frozenset({"open"})

TokenScope = Literal["read", "user", "worker"]
# Scopes that a token of each kind grants.
GRANTS: dict[str, frozenset[str]] = {
    "read": frozenset({"open", "read"}),
    "user": frozenset({"open", "read", "user"}),
    "worker": frozenset({"open", "worker"}),
}
ATTEMPT_SCOPES: frozenset[str] = frozenset({"open", "attempt"})
ATTEMPT_PREFIX = "gnva_"
_SECRET_BYTES = 32
_FORM = re.compile(r"gnv_(?P<scope>read|user|worker)_(?P<id>[0-9a-f]{8})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class Grant:
    """The scopes of a request.

    caller: a name for rate limits. attempt: job and number of the only attempt that an attempt token may write
    for; is_over: whether that attempt has ended.
    """

    scopes: frozenset[str]
    caller: str = ""
    attempt: tuple[str, int] | None = None
    is_over: bool = False


# Key of the ASGI scope under which AccessMiddleware stores the request's Grant.
GRANT = "ganvas.grant"
# Key under which an application around the service names the scopes that it lets a request have at most.
LIMIT = "ganvas.limit"
OPEN_GRANT = Grant(OPEN_SCOPES)
FULL_GRANT = Grant(ALL_SCOPES)


def make_token(scope: TokenScope) -> tuple[str, str]:
    """Return a new token's public id and its text, which is shown once."""
    token_id = secrets.token_hex(4)
    return token_id, f"gnv_{scope}_{token_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def read_token(text: str) -> tuple[str, TokenScope] | None:
    """Return the public id and the scope of a token's text, None for other text."""
    match = _FORM.fullmatch(text)
    return (match["id"], cast(TokenScope, match["scope"])) if match else None


def make_attempt_token() -> str:
    """Return a token that may write for one attempt until the attempt ends."""
    return ATTEMPT_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def make_login() -> str:
    """Return the secret of a login's cookie."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def hash_token(text: str) -> str:
    """Return the sha256 of a token. Tokens are 256 random bits: a slow hash would protect nothing more."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def is_same_hash(one: str, other: str) -> bool:
    """Compare two hashes in constant time."""
    return hmac.compare_digest(one, other)
