"""Values and media files that trackers log beside numbers."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from ganlib.events import Histogram
from ganvas.exchange.histograms import rebin
from ganvas.exchange.records import Losses

# As JSON writers without NaN write them.
_NAMED = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_MAX_PICTURE = 64 * 1_048_576


def to_number(value: Any) -> float | None:
    """Return a logged number, whatever JSON made of it; None for anything else. True is 1."""
    if isinstance(value, (bool, int, float)):
        try:
            return float(value)
        except OverflowError:
            return None
    return _NAMED.get(value) if isinstance(value, str) else None


def read_histogram(value: dict[str, Any]) -> Histogram | None:
    """Return a histogram of `values` between `bins`, or of `values` in `packedBins`; None if it cannot be read."""
    counts, edges, packed = value.get("values"), value.get("bins"), value.get("packedBins")
    try:
        if isinstance(packed, dict):
            low, size = float(packed["min"]), float(packed["size"])
            edges = [low + index * size for index in range(int(packed["count"]) + 1)]
        if not isinstance(counts, list) or not isinstance(edges, list) or len(edges) != len(counts) + 1:
            return None
        return rebin(list(pairwise(edges)), [float(count) for count in counts])
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


class Folder:
    """A folder that records name files in. A name that leads out of it is refused."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._resolved = path.resolve()

    def find(self, name: Any, where: str, losses: Losses) -> Path | None:
        """Return the path of a file; None, and a loss, if it is missing or outside."""
        if not isinstance(name, str) or not name:
            losses.add("media without the name of a file", where)
            return None
        try:
            path = (self._path / name).resolve()
            inside = path.is_relative_to(self._resolved)
            exists = inside and path.is_file()
        except (OSError, ValueError):
            inside, exists = True, False
        if not inside:
            losses.add("files outside the run's folder, not read", f"{name}, {where}")
        elif not exists:
            losses.add("files that are missing", f"{name}, {where}")
        return path if exists else None

    def read(self, name: Any, where: str, losses: Losses) -> bytes | None:
        """Return the bytes of a picture; None, and a loss, if there is none to read."""
        path = self.find(name, where, losses)
        if path is None:
            return None
        try:
            if path.stat().st_size > _MAX_PICTURE:
                losses.add("pictures of more than 64 MiB", f"{name}, {where}")
                return None
            return path.read_bytes()
        except OSError as error:
            losses.add("files that cannot be read", f"{name}, {where}: {error.strerror}")
            return None
