"""Every call to disk and database, counted: any of them can fail, and what a loss of power would take is known.

A call fails before it has done anything, or after it has done everything and only its answer is lost.
"""

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from copy import copy
from pathlib import Path
from typing import Any, Literal

import pytest
from sqlalchemy import Engine

Moment = Literal["before", "after"]
WRITES = ("x", "w", "a")


class Operations:
    """Stands between the service and its disk and database; does nothing unless it is counting."""

    def __init__(self, patch: pytest.MonkeyPatch, engine: Engine, home: Path) -> None:
        self._home = home
        self._database = home / "ganvas.sqlite3"
        self._counting = False
        self._fails_at: int | None = None
        self._moment: Moment = "before"
        self._unsynced_files: set[Path] = set()
        self._unsynced_names: set[Path] = set()
        self.calls: list[str] = []
        # Rows that a loss of power after their commit would leave without their file.
        self.endangered: set[str] = set()
        open_path = Path.open

        def open_counted(path: Path, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            file = self._call("open", full, open_path, path, mode, *arguments, **named)
            if mode[0] not in WRITES:
                return file
            self._unsynced_files.add(path)
            return _File(self, file, path)

        patch.setattr(Path, "open", open_counted)
        for owner, name, then in (
            (os, "fsync", self._after_fsync),
            (os, "open", None),
            (os, "link", None),
            (os, "replace", self._after_rename),
            (os, "unlink", None),
            (os, "mkdir", self._after_mkdir),
        ):
            self._watch(patch, owner, name, full, then)
        # Of this engine alone: those of a process's tests share what a statement is compiled to.
        engine.dialect = copy(engine.dialect)
        for name in ("do_execute", "do_executemany", "do_execute_no_params"):
            self._watch(patch, engine.dialect, name, database_full)
        self._watch(patch, engine.dialect, "do_commit", database_full, self._after_commit)

    def run(self, act: Callable[[], Any], fails_at: int | None = None, moment: Moment = "before") -> Any:
        """Act, and let the call of this number fail; `calls` then holds all that were made."""
        self.calls, self._fails_at, self._moment = [], fails_at, moment
        self._counting = True
        try:
            return act()
        finally:
            self._counting = False

    @property
    def has_failed(self) -> bool:
        """Return whether the last run came to the call that was to fail."""
        return self._fails_at is not None and len(self.calls) > self._fails_at

    def call(
        self, name: str, error: Callable[[], Exception], function: Callable[..., Any], *arguments: Any
    ) -> Any:
        """Make a call that counts."""
        return self._call(name, error, function, *arguments)

    def _call(
        self,
        name: str,
        error: Callable[[], Exception],
        function: Callable[..., Any],
        *arguments: Any,
        **named: Any,
    ) -> Any:
        if not self._counting:
            return function(*arguments, **named)
        is_chosen = len(self.calls) == self._fails_at
        self.calls.append(name)
        if is_chosen and self._moment == "before":
            raise error()
        answer = function(*arguments, **named)
        if is_chosen:
            if name == "open" and hasattr(answer, "close"):
                # Nobody else will.
                answer.close()
            raise error()
        return answer

    def _watch(
        self,
        patch: pytest.MonkeyPatch,
        owner: Any,
        name: str,
        error: Callable[[], Exception],
        then: Callable[..., None] | None = None,
    ) -> None:
        function = getattr(owner, name)

        def call_and_follow(*arguments: Any, **named: Any) -> Any:
            answer = function(*arguments, **named)
            if then is not None:
                then(*arguments)
            return answer

        def counted(*arguments: Any, **named: Any) -> Any:
            return self._call(name, error, call_and_follow, *arguments, **named)

        patch.setattr(owner, name, counted)

    def _after_fsync(self, descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        self._unsynced_files.discard(path)
        self._unsynced_names = {name for name in self._unsynced_names if name.parent != path}

    def _after_rename(self, old: str | Path, new: str | Path) -> None:
        source, target = Path(old), Path(new)
        if source in self._unsynced_files:
            self._unsynced_files.discard(source)
            self._unsynced_files.add(target)
        self._unsynced_names.add(target)

    def _after_mkdir(self, path: str | Path, *_: Any) -> None:
        self._unsynced_names.add(Path(path))

    def _after_commit(self, *_: Any) -> None:
        if not self._counting:
            return
        blobs = self._home / "blobs"
        lost = {path for path in self._unsynced_files | self._unsynced_names if blobs in (path, *path.parents)}
        if not lost:
            return
        with closing(sqlite3.connect(self._database)) as database:
            for (name,) in database.execute("SELECT sha256 FROM artifacts"):
                path = blobs / name[:2] / name
                if lost & {path, *path.parents}:
                    self.endangered.add(name)


class _File:
    """A file whose writes count."""

    def __init__(self, operations: Operations, file: Any, path: Path) -> None:
        self._operations = operations
        self._file = file
        self._path = path

    def write(self, data: bytes) -> int:
        written: int = self._operations.call("write", full, self._file.write, data)
        return written

    def flush(self) -> None:
        self._operations.call("flush", full, self._file.flush)

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def database_full() -> sqlite3.OperationalError:
    return sqlite3.OperationalError("database or disk is full")
