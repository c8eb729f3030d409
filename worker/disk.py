"""How much room the worker's disk has."""

import os
from pathlib import Path

# Less than this, and a worker takes no job: its first files would find no room.
LEAST_FREE_BYTES = 16 * 1024 * 1024


def free_bytes(folder: Path) -> int:
    """Return how many bytes may still be written below a folder, which need not exist yet."""
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize
