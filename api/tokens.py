"""Tokens: how they are made and what they allow. Only their hashes are ever stored."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Literal, cast, get_args

# open: no token wanted; read: see jobs and files; user: make and end jobs; worker: claim and report;
# attempt: what a worker writes of the one attempt that it holds.
Scope = Literal["open", "read", "user", "worker", "attempt"]
ALL_SCOPES: frozenset[str] = frozenset(get_args(Scope))
OPEN_SCOPES: frozenset[str] = frozenset({"open"})

TokenScope = Literal["read", "user", "worker"]
# What a token of each scope lets its holder do.
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
    """What a request may do.

    caller: a name for its limits. attempt: job and number of the only attempt that it may write for, where it has
    an attempt's token; is_over: whether that attempt has ended.
    """

    scopes: frozenset[str]
    caller: str = ""
    attempt: tuple[str, int] | None = None
    is_over: bool = False


OPEN = Grant(OPEN_SCOPES)
EVERYTHING = Grant(ALL_SCOPES)


def make_token(scope: TokenScope) -> tuple[str, str]:
    """Return a new token's public id and its text, which is shown once."""
    token_id = secrets.token_hex(4)
    return token_id, f"gnv_{scope}_{token_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def read_token(text: str) -> tuple[str, TokenScope] | None:
    """Return the public id and the scope of a token's text, None where it is not of that form."""
    match = _FORM.fullmatch(text)
    return (match["id"], cast(TokenScope, match["scope"])) if match else None


def make_attempt_token() -> str:
    """Return the token that writes for one attempt; it is worth nothing once the attempt is over."""
    return ATTEMPT_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def make_login() -> str:
    """Return the secret of a login's cookie."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def hash_token(text: str) -> str:
    """Return the sha256 of a token. Tokens are 256 random bits: a slow hash would protect nothing more."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def is_same_hash(one: str, other: str) -> bool:
    """Compare two hashes in a time that tells nothing about them."""
    return hmac.compare_digest(one, other)
