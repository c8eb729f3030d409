"""Room that a run keeps on its disk, so that its last checkpoint has a place however full the disk is by then."""

import errno
import hashlib
import os
from pathlib import Path

from ganlib.events import StoredFile
from ganlib.runtime.files import sync_folder

# What a checkpoint may grow by from one to the next.
_SPARE_BYTES = 65_536


class LastCheckpointUnsaved(OSError):
    """Not even a run's last checkpoint found room: the newest one is an earlier one."""

    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, "the last checkpoint found no room")


class KeptRoom:
    """A file of a checkpoint's size below `folder`; what is written over it takes no new room.

    A file system that copies what is written over, or that keeps no room, may have none all the same.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "checkpoints" / ".kept-room"
        self._size = 0

    def keep(self, size: int) -> None:
        """Keep room for a file of about so many bytes; if the disk has none now, a later call tries again."""
        wanted = size + _SPARE_BYTES
        if wanted <= self._size:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, wanted)
            self._size = wanted
        except (OSError, AttributeError):
            # Half of the room is of no use, and other files may want it. (macOS has no such call.)
            self.release()

    def fill(self, name: str, content: bytes) -> StoredFile:
        """Write a file where room was kept, and give it its name; raises LastCheckpointUnsaved."""
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
        """Keep no room any more."""
        self._size = 0
        self._path.unlink(missing_ok=True)
