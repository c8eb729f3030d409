"""Disk space that a run reserves, so that its last checkpoint finds room however full the disk is by then."""

import errno
import hashlib
import os
from pathlib import Path

from ganlib.events import StoredFile
from ganlib.runtime.files import sync_folder

# The most that a checkpoint grows by from one to the next, mostly what rules remember of the run's signals.
_SPARE_BYTES = 524_288


class LastCheckpointUnsaved(OSError):
    """A run's last checkpoint found no room: the newest one is an earlier one."""

    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, "the last checkpoint found no room")


class DiskReserve:
    """A file of a checkpoint's size below `folder`; writing over it needs no new disk space.

    A file system that copies on write, or that cannot reserve space, may have none all the same.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "checkpoints" / ".kept-room"
        self._size = 0

    def reserve(self, size: int) -> None:
        """Reserve space for a file of about `size` bytes; if the disk has none now, a later call tries again."""
        needed = size + _SPARE_BYTES
        if needed <= self._size:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, needed)
            self._size = needed
        except (OSError, AttributeError):
            # A part of the space is of no use, and other files may need it. (macOS has no such call.)
            self.release()

    def write(self, name: str, content: bytes) -> StoredFile:
        """Write a file into the reserved space, and give it its name; raises LastCheckpointUnsaved."""
        if len(content) > self._size:
            raise LastCheckpointUnsaved
        with self._path.open("r+b") as file:
            file.write(content)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        path = self._folder / name
        self._path.replace(path)
        sync_folder(path.parent)
        return StoredFile(path=name, sha256=hashlib.sha256(content).hexdigest(), size=len(content))

    def release(self) -> None:
        """Give the reserved space back."""
        self._size = 0
        self._path.unlink(missing_ok=True)
