"""Files of the service: written completely or not at all, readable by their owner alone, and room for them.

For modules that may not import `ganlib.runtime.files`; also makes the names in a folder durable.
"""

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the name `path` at the end of the block; after an error nothing is left.

    Readers see the old file or the whole new one. Nothing is synced to the disk.
    """
    # Not tempfile's: only its owner may read such a file; this one has the permissions of any new file.
    with (path.parent / f".{uuid4().hex}.part").open("xb") as file:
        try:
            yield file
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


_OTHERS, _GROUP = stat.S_IRWXO, stat.S_IRWXG
# Room that a service needs to start: SQLite's index of its log, the address file, and some to spare.
_START_BYTES = 1_048_576


def make_private(folder: Path) -> None:
    """Make a folder for its owner alone where it is missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def make_private_file(path: Path) -> None:
    """Make an empty file for its owner alone where it is missing; for the folder's group too if that is shared."""
    with suppress(OSError):
        mode = 0o660 if _is_shared(path.parent.stat().st_mode) else 0o600
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL, mode)
        os.fchmod(descriptor, mode)
        os.close(descriptor)


def tighten(home: Path, database: Path | None) -> list[Path]:
    """Take the state folder and its database from everyone but their owner; returns what has changed.

    A folder that its group may write to, or that hands its group on, was shared with it by the operator: the group
    keeps it. What belongs to somebody else stays as it is.
    """
    folder_mode = home.stat().st_mode
    taken = _OTHERS if _is_shared(folder_mode) else _OTHERS | _GROUP
    files = [] if database is None else [database, *(Path(f"{database}{end}") for end in ("-wal", "-shm"))]
    changed = []
    for path in (home, *files):
        with suppress(OSError):
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & taken:
                path.chmod(mode & ~taken)
                changed.append(path)
    return changed


def has_room(folder: Path) -> bool:
    """Return whether the folder's disk, or the user's share of it, has room for a service to start."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, _START_BYTES)
    except OSError as error:
        return error.errno not in (errno.ENOSPC, errno.EDQUOT)
    return True


def _is_shared(mode: int) -> bool:
    return bool(mode & (stat.S_IWGRP | stat.S_ISGID))
