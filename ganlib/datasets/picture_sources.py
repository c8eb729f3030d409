"""Where image files lie: a folder or a zip, read in place, in a fixed order, and never beyond its bounds."""

import hashlib
import os
import stat
import zipfile
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from ganlib.datasets.roots import FoundPath
from ganlib.errors import DatasetUnavailable

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


def open_source(found: FoundPath) -> PictureSource:
    """Open a folder or zip file; raises DatasetUnavailable."""
    if found.path.is_dir():
        return FolderSource(found)
    if zipfile.is_zipfile(found.path):
        return ZipSource(found.path)
    raise DatasetUnavailable(f"{found.path.name} is neither a folder nor a zip file.")


class FolderSource(PictureSource):
    """The image files of a folder and of the folders in it; a link is read only where it stays in the root."""

    def __init__(self, found: FoundPath) -> None:
        self.title = found.path.name
        self._folder, self._root = found.path, found.root
        facts = {}
        # Linked folders are not followed: they could lead outside, or round in a circle.
        for folder, folders, files in os.walk(found.path, followlinks=False):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for file in files:
                path = Path(folder, file)
                name = path.relative_to(found.path).as_posix()
                if _is_picture(name):
                    status = path.lstat()
                    facts[name] = (status.st_size, status.st_mtime_ns)
            if len(facts) > MAX_FILES:
                raise DatasetUnavailable(f"{self.title} holds more than {MAX_FILES:,} images.")
        self.names = sorted(facts)
        self.digest = _digest(str(found.path), *(f"{name} {facts[name]}" for name in self.names))

    def read(self, name: str) -> bytes:
        """Return the bytes of one file."""
        path = (self._folder / name).resolve(strict=True)
        if not path.is_relative_to(self._root):
            raise ValueError("the link leads out of the data folder")
        status = path.stat()
        # Opening a pipe would wait for ever.
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
            raise ValueError("not a plain file of bearable size")
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
            raise ValueError("declares to be too large")
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
