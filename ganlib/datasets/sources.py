"""Finds data sets below the data folders, and reads the files of a folder. Nothing outside is read."""

import hashlib
import os
import stat
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol

from ganlib.datasets.pictures import OTHER_IMAGE_SUFFIXES, PictureUnreadable, picture_suffixes
from ganlib.errors import DatasetUnavailable

DATA_VARIABLE = "GANVAS_DATA"
MAX_FILES = 1_000_000
MAX_FILE_BYTES = 32 * 1024 * 1024

# Reasons complete "is left out, …".
LEADS_OUTSIDE = "linked to a place outside of the data folder"
LEADS_NOWHERE = "linked to nothing"
LINKED = "linked, and not followed"
UNOPENED = "not readable"
NOT_PLAIN = "a pipe or device"
TOO_MANY_BYTES = f"larger than {MAX_FILE_BYTES // 1024**2} MiB"
OTHER_IMAGE = "of a kind that cannot be read (convert it to PNG or JPEG)"
BESIDE_PARTS = "beside the folders of the parts"


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


def open_plain(path: Path, flags: int = 0) -> int:
    """Open a file to read and return its descriptor; raises PictureUnreadable for a pipe or device, or OSError.

    Opening a pipe without O_NONBLOCK would wait for ever.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PictureUnreadable(NOT_PLAIN)
    return descriptor


@dataclass
class LeftOut:
    """What of a data set is not read.

    files, folders: names by reason. others: files that are no images. hidden: image files that are hidden.
    """

    files: dict[str, list[str]] = field(default_factory=dict)
    folders: dict[str, list[str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)

    def add(self, reason: str, *names: str) -> None:
        """Add image files."""
        if names:
            self.files.setdefault(reason, []).extend(names)

    def add_folder(self, reason: str, name: str) -> None:
        """Add a folder with all that may be in it."""
        self.folders.setdefault(reason, []).append(name)

    def __add__(self, other: "LeftOut") -> "LeftOut":
        """Return what both hold."""
        return LeftOut(
            _join(self.files, other.files),
            _join(self.folders, other.folders),
            self.others + other.others,
            self.hidden + other.hidden,
        )

    def warnings(self, title: str, count: int) -> tuple[str, ...]:
        """Return a sentence for each reason to leave out images; count: of all image files, these among them."""
        of_files = [
            f"{len(names):,} of {count:,} image files in {title} {_are(names)} left out, {reason}: "
            f"{show_names(names)}"
            for reason, names in self.files.items()
        ]
        of_folders = [
            f"{_count(names, 'folder')} in {title} {_are(names)} left out, {reason}: {show_names(names)}"
            for reason, names in self.folders.items()
        ]
        return (*of_files, *of_folders)

    def notes(self, title: str) -> tuple[str, ...]:
        """Return a sentence on files that are no images, and one on hidden images."""
        found = ((self.others, "no image"), (self.hidden, "hidden"))
        return tuple(
            f"{_count(names, 'other file')} in {title} {_are(names)} left out, {reason}: {show_names(names)}"
            for names, reason in found
            if names
        )


def _join(first: dict[str, list[str]], second: dict[str, list[str]]) -> dict[str, list[str]]:
    return {reason: first.get(reason, []) + second.get(reason, []) for reason in {**first, **second}}


_NAMED = 10
_HASH_CHUNK = 256


def show_names(names: Iterable[str]) -> str:
    """Return the first names, safe to print, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - _NAMED:,} more" if len(ordered) > _NAMED else ""
    return ", ".join(map(show_name, ordered[:_NAMED])) + more


def show_name(name: str) -> str:
    """Return a file's name, with escapes where it cannot be printed as it is."""
    return name if name.isprintable() else ascii(name)[1:-1]


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _count(names: list[str], what: str) -> str:
    return f"{len(names):,} {what}{'' if len(names) == 1 else 's'}"


class PictureSource(AbstractContextManager["PictureSource"], Protocol):
    """Image files by name.

    names: paths with '/', sorted. left_out: what is not among them. title: what to call the source. All are known
    once it is entered.
    """

    names: list[str]
    left_out: LeftOut
    title: str

    def read(self, name: str) -> bytes:
        """Return the bytes of one file; raises PictureUnreadable."""
        ...

    def digest(self) -> str:
        """Return a sha256 that changes with any name and any byte of the image files, whatever their times say."""
        ...


