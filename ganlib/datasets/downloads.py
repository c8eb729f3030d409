"""Files of known data sets: found under many names, unpacked in memory, told from what is not them; downloads."""

import os
import shutil
import socket
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError

from ganlib.datasets.pictures import PictureUnreadable
from ganlib.datasets.sources import DATA_VARIABLE, cache_dir, data_roots, open_plain
from ganlib.errors import DatasetUnavailable

# The largest file that is read whole has 47 MB.
MAX_BYTES = 256 * 1024**2
_ANSWER_SECONDS = 20
_GZIP = b"\x1f\x8b"


class FileUnusable(Exception):
    """A file is not what its name says; the message completes "train-labels.gz "."""


def list_folder(folder: Path) -> list[Path]:
    """Return the entries of a folder by name; none where it is none or cannot be opened."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def find_folders(names: frozenset[str]) -> list[Path]:
    """Return the folders of these names (in small letters) in the data folders, and each data folder itself."""
    found = []
    for root in data_roots():
        found += [path for path in list_folder(root) if path.name.lower() in names and path.is_dir()]
        found.append(root)
    return found


def read_file(path: Path) -> bytes:
    """Return the bytes of a file, unpacked where it is gzipped, whatever its name says; raises FileUnusable."""
    try:
        with os.fdopen(open_plain(path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(min(size, MAX_BYTES) + 1)
    except PictureUnreadable as error:
        raise FileUnusable(f"is {error}") from None
    except OSError as error:
        raise FileUnusable(f"cannot be opened ({error.strerror})") from None
    # Some servers gzip a file that is gzipped already.
    for _ in range(2):
        content = gunzip(content) if content.startswith(_GZIP) else content
    refuse_other_kinds(content)
    return content


def gunzip(content: bytes) -> bytes:
    """Return what gzipped bytes unfold to; raises FileUnusable."""
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        unpacked = decompressor.decompress(content, MAX_BYTES + 1)
    except zlib.error as error:
        raise FileUnusable(f"is damaged ({error})") from None
    if len(unpacked) > MAX_BYTES:
        raise FileUnusable("unfolds to more than 256 MiB")
    if not decompressor.eof:
        raise FileUnusable("is cut off")
    return unpacked


def refuse_other_kinds(content: bytes) -> None:
    """Raise FileUnusable for what often lies in the place of a download."""
    if not content:
        raise FileUnusable("is empty")
    if len(content) > MAX_BYTES:
        raise FileUnusable("has more than 256 MiB")
    if is_web_page(content):
        raise FileUnusable("is a web page, from a download that failed")
    if content.startswith(b"version https://git-lfs"):
        raise FileUnusable("is a pointer of Git LFS, in the place of the file itself (git lfs pull)")


def is_web_page(content: bytes) -> bool:
    """Return whether a file is HTML or an answer in XML or JSON, as servers send in the place of a file."""
    start = content[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<error", b'{"'))


def download(title: str, folder: str, fetch: Callable[[str], object], advice: str) -> Path:
    """Let fetch(root) download into a new root, then move its `folder` to the cache; returns where that is.

    An interrupted download is never taken for the data. Raises DatasetUnavailable, which repeats the advice.
    """
    root = cache_dir()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=root, prefix=".download-") as new, _impatient_sockets():
            fetch(new)
            if not (root / folder).exists():
                (root / folder).parent.mkdir(exist_ok=True)
                shutil.move(Path(new) / folder, root / folder)
    except (RuntimeError, OSError, URLError, ValueError, EOFError) as error:
        raise DatasetUnavailable(
            f"{title} is not on this machine and cannot be downloaded ({_one_line(error)}): {advice}"
        ) from error
    return root / folder


def advise(what: str) -> str:
    """Return how to provide the files of a data set."""
    return f"set {DATA_VARIABLE} to a folder that holds {what}."


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
    """Return the last line of an error, without advice on how to call torchvision."""
    lines = str(error).strip().splitlines()
    text = lines[-1].strip("<>").rstrip(".") if lines else type(error).__name__
    return "what the server sent is not the data set" if "download=True" in text or "corrupted" in text else text
