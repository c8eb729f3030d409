"""Writes a backup: a snapshot of all rows as the tables are, then the files; nothing is migrated or changed."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from api.artifacts.queries import list_known
from api.artifacts.storage import Blobs
from api.server.database.engine import (
    HEAD_REVISION,
    Database,
    TablesTooNew,
    build_database,
    find_revision,
)
from api.server.database.models import Artifact
from api.server.files import fsync_folder, make_private
from api.server.services import build_blobs
from api.server.settings import Settings
from ganvas.backup.manifest import (
    CHUNK_BYTES,
    FORMAT,
    MANIFEST,
    BackupInvalid,
    Manifest,
    Say,
    TableFacts,
    blob_path,
    table_path,
)
from ganvas.backup.rows import durable_file, extend_table, find_tables, link_or_copy, write_table

# Each waits for its disk, and for a bucket.
_PARALLEL_COPIES = 8
_NAMES_AT_ONCE = 500
Copied = Literal["copied", "linked", "missing"]


@dataclass(frozen=True)
class Previous:
    """An earlier backup whose unchanged files are linked."""

    folder: Path
    manifest: Manifest


def write_backup(settings: Settings, folder: Path, say: Say, earlier: Previous | None = None) -> Manifest:
    """Write a backup into a new or empty folder; raises BackupInvalid for another one, and TablesTooNew.

    earlier: a backup on the same disk; what did not change since is linked, not copied. The manifest is written
    last: a folder without it is not a backup.
    """
    if settings.sqlite_path is not None and not settings.sqlite_path.exists():
        raise BackupInvalid(f"There is no database in {settings.home}; name the service's folder with --data-dir.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupInvalid(f"{folder} is not empty; choose a new folder.")
    database = build_database(settings)
    try:
        revision = _read_revision(database)
        make_private(folder)
        (folder / "tables").mkdir()
        with database.read() as session:
            tables = {
                table.name: _write_table(session, table, folder, revision, earlier)
                for table in find_tables(session.connection())
            }
            names = list(session.scalars(select(Artifact.sha256).order_by(Artifact.sha256)))
        say(f"{sum(facts.rows for facts in tables.values()):,} rows written")
        copied = _copy_all(build_blobs(settings), names, folder, earlier, say)
        missing = [name for name in names if copied[name] == "missing"]
        lost = _find_lost(database, missing)
    finally:
        database.close()
    counts = {state: sum(found == state for found in copied.values()) for state in ("copied", "linked")}
    say(f"{counts['copied']:,} files copied, {counts['linked']:,} linked")
    if lost:
        say(f"WARNING: {len(lost):,} files are lost or damaged in the store itself: {', '.join(lost[:5])} …")
    manifest = Manifest(
        format=FORMAT,
        revision=revision,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        tables=tables,
        files=len(names) - len(missing),
        left_out=[name for name in missing if name not in lost],
        lost=lost,
    )
    _finish(folder, manifest)
    return manifest


def _read_revision(database: Database) -> str:
    revision = find_revision(database.engine)
    if revision is None:
        raise BackupInvalid("There is nothing to back up: the database has no tables yet.")
    if revision > HEAD_REVISION:
        raise TablesTooNew(revision)
    return revision


def _write_table(
    session: Session, table: Table, folder: Path, revision: str, earlier: Previous | None
) -> TableFacts:
    known = earlier.manifest.tables.get(table.name) if earlier and earlier.manifest.revision == revision else None
    if earlier is None or known is None:
        return write_table(session, table, folder)
    extended = extend_table(session, table, folder, earlier.folder, known)
    if extended is not None:
        return extended
    facts = write_table(session, table, folder)
    if facts == known:
        path = table_path(folder, table.name)
        path.unlink()
        link_or_copy(table_path(earlier.folder, table.name), path)
    return facts


def _copy_all(
    blobs: Blobs, names: Sequence[str], folder: Path, earlier: Previous | None, say: Say
) -> dict[str, Copied]:
    """Copy or link every file; returns what became of each."""

    def copy(name: str) -> Copied:
        path = blob_path(folder, name)
        if earlier is not None and _link(blob_path(earlier.folder, name), path):
            return "linked"
        return "copied" if _copy(blobs, name, path) else "missing"

    for prefix in {name[:2] for name in names}:
        (folder / "blobs" / prefix).mkdir(parents=True, exist_ok=True)
    found: dict[str, Copied] = {}
    with ThreadPoolExecutor(_PARALLEL_COPIES, thread_name_prefix="backup") as pool:
        for name, state in zip(names, pool.map(copy, names), strict=True):
            found[name] = state
            if len(found) % 1000 == 0:
                say(f"{len(found):,} of {len(names):,} files done")
    return found


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:
        # It came since, or this disk has no links.
        return False
    return True


def _copy(blobs: Blobs, name: str, path: Path) -> bool:
    """Copy a file and check its sha256; returns False for one that is not there, or has other bytes."""
    digest = hashlib.sha256()
    try:
        with blobs.open(name) as source, durable_file(path) as target:
            while chunk := source.read(CHUNK_BYTES):
                target.write(chunk)
                digest.update(chunk)
    except FileNotFoundError:
        return False
    if digest.hexdigest() != name:
        path.unlink()
        return False
    return True


def _find_lost(database: Database, missing: Sequence[str]) -> list[str]:
    """Return those of these files that a row still names: they were not deleted meanwhile."""
    known: set[str] = set()
    for begin in range(0, len(missing), _NAMES_AT_ONCE):
        with database.read() as session:
            known |= list_known(session, missing[begin : begin + _NAMES_AT_ONCE])
    return [name for name in missing if name in known]


def _finish(folder: Path, manifest: Manifest) -> None:
    """Make all names durable, and then the manifest."""
    for path in (*(folder / "blobs").glob("*"), folder / "blobs", folder / "tables"):
        if path.is_dir():
            fsync_folder(path)
    part = folder / f".{MANIFEST}.part"
    with durable_file(part) as file:
        file.write(manifest.model_dump_json(indent=2).encode())
    part.replace(folder / MANIFEST)
    fsync_folder(folder)
    fsync_folder(folder.resolve().parent)