def sort_in(name: str, left_out: LeftOut) -> bool:
    """Return whether a file is taken for an image, by its name; others are noted in left_out.

    A name without an ending may be that of an image: it is opened to see.
    """
    parts = name.split("/")
    if "__MACOSX" in parts or parts[-1].startswith("._"):
        return False
    suffix = suffix_of(name)
    is_image = suffix in picture_suffixes()
    if any(part.startswith(".") for part in parts):
        left_out.hidden += [name] if is_image else []
        return False
    if not is_image and suffix in OTHER_IMAGE_SUFFIXES:
        left_out.add(OTHER_IMAGE, name)
    elif not is_image and suffix:
        left_out.others.append(name)
    return is_image or not suffix


def suffix_of(name: str) -> str:
    """Return the ending of a file's name in small letters, such as `.png`; "" without one."""
    return os.path.splitext(name.rpartition("/")[2])[1].lower()


class FolderSource(PictureSource):
    """The image files of a folder and of the folders in it; a link is read only where it stays in the root."""

    def __init__(self, location: FoundPath) -> None:
        self.title = location.path.name
        self.names = []
        self.left_out = LeftOut()
        self._folder, self._root = location.path, location.root
        self._links: set[str] = set()

    def __enter__(self) -> "FolderSource":
        folders = [""]
        while folders:
            prefix = folders.pop()
            try:
                with os.scandir(self._folder / prefix) as entries:
                    folders += [f"{folder}/" for folder in self._sort_in(prefix, entries)]
            except OSError:
                self.left_out.add_folder(UNOPENED, prefix.rstrip("/") or ".")
            if len(self.names) > MAX_FILES:
                raise DatasetUnavailable(f"{self.title} holds more than {MAX_FILES:,} images.")
        self.names.sort()
        return self

    def _sort_in(self, prefix: str, entries: Iterable["os.DirEntry[str]"]) -> list[str]:
        """Note the entries of a folder, and return the folders among them that are to be looked into."""
        folders = []
        for entry in entries:
            name = f"{prefix}{entry.name}"
            is_hidden = entry.name.startswith(".") or entry.name == "__MACOSX"
            if entry.is_dir(follow_symlinks=False):
                folders += [] if is_hidden else [name]
            elif entry.is_symlink() and os.path.isdir(entry.path):
                # Not followed: it could lead outside, or round in a circle.
                if not is_hidden:
                    self.left_out.add_folder(LINKED, name)
            elif sort_in(name, self.left_out):
                self.names.append(name)
                if entry.is_symlink():
                    self._links.add(name)
        return folders

    def read(self, name: str) -> bytes:
        """Return the bytes of one file."""
        path = self._folder / name
        if name in self._links:
            path = self._follow(path)
        try:
            with os.fdopen(open_plain(path, os.O_NOFOLLOW), "rb") as file:
                size = os.fstat(file.fileno()).st_size
                content = file.read(min(size, MAX_FILE_BYTES) + 1)
        except OSError:
            raise PictureUnreadable(UNOPENED) from None
        if len(content) > MAX_FILE_BYTES:
            raise PictureUnreadable(TOO_MANY_BYTES)
        return content

    def _follow(self, link: Path) -> Path:
        try:
            path = link.resolve(strict=True)
        except (OSError, RuntimeError):  # not there, or it leads to itself
            raise PictureUnreadable(LEADS_NOWHERE) from None
        if not path.is_relative_to(self._root):
            raise PictureUnreadable(LEADS_OUTSIDE)
        return path

    def digest(self) -> str:
        """Return the digest of all names and contents; files are read on several threads."""
        chunks = [self.names[start : start + _HASH_CHUNK] for start in range(0, len(self.names), _HASH_CHUNK)]
        whole = hashlib.sha256()
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            for lines in pool.map(self._hash, chunks):
                whole.update(lines.encode(errors="surrogateescape"))
        return whole.hexdigest()

    def _hash(self, names: list[str]) -> str:
        lines = []
        for name in names:
            try:
                digest = hashlib.sha256(self.read(name)).hexdigest()
            except PictureUnreadable as error:
                digest = f"not read: {error}"
            lines.append(f"{name}\0{digest}\n")
        return "".join(lines)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass
