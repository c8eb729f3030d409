"""Writes files whole or not at all, and hashes them."""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganlib.events import StoredFile

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_disk_full(error: BaseException) -> bool:
    """Say whether an error means that a disk, or a quota on it, is full."""
    if isinstance(error, OSError):
        return error.errno in _DISK_FULL
    # The safetensors library gives the number in its text alone; not imported here, for processes without it.
    is_safetensors = type(error).__name__ == "SafetensorError"
    return is_safetensors and any(f"(os error {number})" in str(error) for number in _DISK_FULL)


def store_file(folder: Path, name: str, write: Callable[[Path], None]) -> "StoredFile":
    """Let `write` fill a temporary file, then give it its name in the folder in one step.

    A crash leaves either the whole file or none under that name.
    """
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as temporary:
        unfinished = Path(temporary.name)
    try:
        write(unfinished)
        sha256 = _sync_and_hash(unfinished)
        size = unfinished.stat().st_size
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    # Loaded where files are stored: commands and the service only replace some, and need no models of events.
    from ganlib.events import StoredFile

    return StoredFile(path=name, sha256=sha256, size=size)


def replace_text(path: Path, text: str) -> None:
    """Write a text file in one step: readers see the old text or the new one. It is not synced to the disk.

    Raises OSError, and then the old file is still there.
    """
    temporary = path.with_name(f"{path.name}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def hash_file(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_and_hash(path: Path) -> str:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return hash_file(path)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
