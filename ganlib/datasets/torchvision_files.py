"""Data sets that torchvision reads and downloads: whole or not there, and never waited for without end."""

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import URLError

from ganlib.datasets.roots import DATA_VARIABLE, cache_dir, data_roots
from ganlib.errors import DatasetUnavailable

_ANSWER_SECONDS = 20


@dataclass(frozen=True)
class TorchvisionFiles:
    """A data set of torchvision's: `folder` is what its files lie in, `marker` what it must hold to be read."""

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
