"""A series of backups in one folder, each named by its time and complete in itself; unchanged files are linked."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from api.server.files import make_private
from api.server.settings import Settings
from ganvas.backup.manifest import MANIFEST, BackupInvalid, Manifest, Say, read_manifest
from ganvas.backup.writing import Previous, write_backup

_LOCK, _PART = ".lock", ".part-"
_NAME = "%Y%m%dT%H%M%S.%fZ"


def write_increment(settings: Settings, series: Path, keep: int | None, say: Say) -> tuple[Path, Manifest]:
    """Add a backup to the series and return its folder; keep: delete the oldest beyond so many.

    Raises BackupInvalid for a folder that holds anything else, and while another one is being added.
    """
    _check_series(series)
    make_private(series)
    try:
        lock = FileLock(series / _LOCK).acquire(blocking=False)
    except Timeout:
        raise BackupInvalid(f"Another backup into {series} is still being made; this one is left out.") from None
    with lock:
        for part in series.glob(f"{_PART}*"):
            # One that was broken off: its maker held the lock.
            shutil.rmtree(part)
        name = datetime.now(UTC).strftime(_NAME)
        part = series / f"{_PART}{name}"
        manifest = write_backup(settings, part, say, _find_previous(series, say))
        made = part.rename(series / name)
        if keep is not None:
            for old in list_series(series)[:-keep]:
                # Without its manifest first: half a backup is none.
                (old / MANIFEST).unlink()
                shutil.rmtree(old)
    return made, manifest


def list_series(series: Path) -> list[Path]:
    """Return the backups of a series, the oldest first."""
    return sorted(path.parent for path in series.glob(f"[0-9]*/{MANIFEST}"))


def find_backup(folder: Path) -> Path:
    """Return the folder itself, or the newest backup of a series."""
    if not (folder / MANIFEST).exists() and (series := list_series(folder)):
        return series[-1]
    return folder


def _find_previous(series: Path, say: Say) -> Previous | None:
    """Return the newest backup of the series that can be read."""
    for folder in reversed(list_series(series)):
        try:
            return Previous(folder, read_manifest(folder))
        except BackupInvalid as error:
            say(f"WARNING: {error}")
    return None


def _check_series(series: Path) -> None:
    if not series.is_dir():
        return
    known = {path.name for path in list_series(series)}
    others = [path.name for path in series.iterdir() if path.name not in known and not path.name.startswith(".")]
    if others:
        raise BackupInvalid(
            f"{series} holds other things than a series of backups, such as {sorted(others)[0]}; choose a folder "
            "of its own."
        )
