"""Writes files completely or not at all, for modules that may not import `ganlib.runtime.files`; syncs folders."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
