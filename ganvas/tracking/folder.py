"""The folder of one run: at most ten files, however long it gets, which any number of readers may follow.

- `run.json`: what opens the run at a service (the body of POST /runs), its attempts (`attempts.py`), and `format`.
- `events.jsonl`: `{"seq":N,"at":"…","event":{…}}`, one a line, numbered from 0; each line is one write. A last
  line without its newline is not there yet. What is sent again has the same bytes.
- `files.bin`: the bytes of all files, one after another, written before the event that names them:
  `files.bin:OFFSET` and `size`. Its name comes after `events.jsonl`, so a copy made by name holds all bytes of
  the events that it holds.
- `end.json`: how the run ended; absent while it runs. `position.json`: what each service has. `lock`: held by the
  process that writes. `sender.log`, `stop`.

Nothing is synced to the disk before the end: what a process wrote survives its death in the kernel's cache.
"""

import errno
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Self

from ganlib.errors import GanlibError
from ganvas.tracking.attempts import add_attempt

# The second has attempts: who knows only the first would send them as one.
FORMAT, FORMAT_WITH_ATTEMPTS = 1, 2
RUN, EVENTS, FILES, END = "run.json", "events.jsonl", "files.bin", "end.json"
POSITION, LOCK, LOG, STOP = "position.json", "lock", "sender.log", "stop"
_COPY_BYTES = 1024 * 1024


class FolderBusy(GanlibError):
    """Another process writes this run."""

    code = "folder_busy"

    def __init__(self, path: Path, holder: str) -> None:
        by = f"process {holder}" if holder else "another process"
        super().__init__(f"{path} is being written by {by}; end that one, or give this run a folder of its own.")


class FolderUnreadable(GanlibError):
    """The folder holds no run, or one in a form that this version cannot read."""

    code = "folder_unreadable"


class FolderTaken(GanlibError):
    """The folder holds a run already."""

    code = "folder_taken"


