"""Finds data sets below the data roots: torchvision's files, folders and zips. Nothing outside is read."""

import hashlib
import os
import shutil
import socket
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.error import URLError

from ganlib.errors import DatasetUnavailable

DATA_VARIABLE = "GANVAS_DATA"


@dataclass(frozen=True)
class FoundPath:
    """A file or folder of a data set and the data folder that it is in, both without links."""

    path: Path
    root: Path


def data_roots() -> list[Path]:
    """Return the folders that data sets are looked for in, in order; they need not exist."""
    named = os.environ.get(DATA_VARIABLE)
    return [Path(named).expanduser(), cache_dir()] if named else [cache_dir()]


def cache_dir() -> Path:
    """Return the folder for what is downloaded or made once: ~/.cache/ganvas/data."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ganvas" / "data"


def find_in_roots(path: str) -> FoundPath | None:
    """Return the file or folder at the relative path in the first data folder that has it, or None.

    Raises DatasetUnavailable when it is a link that leads out of that folder.
    """
    for root in data_roots():
        try:
            real_root = root.resolve()
            target = (root / path).resolve(strict=True)
        except (OSError, RuntimeError):  # not there, or a link that leads to itself
            continue
        if not target.is_relative_to(real_root):
            raise DatasetUnavailable(f"{path} in {root} leads out of that folder; put the data set itself there.")
        return FoundPath(target, real_root)
    return None


_ANSWER_SECONDS = 20


@dataclass(frozen=True)
class TorchvisionFiles:
    """A data set of torchvision's: `folder` holds its files, and is complete when it holds `marker`."""

    title: str
    folder: str
    marker: str
    advice: str

    def find_root(self) -> Path | None:
        """Return the data folder that holds this data set, or None."""
        return next((root for root in data_roots() if (root / self.folder / self.marker).exists()), None)

    def read(self, root: Path, read: Callable[[str], Any]) -> Any:
        """Let `read` read the files below the data folder; raises DatasetUnavailable for damaged ones."""
        try:
            return read(str(root))
        except (RuntimeError, OSError, ValueError, AssertionError) as error:
            raise DatasetUnavailable(
                f"{self.title} in {root / self.folder} cannot be read ({_one_line(error)}): remove that folder to "
                f"download it again, set {DATA_VARIABLE} to a folder that holds {self.advice}."
            ) from error

    def download(self, fetch: Callable[[str], object]) -> Path:
        """Let fetch(folder) download into a folder, then move it to the cache; returns that data folder.

        An interrupted download is never taken for the data. Raises DatasetUnavailable.
        """
        root = cache_dir()
        try:
            root.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=root, prefix=".download-") as folder, _impatient_sockets():
                fetch(folder)
                if not (root / self.folder).exists():
                    shutil.move(Path(folder) / self.folder, root / self.folder)
        except (RuntimeError, OSError, URLError, ValueError) as error:
            raise DatasetUnavailable(
                f"{self.title} is not on this machine and cannot be downloaded ({_one_line(error)}): "
                f"set {DATA_VARIABLE} to a folder that holds {self.advice}."
            ) from error
        return root


@contextmanager
def _impatient_sockets() -> Iterator[None]:
    """Give up on a server that does not answer: torchvision's download sets no time limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_ANSWER_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].rstrip(".") if lines else type(error).__name__


SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
MAX_FILES = 1_000_000
MAX_FILE_BYTES = 32 * 1024 * 1024
# Members of a zip may share their compressed bytes, so that a small file unfolds to any amount.
MAX_ZIP_BYTES = 32 * 1024**3


class PictureSource(AbstractContextManager["PictureSource"], Protocol):
    """Image files by name.

    names: paths with '/', sorted; hidden files and other kinds of files are left out. title: what to call it.
    digest: changes when a file is added, taken away or written again.
    """

    names: list[str]
    title: str
    digest: str

    def read(self, name: str) -> bytes:
        """Return the bytes of one file; raises ValueError, OSError or what a damaged zip raises."""
        ...


def open_source(location: FoundPath) -> PictureSource:
    """Open a folder or zip file; raises DatasetUnavailable."""
    if location.path.is_dir():
        return FolderSource(location)
    if zipfile.is_zipfile(location.path):
        return ZipSource(location.path)
    raise DatasetUnavailable(f"{location.path.name} is neither a folder nor a zip file.")


class FolderSource(PictureSource):
    """The image files of a folder and of the folders in it; a link is read only where it stays in the root."""

    def __init__(self, location: FoundPath) -> None:
        self.title = location.path.name
        self._folder, self._root = location.path, location.root
        facts = {}
        # Linked folders are not followed: they could lead outside, or round in a circle.
        for folder, folders, files in os.walk(location.path, followlinks=False):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for file in files:
                path = Path(folder, file)
                name = path.relative_to(location.path).as_posix()
                if _is_picture(name):
                    status = path.lstat()
                    facts[name] = (status.st_size, status.st_mtime_ns)
            if len(facts) > MAX_FILES:
                raise DatasetUnavailable(f"{self.title} holds more than {MAX_FILES:,} images.")
        self.names = sorted(facts)
        self.digest = _digest(str(location.path), *(f"{name} {facts[name]}" for name in self.names))

    def read(self, name: str) -> bytes:
        """Return the bytes of one file."""
        path = (self._folder / name).resolve(strict=True)
        if not path.is_relative_to(self._root):
            raise ValueError("the link leads out of the data folder")
        status = path.stat()
        # Opening a pipe would wait for ever.
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
            raise ValueError("not a plain file, or too large")
        return path.read_bytes()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


class ZipSource(PictureSource):
    """The image files of a zip, which is never unpacked; `names` are known once it is entered."""

    def __init__(self, path: Path) -> None:
        self.title = path.name
        self.names = []
        self._path = path
        status = path.stat()
        self.digest = _digest(str(path), str(status.st_size), str(status.st_mtime_ns))

    def __enter__(self) -> Self:
        try:
            self._zip = zipfile.ZipFile(self._path)
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise DatasetUnavailable(f"{self.title} cannot be read as a zip file: {error}") from None
        self.names = sorted({name for name in self._zip.namelist() if _is_picture(name)})
        if len(self.names) > MAX_FILES:
            raise DatasetUnavailable(f"{self.title} holds more than {MAX_FILES:,} images.")
        if sum(self._zip.getinfo(name).file_size for name in self.names) > MAX_ZIP_BYTES:
            raise DatasetUnavailable(f"The images in {self.title} unfold to more than {MAX_ZIP_BYTES:,} bytes.")
        return self

    def read(self, name: str) -> bytes:
        """Return the bytes of one member."""
        # A member never gives more bytes than it declares, so its declared size bounds what is unpacked.
        if self._zip.getinfo(name).file_size > MAX_FILE_BYTES:
            raise ValueError("too large")
        return self._zip.read(name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._zip.close()


def _is_picture(name: str) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
    return name.lower().endswith(SUFFIXES) and not hidden


def _digest(*facts: str) -> str:
    # surrogateescape keeps names apart that are not valid UTF-8.
    return hashlib.sha256("\n".join(facts).encode(errors="surrogateescape")).hexdigest()
