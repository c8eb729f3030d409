"""The manifest of a backup, and the check of everything that it promises."""

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from api.server.database.engine import HEAD_REVISION
from api.server.database.models import Artifact
from ganlib.events import Sha256

FORMAT = 1
# Backups of this revision of the tables and all later ones can be restored.
OLDEST_REVISION = "0001"
MANIFEST = "manifest.json"
CHUNK_BYTES = 1_048_576
# So many damaged files are named, the others counted.
_NAMED = 5
Say = Callable[[str], None]


class BackupInvalid(Exception):
    """The folder is not a backup, is damaged, or is of another version; the message says which."""


class TableFacts(BaseModel):
    """Rows of a table and the sha256 of their lines. last_id: of a table that only grows."""

    model_config = ConfigDict(frozen=True)

    rows: int
    sha256: Sha256
    last_id: int | None = None


class Manifest(BaseModel):
    """What a backup holds. left_out: files that were deleted meanwhile; lost: that the store did not have."""

    model_config = ConfigDict(frozen=True)

    format: int
    revision: str
    made_at: str
    tables: dict[str, TableFacts]
    files: int
    left_out: list[Sha256]
    lost: list[Sha256] = []

    @property
    def row_count(self) -> int:
        """Number of rows of all tables."""
        return sum(facts.rows for facts in self.tables.values())


def verify_backup(folder: Path, say: Say) -> Manifest:
    """Check the manifest, every table and every file of a backup; raises BackupInvalid with what is wrong."""
    manifest = read_manifest(folder)
    check_tables(folder, manifest)
    names = list_files(folder, manifest)
    damaged = [name for index, name in enumerate(names) if not _is_whole(folder, name, index, len(names), say)]
    if damaged:
        shown = ", ".join(str(blob_path(folder, name)) for name in damaged[:_NAMED])
        more = f" and {len(damaged) - _NAMED:,} more" if len(damaged) > _NAMED else ""
        raise BackupInvalid(
            f"{len(damaged):,} of {len(names):,} files are missing or damaged: {shown}{more}. "
            "Use another backup, or copy these files from one: their names are their sha256."
        )
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest; raises BackupInvalid for none, a damaged one, and one of another version."""
    try:
        data = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        raise BackupInvalid(f"{folder} is not a complete backup: it has no readable {MANIFEST}.") from None
    try:
        manifest = Manifest.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise BackupInvalid(f"{folder / MANIFEST} is damaged: {where}: {first['msg']}.") from None
    if manifest.format != FORMAT or not OLDEST_REVISION <= manifest.revision <= HEAD_REVISION:
        raise BackupInvalid(
            f"{folder} was made by a version whose tables have revision {manifest.revision}; this one restores "
            f"{OLDEST_REVISION} to {HEAD_REVISION}. Restore it with that version, then start this one: "
            "it migrates the tables."
        )
    if Artifact.__tablename__ not in manifest.tables:
        raise BackupInvalid(f"{folder / MANIFEST} is damaged: it does not name every table.")
    return manifest


def check_tables(folder: Path, manifest: Manifest) -> None:
    """Compare every table with the manifest; raises BackupInvalid."""
    for name, facts in manifest.tables.items():
        digest, rows = hashlib.sha256(), 0
        for line in read_lines(table_path(folder, name)):
            digest.update(line)
            rows += 1
        if (rows, digest.hexdigest()) != (facts.rows, facts.sha256):
            raise BackupInvalid(f"{table_path(folder, name)} is damaged: its rows do not match the manifest.")


def list_files(folder: Path, manifest: Manifest) -> list[str]:
    """Return the sha256 of each file that the backup holds: of all that a row names, but for those left out."""
    rows = read_lines(table_path(folder, Artifact.__tablename__))
    missing = {*manifest.left_out, *manifest.lost}
    names = [name for name in (json.loads(line)["sha256"] for line in rows) if name not in missing]
    if len(names) != manifest.files:
        raise BackupInvalid(
            f"{folder / MANIFEST} is damaged: it promises {manifest.files:,} files, its rows name {len(names):,}."
        )
    return names


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a compressed table; raises BackupInvalid."""
    try:
        with gzip.open(path, "rb") as file:
            yield from file
    except (OSError, EOFError, zlib.error) as error:
        raise BackupInvalid(f"{path} cannot be read: {error}") from None


def table_path(folder: Path, table: str) -> Path:
    """Return the file of a table's rows."""
    return folder / "tables" / f"{table}.jsonl.gz"


def blob_path(folder: Path, sha256: str) -> Path:
    """Return the place of a file."""
    return folder / "blobs" / sha256[:2] / sha256


def _is_whole(folder: Path, name: str, index: int, count: int, say: Say) -> bool:
    if index and index % 1000 == 0:
        say(f"{index:,} of {count:,} files checked")
    try:
        with blob_path(folder, name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == name
    except OSError:
        return False
