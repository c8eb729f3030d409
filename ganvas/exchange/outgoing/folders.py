"""An export appears under its name when it is whole; one that was broken off is gone on with."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganlib.errors import GanlibError

# Says which run a folder holds, so that only an earlier export of the same run is ever replaced.
MARK = ".ganvas-run"


class ExportRefused(GanlibError):
    """The export would overwrite something else, or another one writes it; the message says what to do."""

    code = "export_refused"


@contextmanager
def whole_folder(path: Path, run_id: str, form: str) -> Iterator[Path]:
    """Yield a folder beside `path` that takes its name at the end of the block; raises ExportRefused, OSError.

    After an error the unfinished folder stays, under a name that begins with a dot, and the next export of the run
    finds in it what had arrived.
    """
    mark = f"{form} {run_id}"
    if path.exists() and _read_mark(path) != mark:
        raise ExportRefused(f"{path} exists and holds no {form} of the run {run_id}; name another folder.")
    unfinished = path.with_name(f".{path.name}.{form}.part")
    unfinished.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(unfinished, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ExportRefused(f"Another export writes {path}; wait for it.") from None
        yield unfinished
        (unfinished / MARK).write_text(mark, encoding="utf-8")
        _take_place(unfinished, path)
    finally:
        os.close(descriptor)


def _read_mark(path: Path) -> str | None:
    try:
        return (path / MARK).read_text(encoding="utf-8")
    except OSError:
        return None


def _take_place(unfinished: Path, path: Path) -> None:
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    unfinished.rename(path)
    shutil.rmtree(old, ignore_errors=True)
