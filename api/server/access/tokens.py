"""Rows of tokens and logins. Only hashes are stored."""

from sqlalchemy import ColumnElement, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from api.errors import TokenNotFound
from api.server.access.grants import TokenScope, hash_token, make_login, make_token
from api.server.database.clock import database_now
from api.server.database.models import Attempt, Login, Token

LOGIN_SECONDS = 30 * 86_400.0
# The time of the last use is written at most this often, because reads should not write.
USED_EVERY_SECONDS = 60.0


def insert_token(
    session: Session, name: str, scope: TokenScope, lifetime_seconds: float | None
) -> tuple[Token, str]:
    """Store a new token's hash and return its row and its text, which is not stored."""
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
    """Revoke a token and the logins that were made with it; idempotent. Raises TokenNotFound."""
    token = session.get(Token, token_id)
    if token is None:
        raise TokenNotFound(token_id=token_id)
    live = update(Token).where(Token.id == token_id, Token.revoked_at.is_(None))
    session.execute(live.values(revoked_at=database_now()))
    session.execute(delete(Login).where(Login.token_sha256 == token.sha256))
    session.refresh(token)
    return token


def has_tokens(session: Session) -> bool:
    """Return whether a token was ever made; revoked tokens count."""
    return bool(session.scalar(select(exists().select_from(Token))))


def find_live_token(session: Session, sha256: str) -> Token | None:
    """Return the token of this hash, unless it is revoked or has expired."""
    return session.scalar(select(Token).where(Token.sha256 == sha256, *_is_live()))


def was_used_recently(session: Session, token_id: str) -> bool:
    """Return whether a recent use of the token is recorded."""
    recent = Token.used_at >= database_now(-USED_EVERY_SECONDS)
    return bool(session.scalar(select(exists().where(Token.id == token_id, recent))))


def record_use(session: Session, token_id: str) -> None:
    """Record that a token is in use."""
    session.execute(update(Token).where(Token.id == token_id).values(used_at=database_now()))


def insert_login(session: Session, token_sha256: str) -> str:
    """Store a login with this token and return its secret; deletes expired logins."""
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
    """Delete a login."""
    session.execute(delete(Login).where(Login.sha256 == sha256))


def find_attempt_of_token(session: Session, sha256: str) -> Attempt | None:
    """Return the attempt, live or ended, of an attempt token."""
    return session.scalar(select(Attempt).where(Attempt.token_sha256 == sha256))


def _is_live() -> list[ColumnElement[bool]]:
    return [Token.revoked_at.is_(None), or_(Token.expires_at.is_(None), Token.expires_at > database_now())]
