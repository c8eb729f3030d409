"""Sheets that were made before, as files: more than memory holds, and still there after a restart.

What lies here can be made again, so nothing is synced to the disk and no failure is anybody's trouble: a file that
is torn or damaged is as good as none, and on a full disk nothing is kept.
"""

import hashlib
import logging
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

KEPT_BYTES = 256 * 1_048_576
# What nobody looked at for so long goes, also where there is room: its run may be deleted by now.
KEPT_SECONDS = 7 * 86_400
# Between two looks at how much there is.
TIDY_EVERY = 128
_DIGEST_BYTES = 32


class Shelf:
    """A folder of sheets by name, those that were used last. Threads may share it, and so may processes."""

    def __init__(self, folder: Path, kept_bytes: int = KEPT_BYTES) -> None:
        self._folder = folder
        self._kept_bytes = kept_bytes
        self._put_count = 0

    def find(self, name: str) -> bytes | None:
        """Return what was put here under this name, or None."""
        path = self._path(name)
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        digest, content = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        return content if hashlib.sha256(content).digest() == digest else None

    def put(self, name: str, content: bytes) -> None:
        """Keep this under its name, as far as the disk allows."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._put_count % TIDY_EVERY == 0:
                self.tidy()
            self._put_count += 1
            with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".part", delete=False) as file:
                try:
                    file.write(hashlib.sha256(content).digest() + content)
                    file.flush()
                    os.replace(file.name, self._path(name))
                except OSError:
                    os.unlink(file.name)
                    raise
        except OSError as error:
            logger.debug("A sheet is not kept: %s", error)

    def tidy(self) -> None:
        """Delete what was not used for a week, and the longest unused beyond what may be kept."""
        found = []
        for entry in os.scandir(self._folder):
            # Another process may have deleted it.
            with suppress(FileNotFoundError):
                seen = entry.stat()
                found.append((seen.st_mtime, seen.st_size, entry.path))
        oldest, room = time.time() - KEPT_SECONDS, self._kept_bytes
        for used_at, size, path in sorted(found, reverse=True):
            room -= size
            if room < 0 or used_at < oldest:
                with suppress(FileNotFoundError):
                    os.unlink(path)

    def _path(self, name: str) -> Path:
        return self._folder / hashlib.sha256(name.encode()).hexdigest()
