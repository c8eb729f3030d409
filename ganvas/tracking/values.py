"""What a loop hands over, as events hold it: names, steps, numbers of any kind, and histograms of many.

NumPy and PyTorch are used where the loop's own objects are theirs; neither is imported.
"""

import json
import math
import operator
import os
import sys
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ganlib.spec.storable import is_storable

LARGEST_STEP = 1_000_000_000
LONGEST_NAME = 250
MOST_VALUES = 256
BIN_COUNT = 64
# Most integers of a loop are smaller, and floats for sure.
_EXACT = 2**53


def read_step(step: Any) -> int:
    """Return a step as an int; raises TypeError or ValueError."""
    try:
        found = operator.index(step)
    except TypeError:
        raise TypeError(f"step must be an integer, such as the loop's counter; not {step!r}.") from None
    if not 0 <= found <= LARGEST_STEP:
        raise ValueError(f"step must be from 0 to {LARGEST_STEP:,}; not {found:,}.")
    return found


def check_name(name: Any, what: str = "a metric's name") -> str:
    """Return a name as it is; raises TypeError or ValueError."""
    if not isinstance(name, str):
        raise TypeError(f"{what} must be text such as 'loss_G'; not {name!r}.")
    if not 1 <= len(name) <= LONGEST_NAME:
        raise ValueError(f"{what} must have 1 to {LONGEST_NAME} characters; {name[:40]!r} has {len(name)}.")
    if name != name.strip() or not name.isprintable() or not is_storable(name):
        raise ValueError(f"{what} must be printable and neither begin nor end with a blank; not {name!r}.")
    return name


def check_file_name(name: Any) -> str:
    """Return a file's name in a run, with slashes between its parts; raises TypeError or ValueError."""
    check_name(name, "a file's name")
    parts = name.split("/")
    is_odd = any(part in ("", ".", "..") or part != part.strip() for part in parts)
    if is_odd or "\\" in name or name[1:2] == ":":
        raise ValueError(f"a file's name must be relative, such as 'samples/a.txt'; not {name!r}.")
    return str(name)


def list_files(path: Path, name: str | None, own: Path) -> list[tuple[Path, str]]:
    """Return a file, or all in a folder, each with its name in a run; raises ValueError for one that cannot be.

    name: of the file or the folder; without it, that on the disk. own: the run's own folder, which is left out.
    """
    # "." and ".." have a name too.
    target = check_file_name(name or Path(os.path.abspath(path)).name or str(path))
    if not path.is_dir():
        return [(path, target)]
    own = own.resolve()
    files = sorted(each for each in path.rglob("*") if each.is_file() and own not in each.resolve().parents)
    return [(each, check_file_name(f"{target}/{each.relative_to(path).as_posix()}")) for each in files]


def is_tensor(value: Any) -> bool:
    """Say whether this is a tensor of PyTorch."""
    return isinstance(value, getattr(sys.modules.get("torch"), "Tensor", ()))


def is_array(value: Any) -> bool:
    """Say whether this is an array of NumPy."""
    return isinstance(value, getattr(sys.modules.get("numpy"), "ndarray", ()))


