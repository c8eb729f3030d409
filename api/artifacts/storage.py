"""The blob store: files named by the sha256 of their bytes, written completely or not at all."""

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
from api.server.files import fsync_folder

_SHA256 = re.compile(r"[0-9a-f]{64}")
# A writer keeps this many first bytes, to check a file's header.
HEAD_BYTES = 64
TORN_SUFFIX = ".part"
# Small blobs that one request writes, and keeps open, concurrently.
_PARALLEL_WRITES = 8
_making_folder = Lock()
# Folders whose names this process made durable; kept by path, of which there are 256 a store.
_durable_folders: set[Path] = set()


class BlobWriter(Protocol):
    """Receives one blob's bytes; nothing is visible before `commit`."""

    size: int
    head: bytes

    def write(self, data: bytes) -> None:
        """Add bytes; raises StorageFull."""

    def commit(self) -> None:
        """Make the blob visible and durable; raises ArtifactRefused for another sha256."""

    def abort(self) -> None:
        """Discard the written bytes; does nothing after a commit."""


class Blobs(Protocol):
    """A store of blobs. Paths are made from the sha256 only, so no external name reaches the disk."""

    def begin(self, sha256: str) -> BlobWriter:
        """Begin a blob; raises StorageFull."""

    def open(self, sha256: str) -> BinaryIO:
        """Open for reading; raises FileNotFoundError."""

    def exists(self, sha256: str) -> bool:
        """Return whether the blob is stored."""

    def delete(self, sha256: str) -> None:
        """Delete the blob if it is stored; open readers can finish."""

    def sweep(self, seconds: float) -> None:
        """Delete partial uploads that are older than this many seconds."""

    def list_older(self, seconds: float) -> Iterator[tuple[str, int]]:
        """Yield sha256 and size of every blob that was written longer ago than this."""


def store_all(blobs: Blobs, contents: Mapping[str, bytes]) -> None:
    """Store several small blobs, by their sha256; returns when all are durable, or raises as a writer does.

    They are written concurrently: most of the time is spent on fsync, and disks do many in little more time than
    one.
    """

    def store(sha256: str) -> None:
        writer = blobs.begin(sha256)
        try:
            writer.write(contents[sha256])
            writer.commit()
        finally:
            writer.abort()

    with ThreadPoolExecutor(_PARALLEL_WRITES, thread_name_prefix="store") as pool:
        for _ in pool.map(store, contents):
            pass


def is_damaged(blobs: Blobs, sha256: str) -> bool:
    """Return whether the stored bytes have another sha256; a missing blob is not damaged."""
    try:
        with blobs.open(sha256) as file:
            digest = hashlib.sha256()
            while piece := file.read(1_048_576):
                digest.update(piece)
    except FileNotFoundError:
        return False
    return digest.hexdigest() != sha256


class LocalBlobs:
    """Blobs in a local folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, sha256: str) -> BlobWriter:
        """Begin a blob in a temporary file beside its final path."""
        path = self._path(sha256)
        with raising_storage_full():
            _make_folder(path.parent)
            return LocalWriter(path, sha256)

    def open(self, sha256: str) -> BinaryIO:
        """Open for reading; raises FileNotFoundError."""
        return self._path(sha256).open("rb")

    def exists(self, sha256: str) -> bool:
        """Return whether the blob is stored."""
        return self._path(sha256).is_file()

    def delete(self, sha256: str) -> None:
        """Delete the blob if it is stored."""
        self._path(sha256).unlink(missing_ok=True)

    def sweep(self, seconds: float) -> None:
        """Delete partial uploads that are older than this many seconds."""
        for path in self._folder.glob(f"*/.*{TORN_SUFFIX}"):
            # Another process may sweep at the same time.
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > seconds:
                    path.unlink()

    def list_older(self, seconds: float) -> Iterator[tuple[str, int]]:
        """Yield sha256 and size of every blob that was written longer ago than this."""
        latest = time.time() - seconds
        for path in self._folder.glob("[0-9a-f][0-9a-f]/*"):
            if _SHA256.fullmatch(path.name):
                with contextlib.suppress(FileNotFoundError):
                    facts = path.stat()
                    if facts.st_mtime < latest:
                        yield path.name, facts.st_size

    def _path(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"not a sha256: {sha256!r}")
        return self._folder / sha256[:2] / sha256


class CheckedWriter:
    """Base of writers: writes bytes to a local file and computes their sha256."""

    def __init__(self, sha256: str, file: BinaryIO) -> None:
        self.size = 0
        self.head = b""
        self._sha256 = sha256
        self._hash = hashlib.sha256()
        self._file = file

    def write(self, data: bytes) -> None:
        """Add bytes; raises StorageFull."""
        with raising_storage_full():
            self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]

    def check(self) -> None:
        """Raise ArtifactRefused when the written bytes have another sha256."""
        actual = self._hash.hexdigest()
        if actual != self._sha256:
            raise ArtifactRefused("The file's sha256 is not the one in the address; send it again.", sha256=actual)


class LocalWriter(CheckedWriter):
    """Writes one blob: temporary file, fsync, rename, fsync of the folder."""

    def __init__(self, path: Path, sha256: str) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{TORN_SUFFIX}")
        super().__init__(sha256, self._temporary.open("xb"))

    def commit(self) -> None:
        """Make the blob visible and durable; raises ArtifactRefused for another sha256."""
        self.check()
        with raising_storage_full():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.replace(self._path)
            fsync_folder(self._path.parent)

    def abort(self) -> None:
        """Remove the temporary file if it still exists."""
        # On a full disk the buffer cannot be flushed; the file is discarded anyway.
        with contextlib.suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)


@contextmanager
def raising_storage_full() -> Iterator[None]:
    """Raise StorageFull for the system's errors of a full disk or quota."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull from error
        raise


def _make_folder(folder: Path) -> None:
    # Held until the new name is durable, so that other threads can rely on the folder.
    with _making_folder:
        if folder in _durable_folders and folder.is_dir():
            return
        folder.mkdir(parents=True, exist_ok=True)
        # Also of a folder that is there: whoever made it may have failed before its name was durable.
        for path in (folder, folder.parent):
            fsync_folder(path.parent)
        _durable_folders.add(folder)
