"""Tokens: how they are made and what they allow. Only their hashes are ever stored."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Literal, cast, get_args

from sqlalchemy import ColumnElement, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from api.errors import TokenNotFound
from api.server.database.clock import database_now
from api.server.database.models import Attempt, Login, Token

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


LOGIN_SECONDS = 30 * 86_400.0
# The time of the last use is written this seldom, because reading should not write.
USED_EVERY_SECONDS = 60.0


def insert_token(
    session: Session, name: str, scope: TokenScope, lifetime_seconds: float | None
) -> tuple[Token, str]:
    """Store a new token's hash and return its row and its text, which nobody can read again."""
    token_id, text = make_token(scope)
    return insert_made_token(session, name, scope, token_id, text, lifetime_seconds), text


def insert_made_token(
    session: Session, name: str, scope: TokenScope, token_id: str, text: str, lifetime_seconds: float | None = None
) -> Token:
    """Store the hash of a token whose text was made elsewhere."""
    token = Token(
        id=token_id,
        name=name,
        scope=scope,
        sha256=hash_token(text),
        created_at=database_now(),
        expires_at=None if lifetime_seconds is None else database_now(lifetime_seconds),
    )
    session.add(token)
    session.flush()
    session.refresh(token)
    return token


def list_tokens(session: Session) -> list[Token]:
    """Return every token that was ever made, oldest first."""
    return list(session.scalars(select(Token).order_by(Token.created_at, Token.id)))


def revoke_token(session: Session, token_id: str) -> Token:
    """End a token and the logins that were made with it; raises TokenNotFound. Doing it twice does no harm."""
    token = session.get(Token, token_id)
    if token is None:
        raise TokenNotFound(token_id=token_id)
    live = update(Token).where(Token.id == token_id, Token.revoked_at.is_(None))
    session.execute(live.values(revoked_at=database_now()))
    session.execute(delete(Login).where(Login.token_sha256 == token.sha256))
    session.refresh(token)
    return token


def has_tokens(session: Session) -> bool:
    """Whether a token was ever made, be it revoked since."""
    return bool(session.scalar(select(exists().select_from(Token))))


def find_live_token(session: Session, sha256: str) -> Token | None:
    """Return the token of this hash, unless it is revoked or has expired."""
    return session.scalar(select(Token).where(Token.sha256 == sha256, *_live()))


def is_use_noted(session: Session, token_id: str) -> bool:
    """Whether it was written just now that a token is in use."""
    recent = Token.used_at >= database_now(-USED_EVERY_SECONDS)
    return bool(session.scalar(select(exists().where(Token.id == token_id, recent))))


def note_use(session: Session, token_id: str) -> None:
    """Write that a token is in use."""
    session.execute(update(Token).where(Token.id == token_id).values(used_at=database_now()))


def insert_login(session: Session, token_sha256: str) -> str:
    """Store a login with this token and return its secret; logins that have expired go."""
    session.execute(delete(Login).where(Login.expires_at < database_now()))
    secret = make_login()
    session.add(
        Login(
            sha256=hash_token(secret),
            token_sha256=token_sha256,
            created_at=database_now(),
            expires_at=database_now(LOGIN_SECONDS),
        )
    )
    return secret


def find_login(session: Session, sha256: str) -> Login | None:
    """Return the login of this hash, unless it has expired."""
    return session.scalar(select(Login).where(Login.sha256 == sha256, Login.expires_at > database_now()))


def delete_login(session: Session, sha256: str) -> None:
    """End a login."""
    session.execute(delete(Login).where(Login.sha256 == sha256))


def find_attempt_of_token(session: Session, sha256: str) -> Attempt | None:
    """Return the attempt that a worker's attempt token was made for, live or over."""
    return session.scalar(select(Attempt).where(Attempt.token_sha256 == sha256))


def _live() -> list[ColumnElement[bool]]:
    return [Token.revoked_at.is_(None), or_(Token.expires_at.is_(None), Token.expires_at > database_now())]
