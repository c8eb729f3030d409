"""Where data sets lie: the folder that GANVAS_DATA names, then the cache. Nothing outside them is ever read."""

import os
from dataclasses import dataclass
from pathlib import Path

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
    """Return what lies at the relative path in the first data folder that has it; None where none has.

    Raises DatasetUnavailable when it is a link that leads out of that folder.
    """
    for root in data_roots():
        try:
            real_root = root.resolve()
            found = (root / path).resolve(strict=True)
        except (OSError, RuntimeError):  # not there, or a link that leads to itself
            continue
        if not found.is_relative_to(real_root):
            raise DatasetUnavailable(f"{path} in {root} leads out of that folder; put the data set itself there.")
        return FoundPath(found, real_root)
    return None
