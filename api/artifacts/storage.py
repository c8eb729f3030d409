"""Blobs: files that are known by the sha256 of their bytes, written whole or not at all."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Protocol

from api.errors import ArtifactRefused, StorageFull

_SHA256 = re.compile(r"[0-9a-f]{64}")
# How much of a file's beginning a writer remembers, for a look at its header.
HEAD_BYTES = 64
TORN_SUFFIX = ".part"
# Small blobs that are written at once; also the files that one request has open.
_TOGETHER = 8
_making_folder = Lock()


class BlobWriter(Protocol):
    """Receives one blob's bytes; nothing is visible before `commit`."""

    size: int
    head: bytes

    def write(self, data: bytes) -> None:
        """Add bytes; raises StorageFull."""

    def commit(self) -> None:
        """Make the blob visible and durable; raises ArtifactRefused when its sha256 is another one."""

    def abort(self) -> None:
        """Forget what was written; does nothing after a commit."""


class Blobs(Protocol):
    """A place for blobs. Paths are made from the sha256 alone, so no name from outside reaches the disk."""

    def begin(self, sha256: str) -> BlobWriter:
        """Begin a blob; raises StorageFull."""

    def open(self, sha256: str) -> BinaryIO:
        """Open for reading; raises FileNotFoundError."""

    def exists(self, sha256: str) -> bool:
        """Say whether the blob is there."""

    def delete(self, sha256: str) -> None:
        """Delete the blob if it is there; who reads it just now reads on to its end."""

    def sweep(self, seconds: float) -> None:
        """Delete what uploads left behind that a crash cut off at least so many seconds ago."""


def store_together(blobs: Blobs, contents: Mapping[str, bytes]) -> None:
    """Store several small blobs, by their sha256; returns when each is durable, or raises as a writer does.

    Several at once: most of the work is waiting for the disk, which does many fsyncs in hardly more time than one.
    """

    def store(sha256: str) -> None:
        writer = blobs.begin(sha256)
        try:
            writer.write(contents[sha256])
            writer.commit()
        finally:
            writer.abort()

    with ThreadPoolExecutor(_TOGETHER, thread_name_prefix="store") as pool:
        for _ in pool.map(store, contents):
            pass


def is_damaged(blobs: Blobs, sha256: str) -> bool:
    """Read a blob and say whether its bytes have another sha256; one that is not there is not damaged."""
    try:
        with blobs.open(sha256) as file:
            found = hashlib.sha256()
            while piece := file.read(1_048_576):
                found.update(piece)
    except FileNotFoundError:
        return False
    return found.hexdigest() != sha256


class LocalBlobs:
    """Blobs in a local folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, sha256: str) -> BlobWriter:
        """Begin a blob in a temporary file beside its final place."""
        path = self._path(sha256)
        with full_disk_is_storage_full():
            _make_folder(path.parent)
            return LocalWriter(path, sha256)

    def open(self, sha256: str) -> BinaryIO:
        """Open for reading; raises FileNotFoundError."""
        return self._path(sha256).open("rb")

    def exists(self, sha256: str) -> bool:
        """Say whether the blob is there."""
        return self._path(sha256).is_file()

    def delete(self, sha256: str) -> None:
        """Delete the blob if it is there."""
        self._path(sha256).unlink(missing_ok=True)

    def sweep(self, seconds: float) -> None:
        """Delete what uploads left behind that a crash cut off so long ago."""
        for path in self._folder.glob(f"*/.*{TORN_SUFFIX}"):
            # Another process may sweep at the same time.
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > seconds:
                    path.unlink()

    def _path(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"not a sha256: {sha256!r}")
        return self._folder / sha256[:2] / sha256


class CheckedWriter:
    """What writers have in common: bytes go into a file of this machine, and their sha256 is found on the way."""

    def __init__(self, sha256: str, file: BinaryIO) -> None:
        self.size = 0
        self.head = b""
        self._sha256 = sha256
        self._hash = hashlib.sha256()
        self._file = file

    def write(self, data: bytes) -> None:
        """Add bytes; raises StorageFull."""
        with full_disk_is_storage_full():
            self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]

    def check(self) -> None:
        """Raise ArtifactRefused when the bytes have another sha256 than was said."""
        found = self._hash.hexdigest()
        if found != self._sha256:
            raise ArtifactRefused("The bytes have another sha256 than the address says.", sha256=found)


class LocalWriter(CheckedWriter):
    """Writes one blob: temporary file, fsync, rename, fsync of the folder."""

    def __init__(self, path: Path, sha256: str) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{TORN_SUFFIX}")
        super().__init__(sha256, self._temporary.open("xb"))

    def commit(self) -> None:
        """Make the blob visible and durable; raises ArtifactRefused when its sha256 is another one."""
        self.check()
        with full_disk_is_storage_full():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.replace(self._path)
            _fsync_folder(self._path.parent)

    def abort(self) -> None:
        """Remove the temporary file if it is still there."""
        # What is left in the buffer of a full disk cannot be written, and need not be.
        with contextlib.suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)


@contextmanager
def full_disk_is_storage_full() -> Iterator[None]:
    """Turn the system's errors of a full disk or quota into StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull from error
        raise


def _make_folder(folder: Path) -> None:
    # Held until the new name is durable: who finds the folder there may rely on it.
    with _making_folder:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _fsync_folder(folder.parent)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
