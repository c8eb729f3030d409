"""MNIST's 60,000 training images (LeCun et al., 1998), through torchvision."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError

import torch
from torch import Tensor

from ganlib.errors import DatasetUnavailable

DATA_VARIABLE = "GANVAS_DATA"
_ANSWER_SECONDS = 20


def load_mnist() -> Tensor:
    """Return the images (60000, 1, 28, 28) as float32 in [0, 255]; raises DatasetUnavailable."""
    return _read(find_mnist())


def find_mnist() -> Path:
    """Return the folder that holds `MNIST/raw`: the one that GANVAS_DATA names, or else the cache.

    Downloads into the cache where neither has it. Raises DatasetUnavailable.
    """
    for root in _roots():
        if (root / "MNIST" / "raw").is_dir():
            return root
    _download(cache_dir())
    return cache_dir()


def _roots() -> list[Path]:
    named = os.environ.get(DATA_VARIABLE)
    return [Path(named).expanduser(), cache_dir()] if named else [cache_dir()]


def cache_dir() -> Path:
    """Return the folder for what is downloaded or made once: ~/.cache/ganvas/data."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ganvas" / "data"


def _read(root: Path) -> Tensor:
    # Imported here because torchvision takes a second to load and only this data set needs it.
    from torchvision.datasets import MNIST

    try:
        pixels: Tensor = MNIST(str(root), train=True).data
    except (RuntimeError, OSError, ValueError, AssertionError) as error:
        raise DatasetUnavailable(
            f"MNIST in {root / 'MNIST'} cannot be read ({_one_line(error)}): remove that folder to download it "
            f"again, set {DATA_VARIABLE} to a folder that holds MNIST/raw, or use `dataset: digits`."
        ) from error
    return pixels.to(torch.float32).unsqueeze(1)


def _download(root: Path) -> None:
    """Download into a folder of its own first, so that an interrupted download is never taken for the data."""
    from torchvision.datasets import MNIST

    try:
        root.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=root, prefix=".download-") as folder, _impatient_sockets():
            MNIST(folder, train=True, download=True)
            if not (root / "MNIST").exists():
                shutil.move(Path(folder) / "MNIST", root / "MNIST")
    except (RuntimeError, OSError, URLError, ValueError) as error:
        raise DatasetUnavailable(
            f"MNIST is not on this machine and cannot be downloaded ({_one_line(error)}): "
            f"set {DATA_VARIABLE} to a folder that holds MNIST/raw, or use `dataset: digits`."
        ) from error


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
