"""Rows of shared links, and what belongs to the runs that one shows. Only hashes of their tokens are stored."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from api.errors import ShareNotFound
from api.server.access.grants import hash_token
from api.server.database.clock import database_now
from api.server.database.models import Checkpoint, Job, NeighbourGrid, RunFile, Sample, Share
from api.server.sharing.schemas import SharedRun, ShareKind, ShareRead, ShareState

_SECRET_BYTES = 32
# What has ended stays in the list for so long.
KEPT_SECONDS = 30 * 86_400.0
MOST_LISTED = 1000


@dataclass(frozen=True)
class SharedPage:
    """A live link's page: the runs that it shows, its address, and when the link ends."""

    id: str
    kind: str
    runs: tuple[str, ...]
    address: str
    expires_at: datetime


def insert_share(
    session: Session, kind: ShareKind, runs: Sequence[str], address: str, seconds: float, made_by: str
) -> tuple[Share, str]:
    """Store a link; returns its row and its token, which is not stored. Links that ended long ago are deleted."""
    session.execute(delete(Share).where(Share.expires_at < database_now(-KEPT_SECONDS)))
    token = secrets.token_urlsafe(_SECRET_BYTES)
    share = Share(
        id=secrets.token_hex(4),
        sha256=hash_token(token),
        kind=kind,
        runs=list(runs),
        address=address,
        made_by=made_by[:100],
        created_at=database_now(),
        expires_at=database_now(seconds),
    )
    session.add(share)
    session.flush()
    session.refresh(share)
    return share, token


def revoke_share(session: Session, share_id: str) -> Share:
    """End a link at once; idempotent. Raises ShareNotFound."""
    share = session.get(Share, share_id) if share_id.isascii() and share_id.isalnum() else None
    if share is None:
        raise ShareNotFound(
            f"There is no shared link {share_id[:32]}; `ganvas share --list` shows those that are."
        )
    live = update(Share).where(Share.id == share_id, Share.revoked_at.is_(None))
    session.execute(live.values(revoked_at=database_now()))
    session.refresh(share)
    return share


def list_shares(session: Session) -> list[ShareRead]:
    """Return the links that were made, the newest first."""
    query = select(Share, _is_over()).order_by(Share.created_at.desc(), Share.id).limit(MOST_LISTED)
    rows = session.execute(query).all()
    names = _read_names(session, {run for share, _ in rows for run in share.runs})
    return [_share_read(share, is_expired, names) for share, is_expired in rows]


def read_share(session: Session, share: Share) -> ShareRead:
    """Return one link."""
    is_expired = session.execute(select(_is_over()).where(Share.id == share.id)).scalar_one()
    return _share_read(share, is_expired, _read_names(session, set(share.runs)))


def find_page(session: Session, token_sha256: str) -> SharedPage | None:
    """Return the page of a live link, None of one that ended or of which a run is gone or deleted."""
    live = (Share.sha256 == token_sha256, Share.revoked_at.is_(None), Share.expires_at > database_now())
    share = session.scalar(select(Share).where(*live))
    if share is None:
        return None
    shown = select(func.count()).select_from(Job).where(Job.id.in_(share.runs), Job.deleted_at.is_(None))
    if session.scalar(shown) != len(set(share.runs)):
        return None
    return SharedPage(share.id, share.kind, tuple(share.runs), share.address, share.expires_at)


def is_live(session: Session, share_id: str) -> bool:
    """Return whether a link has neither expired nor been revoked."""
    live = (Share.id == share_id, Share.revoked_at.is_(None), Share.expires_at > database_now())
    return bool(session.scalar(select(exists().where(*live))))


def is_file_of(session: Session, runs: Sequence[str], sha256: str) -> bool:
    """Return whether one of these runs has this file: a grid, a checkpoint, or one that it saved."""
    tables = (Sample, NeighbourGrid, Checkpoint, RunFile)
    own = [exists().where(table.job_id.in_(runs), table.sha256 == sha256) for table in tables]
    return bool(session.scalar(select(or_(*own))))


def _is_over() -> ColumnElement[bool]:
    return Share.expires_at <= database_now()


def _read_names(session: Session, runs: set[str]) -> dict[str, str]:
    rows = session.execute(select(Job.id, Job.name).where(Job.id.in_(runs), Job.deleted_at.is_(None)))
    return {row.id: row.name for row in rows}


def _share_read(share: Share, is_expired: bool, names: dict[str, str]) -> ShareRead:
    state: ShareState = "revoked" if share.revoked_at else "expired" if is_expired else "live"
    return ShareRead(
        id=share.id,
        kind=share.kind,
        runs=[SharedRun(id=run, name=names.get(run)) for run in share.runs],
        address=share.address,
        state=state,
        made_by=share.made_by,
        created_at=share.created_at,
        expires_at=share.expires_at,
        revoked_at=share.revoked_at,
    )