class RunFolder:
    """One run on disk. `RunFolder(path)` reads; one from `create`, `reopen` or `take_over` also writes.

    It holds the lock until `close`. Threads may share it. Where `append` and `add_file` raise OSError, nothing was
    written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        # The number of the next event; kept while the folder is written.
        self.next_seq = 0
        self._lock = Lock()
        self._clock = _Clock()
        self._lock_file: int | None = None
        self._events: int | None = None
        self._files: int | None = None
        # Bytes after these are not a line, or no file, yet.
        self._events_end = self._files_end = 0

    # Writing.

    @classmethod
    def create(cls, path: Path | str, opening: dict[str, Any]) -> Self:
        """Make a new run's folder; raises FolderTaken or FolderBusy, or OSError.

        opening: the body of POST /runs.
        """
        folder = cls(path)
        folder.path.mkdir(parents=True, exist_ok=True)
        folder._hold()
        if folder.holds_run():
            folder.close()
            raise FolderTaken(
                f"{folder.path} holds a run already: go on with it by resume=True, or name another folder."
            )
        folder.write_header(opening)
        folder._open()
        return folder

    @classmethod
    def reopen(cls, path: Path | str) -> Self:
        """Go on with a run, which has not ended any more; raises FolderUnreadable or FolderBusy, or OSError."""
        folder = cls.take_over(path)
        folder._forget_end()
        return folder

    @classmethod
    def take_over(cls, path: Path | str) -> Self:
        """Write what is left of a run whose writer is gone, as `reopen` does; its end stays as it is."""
        folder = cls(path)
        folder.read_header()
        folder._hold()
        folder._open()
        return folder

    def write_header(self, opening: dict[str, Any]) -> None:
        """Write what opens the run; readers see the old one or the new one."""
        form = FORMAT_WITH_ATTEMPTS if opening.get("earlier") else FORMAT
        _replace(self.path / RUN, json.dumps({"format": form, **opening}, indent=1))

    def begin_attempt(self, own: dict[str, Any]) -> None:
        """Begin the next attempt (`add_attempt`) of a run that is open for writing; it has not ended any more."""
        self.write_header(add_attempt(self.read_header(), own, self.next_seq, self.read_end()))
        self._forget_end()

    def append(self, event: dict[str, Any] | str, at: datetime | str | None = None) -> int:
        """Append an event, as JSON has it or its JSON text, and return its number.

        at: when it happened; now by default.
        """
        text = event if isinstance(event, str) else json.dumps(event, separators=(",", ":"))
        with self._lock:
            moment = self._clock.read() if at is None else at if isinstance(at, str) else _show_moment(at)
            number, line = self.next_seq, f'{{"seq":{self.next_seq},"at":"{moment}","event":{text}}}\n'.encode()
            # An incomplete line is overwritten by the next one.
            _write(self._descriptor(self._events), line, self._events_end)
            self._events_end += len(line)
            self.next_seq += 1
        return number

    def read_clock(self) -> str:
        """Return the time as events have it; it never goes back, whatever the machine's clock does."""
        with self._lock:
            return self._clock.read()

    def add_file(self, content: "bytes | bytearray | memoryview | Path") -> dict[str, Any]:
        """Append a file's bytes, or those of a file on disk, and return how an event names it (`StoredFile`)."""
        if isinstance(content, Path):
            return self._add_copy(content)
        view = memoryview(content).cast("B")
        with self._reserve(len(view)) as offset:
            _write(self._descriptor(self._files), view, offset)
        return {"path": f"{FILES}:{offset}", "sha256": hashlib.sha256(view).hexdigest(), "size": len(view)}

    def end(self, end: str, reason: dict[str, str] | None = None, ended_at: datetime | str | None = None) -> None:
        """Write how the run ended (succeeded, failed, cancelled). All that was written reaches the disk first.

        reason: code, message and perhaps log_tail.
        """
        for descriptor in (self._files, self._events):
            if descriptor is not None:
                with suppress(OSError):
                    os.fsync(descriptor)
        moment = ended_at if isinstance(ended_at, str) else _show_moment(ended_at or datetime.now(UTC))
        count = self.next_seq if self._events is not None else self.count_events()
        ended = {"end": end, "reason": reason, "events_count": count, "ended_at": moment}
        _replace(self.path / END, json.dumps(ended))

    def leave_to_parent(self) -> None:
        """Let go of the folder in a forked child; the parent goes on, and keeps the lock."""
        # Another thread of the parent may have held it at the fork.
        self._lock = Lock()
        self.close()

    def close(self) -> None:
        """Stop writing and give the lock back."""
        with self._lock:
            for descriptor in (self._events, self._files, self._lock_file):
                if descriptor is not None:
                    with suppress(OSError):
                        os.close(descriptor)
            self._events = self._files = self._lock_file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # Reading.

    def holds_run(self) -> bool:
        """Say whether there is a run in this folder."""
        return (self.path / RUN).exists()

    def read_header(self) -> dict[str, Any]:
        """Return what opens the run, `format` left out; raises FolderUnreadable."""
        try:
            header = json.loads((self.path / RUN).read_text(encoding="utf-8"))
            found = header.pop("format")
        except FileNotFoundError:
            raise FolderUnreadable(
                f"{self.path} holds no run: there is no {RUN} in it. Name the folder of one run."
            ) from None
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise FolderUnreadable(f"{self.path / RUN} cannot be read: {error}") from None
        if found not in (FORMAT, FORMAT_WITH_ATTEMPTS):
            raise FolderUnreadable(
                f"{self.path} has format {found}; this Ganvas reads {FORMAT_WITH_ATTEMPTS}. Use a newer one."
            )
        return dict(header)

    def read_end(self) -> dict[str, Any] | None:
        """Return end, reason, events_count and ended_at; None while the run has not ended."""
        return _read_object(self.path / END)

    def read_lines(self, first: int = 0) -> Iterator[bytes]:
        """Yield the complete lines of events from this number on, each with its newline."""
        with suppress(FileNotFoundError), (self.path / EVENTS).open("rb") as file:
            for number, line in enumerate(file):
                if line.endswith(b"\n") and number >= first:
                    yield line

    def read_events(self, first: int = 0) -> Iterator[dict[str, Any]]:
        """Yield the events from this number on: seq, at, event."""
        for line in self.read_lines(first):
            yield json.loads(line)

    def count_events(self) -> int:
        """Count the complete lines."""
        return sum(1 for _ in self.read_lines())

    def read_file(self, stored: dict[str, Any]) -> bytes:
        """Return the bytes of a file that an event names; raises FolderUnreadable where they are not all there."""
        return b"".join(self.iterate_file(stored))

    def iterate_file(self, stored: dict[str, Any]) -> Iterator[bytes]:
        """Yield the bytes of a file that an event names in pieces; raises FolderUnreadable."""
        name, _, offset = str(stored["path"]).partition(":")
        left = int(stored["size"])
        if name != FILES or not offset.isdecimal():
            raise FolderUnreadable(f"{self.path}: an event names {stored['path']!r}, which is no part of {FILES}.")
        try:
            with (self.path / FILES).open("rb") as file:
                file.seek(int(offset))
                while left > 0 and (piece := file.read(min(_COPY_BYTES, left))):
                    left -= len(piece)
                    yield piece
        except FileNotFoundError:
            pass
        if left:
            raise FolderUnreadable(
                f"{self.path / FILES} ends before a file that an event names; copy the folder once more."
            )

    def read_positions(self) -> dict[str, dict[str, Any]]:
        """Return what each service has, by its address: job_id and next_seq."""
        return _read_object(self.path / POSITION) or {}

    def write_position(self, url: str, job_id: str, next_seq: int) -> None:
        """Note what a service has. An older note does no harm: events are known by their numbers."""
        positions = self.read_positions() | {url: {"job_id": job_id, "next_seq": next_seq}}
        # A full disk, or a folder that may only be read.
        with suppress(OSError):
            _replace(self.path / POSITION, json.dumps(positions))

    def is_written(self) -> bool:
        """Say whether a living process of this machine writes the run."""
        try:
            descriptor = os.open(self.path / LOCK, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in (errno.EAGAIN, errno.EACCES)
        finally:
            os.close(descriptor)
        return False

    def _forget_end(self) -> None:
        for name in (END, STOP):
            (self.path / name).unlink(missing_ok=True)

    def _hold(self) -> None:
        path = self.path / LOCK
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            # Some network file systems have no locks; there, nobody can be refused.
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                return
            with suppress(OSError):
                raise FolderBusy(self.path, path.read_text(encoding="utf-8").strip()) from None
            raise FolderBusy(self.path, "") from None
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._lock_file = descriptor

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._events = os.open(self.path / EVENTS, flags, 0o644)
        self._files = os.open(self.path / FILES, flags, 0o644)
        for line in self.read_lines():
            self.next_seq += 1
            self._events_end += len(line)
        # What a process that was killed had begun.
        with suppress(OSError):
            os.ftruncate(self._events, self._events_end)
        self._files_end = os.fstat(self._files).st_size

    def _descriptor(self, found: int | None) -> int:
        if found is None:
            raise OSError(errno.EBADF, "this run's folder is not open for writing", str(self.path))
        return found

    @contextmanager
    def _reserve(self, size: int) -> Iterator[int]:
        """Keep a place for a file while it is written, so that other threads may write theirs."""
        with self._lock:
            offset = self._files_end
            self._files_end += size
        try:
            yield offset
        except BaseException:
            with self._lock:
                if self._files_end == offset + size:
                    self._files_end = offset
            raise

    def _add_copy(self, path: Path) -> dict[str, Any]:
        digest = hashlib.sha256()
        with path.open("rb") as source:
            size = os.fstat(source.fileno()).st_size
            with self._reserve(size) as offset:
                descriptor, at = self._descriptor(self._files), 0
                while at < size and (piece := source.read(min(_COPY_BYTES, size - at))):
                    _write(descriptor, piece, offset + at)
                    digest.update(piece)
                    at += len(piece)
        return {"path": f"{FILES}:{offset}", "sha256": digest.hexdigest(), "size": at}


class _Clock:
    """The time of day, which goes on evenly where the machine's clock is set back."""

    def __init__(self) -> None:
        # Microseconds since 1970, as integers: no two readings differ by rounding.
        self._last = self._shift = 0
        self._second, self._text = -1, ""

    def read(self) -> str:
        now = time.time_ns() // 1000
        if now >= self._last:
            self._shift = 0
        elif now + self._shift < self._last:
            self._shift = self._last - now
        self._last = now + self._shift
        second, rest = divmod(self._last, 1_000_000)
        if second != self._second:
            self._second, self._text = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._text}.{rest:06d}+00:00"


def _show_moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _write(descriptor: int, content: "bytes | memoryview", offset: int) -> None:
    """Write all of it at this place; raises OSError where it finds no room."""
    count = os.pwrite(descriptor, content, offset)
    if count == len(content):
        return
    view, offset = memoryview(content)[count:], offset + count
    while len(view):
        count = os.pwrite(descriptor, view, offset)
        if count == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view, offset = view[count:], offset + count


def _replace(path: Path, text: str) -> None:
    # Each process has its own unfinished file: the writer and the sender may both write one.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def _read_object(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