class MetricsEncoder:
    """Turns a loop's dictionaries into the JSON of their values; each name is checked once."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def encode(self, values: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
        """Return `"name":number` for each value, and those that are still on a device, by their JSON name.

        Raises TypeError or ValueError with what to do.
        """
        names, parts, waiting = self._names, [], {}
        for name, value in values.items():
            quoted = names.get(name) or self._quote(name)
            if type(value) is not float:
                found = _read_number(name, value)
                if found is None:
                    waiting[quoted] = value
                    continue
                value = found
            parts.append(quoted + show(value))
        return parts, waiting

    def _quote(self, name: str) -> str:
        quoted = json.dumps(check_name(name)) + ":"
        self._names[name] = quoted
        return quoted


def show(value: float) -> str:
    """Return a float as JSON; NaN and the infinities as the strings that stand for them."""
    text = float.__repr__(value)
    return f'"{text}"' if text[-1] in "nf" else text


def chunk(parts: list[str]) -> Iterable[str]:
    """Yield JSON objects of at most as many values as one event may hold."""
    left = iter(parts)
    while some := list(islice(left, MOST_VALUES)):
        yield "{" + ",".join(some) + "}"


def _read_number(name: str, value: Any) -> float | None:
    """Return a number as a float, None where it lies on a device and reading it would wait for that."""
    if type(value) is int and abs(value) < _EXACT:
        return float(value)
    if is_tensor(value):
        _check_one(name, value.numel())
        if value.device.type != "cpu":
            return None
        value = value.detach().item()
    elif is_array(value):
        _check_one(name, value.size)
        value = value.item()
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
        raise TypeError(f"{name!r} must be a number, or a tensor of one; not {_shorten(value)}.")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(
            f"{name!r} is too large: numbers go up to 1.8e308. Log its logarithm, or divide it."
        ) from None
    except (TypeError, ValueError):
        raise TypeError(f"{name!r} must be a number, or a tensor of one; not {_shorten(value)}.") from None


def _check_one(name: str, count: int) -> None:
    if count != 1:
        raise ValueError(
            f"{name!r} has {count:,} values where one is wanted; log their mean, or use run.histogram(…)."
        )


def _shorten(value: Any) -> str:
    text = repr(value)
    return f"{text[:60]}… ({type(value).__name__})" if len(text) > 60 else f"{text} ({type(value).__name__})"


def copy_numbers(values: Any) -> Any:
    """Return a copy of many numbers that nothing changes any more: a tensor, an array, or floats."""
    if is_tensor(values):
        return values.detach().clone()
    if is_array(values) and values.dtype.kind in "fiub":
        return values.copy()
    try:
        return [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        raise TypeError(
            f"a histogram's values must be numbers: a tensor, an array or a list; not {_shorten(values)}."
        ) from None


def count_bins(values: Any) -> dict[str, Any]:
    """Count values of any shape into BIN_COUNT equal bins from the least finite one to the greatest (`Histogram`).

    Values that are all equal lie in the middle of a range of their own size, or of 1 around 0.
    """
    flat = _flatten(values)
    finite = [value for value in flat if math.isfinite(value)] if isinstance(flat, list) else flat[_finite(flat)]
    not_finite = len(flat) - len(finite)
    if not len(finite):
        return {"low": 0.0, "high": 1.0, "counts": [0] * BIN_COUNT, "not_finite": not_finite}
    low, high = float(min(finite)), float(max(finite))
    if isinstance(finite, list):
        low, high = _widen(low, high)
        counts = [0] * BIN_COUNT
        for value in finite:
            counts[min(BIN_COUNT - 1, int((value - low) / (high - low) * BIN_COUNT))] += 1
    else:
        low, high = _widen(float(finite.min()), float(finite.max()))
        numpy = sys.modules["numpy"]
        bins = ((finite - low) / (high - low) * BIN_COUNT).astype(int).clip(0, BIN_COUNT - 1)
        counts = numpy.bincount(bins, minlength=BIN_COUNT).tolist()
    return {"low": low, "high": high, "counts": counts, "not_finite": not_finite}


def _flatten(values: Any) -> Any:
    """Return a flat array of NumPy in float64 where the process has it, else floats."""
    if is_tensor(values):
        values = values.double().flatten().cpu()
        try:
            return values.numpy()
        except RuntimeError:  # PyTorch without NumPy
            return [float(value) for value in values.tolist()]
    return values if isinstance(values, list) else values.astype(float).ravel()


def _finite(flat: Any) -> Any:
    return sys.modules["numpy"].isfinite(flat)


def _widen(low: float, high: float) -> tuple[float, float]:
    if low < high:
        return low, high
    reach = abs(low) / 2 or 0.5
    return low - reach, high + reach
