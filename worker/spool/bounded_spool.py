"""The spool of a worker whose disk may fill up while the service is away: training goes on all the same.

What finds no room is dropped, the newest first: what waits on disk already stays and is delivered, in order and
without a gap in its numbers. The first event that fits again is preceded by a line that says what is missing.
Files (grids, checkpoints) stop a little before the limit, so that the numbers, which need next to nothing, go on.
Of the checkpoints that find no room the newest is held back, for when there is some, or for the run's end: its
line then goes where the disk has kept room.
"""

import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ganlib.events import CheckpointSaved, Event, LineLogged, TrainingEnded
from ganlib.runtime.files import is_no_room
from ganlib.training.recording.disk_reserve import LastCheckpointUnsaved
from worker.attempt.run_dir import RunDir
from worker.machine.devices import free_bytes
from worker.spool.spool import SpoolWriter, read_position

# What waits is remembered in blocks of so many bytes, not event by event.
_BLOCK_BYTES = 64 * 1024


class Backlog:
    """Counts what was written to the spool and not yet taken by the service.

    position_path: where the reporter notes how far it has come. max_bytes: how much may wait.
    """

    def __init__(self, position_path: Path, max_bytes: int) -> None:
        self._position_path = position_path
        self._block_bytes = min(_BLOCK_BYTES, max(max_bytes // 16, 1))
        # The last number and the size of each block that the service has not taken.
        self._blocks: deque[tuple[int, int]] = deque()
        self.bytes = 0

    def add(self, seq: int, size: int) -> None:
        """Count one event of this number, its file included."""
        if self._blocks and self._blocks[-1][1] < self._block_bytes:
            _, before = self._blocks.pop()
            self._blocks.append((seq, before + size))
        else:
            self.forget_delivered()
            self._blocks.append((seq, size))
        self.bytes += size

    def forget_delivered(self) -> None:
        """Count no more what the service has taken."""
        next_seq = read_position(self._position_path)
        while self._blocks and self._blocks[0][0] < next_seq:
            self.bytes -= self._blocks.popleft()[1]


# More than the longest record: it is written over in place, which takes no new room.
_RECORD_BYTES = 256


class Drops(BaseModel):
    """How many events were dropped, how many files with them, and the iterations of the first and the last.

    last_checkpoint: whether the run's last checkpoint is among them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: int = 0
    files: int = 0
    first_iteration: int = 0
    last_iteration: int = 0
    last_checkpoint: bool = False

    def plus(self, iteration: int, *, has_file: bool, is_last_checkpoint: bool = False) -> "Drops":
        """Return the count with one event more."""
        return Drops(
            events=self.events + 1,
            files=self.files + has_file,
            first_iteration=self.first_iteration if self.events else iteration,
            last_iteration=iteration,
            last_checkpoint=self.last_checkpoint or is_last_checkpoint,
        )

    def describe(self) -> str:
        """Say it in a sentence, for the job's log and its attempt."""
        files = f", {self.files:,} of them with a file," if self.files else ""
        where = f"iterations {self.first_iteration:,} to {self.last_iteration:,}"
        if self.first_iteration == self.last_iteration:
            where = f"iteration {self.last_iteration:,}"
        last = " The last checkpoint is among them: the newest one is of an earlier iteration."
        noun = "event" if self.events == 1 else "events"
        return (
            f"{self.events:,} {noun}{files} of {where} found no room in the worker's spool and were not recorded."
            f"{last if self.last_checkpoint else ''} Make room on its disk, or raise GANVAS_SPOOL_MAX_BYTES."
        )


@dataclass
class DropCounter:
    """Keeps the count where it outlives this process."""

    path: Path
    drops: Drops

    @classmethod
    def begin(cls, path: Path) -> "DropCounter":
        """Make the file; on a disk that is full already the count is kept in this process alone."""
        counter = cls(path, Drops())
        try:
            path.touch()
            counter._write()
        except OSError as error:
            if not is_no_room(error):
                raise
        return counter

    def add(self, iteration: int, *, has_file: bool, is_last_checkpoint: bool = False) -> None:
        """Count one event."""
        self.drops = self.drops.plus(iteration, has_file=has_file, is_last_checkpoint=is_last_checkpoint)
        try:
            self._write()
        except OSError as error:
            # A file system that copies what is written over needs room even for this.
            if not is_no_room(error):
                raise

    def _write(self) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(descriptor, self.drops.model_dump_json().encode().ljust(_RECORD_BYTES), 0)
        finally:
            os.close(descriptor)


def read_drops(path: Path) -> Drops:
    """Return what the trainer of an attempt dropped."""
    try:
        return Drops.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return Drops()


# After a full disk, events are taken again once so much is free: not one by one, each with a line of its own.
_FREE_BYTES_AGAIN = 1024 * 1024
# The same below the limit, as a share of it.
_SHARE_AGAIN = 0.9
_SHARE_OF_FILES = 0.95
# The disk keeps room for the run's last lines, and is asked for a little more at a time.
_LAST_BYTES = 4096
_ROOM_AT_ONCE = 16 * 1024


class LimitedSpool(SpoolWriter):
    """Appends events while there is room, and counts those that find none; never fails for want of it.

    max_bytes: how much may wait for delivery, events and files together; at the end one checkpoint more.
    """

    def __init__(self, run_dir: RunDir, max_bytes: int) -> None:
        super().__init__(run_dir.spool_path)
        self._run_dir = run_dir
        self._max_bytes = max_bytes
        self._backlog = Backlog(run_dir.position_path, max_bytes)
        self._counter = DropCounter.begin(run_dir.drops_path)
        self._untold = Drops()
        self._held: CheckpointSaved | None = None
        self._kept_end = 0
        with suppress(OSError):
            self.make_room(0)
        # What made the last event be dropped: the limit, or the disk itself.
        self._is_full = self._disk_is_full = False

    @property
    def drops(self) -> Drops:
        """All that was dropped."""
        return self._counter.drops

    def append(self, event: Event) -> None:
        """Write one event, or count it and delete its file; a checkpoint is held back until a newer one comes."""
        with self._lock:
            if isinstance(event, TrainingEnded):
                self._write_last(event)
                return
            if self._held is not None and self._take(self._held):
                self._held = None
            if self._take(event):
                self._hold(None) if isinstance(event, CheckpointSaved) else None
            elif isinstance(event, CheckpointSaved):
                self._hold(event)
            else:
                self._drop(event)

    def note_unsaved(self, error: Exception, iteration: int) -> None:
        """Count a file that could not even be written, and so has no event."""
        with self._lock:
            self._count(iteration, has_file=True, is_last=isinstance(error, LastCheckpointUnsaved))

    def finish(self) -> None:
        """Write what was held back, and say what was dropped at the very end, if the disk has kept its word."""
        with self._lock:
            self._write_last(None)

    def _take(self, event: Event) -> bool:
        size = event.file.size if hasattr(event, "file") else 0
        return self._has_room(size) and self._tell_drops() and self._write(event)

    def _hold(self, event: CheckpointSaved | None) -> None:
        """Hold this checkpoint in the place of an older one, which nobody needs then."""
        if self._held is not None:
            self._drop(self._held)
        self._held = event

    def _write_last(self, event: TrainingEnded | None) -> None:
        held, self._held = self._held, None
        self._tell_drops(is_last=True)
        for each in (held, event):
            if each is not None and not self._write(each, is_last=True):
                self._drop(each, is_last=True)

    def _has_room(self, file_bytes: int) -> bool:
        if self._disk_is_full:
            self._disk_is_full = free_bytes(self._run_dir.path) < _FREE_BYTES_AGAIN
        if self._backlog.bytes + file_bytes > self._max_bytes * _SHARE_AGAIN:
            self._backlog.forget_delivered()
        if self._is_full:
            self._is_full = self._backlog.bytes > self._max_bytes * _SHARE_AGAIN
        if self._is_full or self._disk_is_full:
            return False
        if file_bytes:
            return self._backlog.bytes + file_bytes <= self._max_bytes * _SHARE_OF_FILES
        self._is_full = self._backlog.bytes > self._max_bytes
        return not self._is_full

    def _write(self, event: Event, *, is_last: bool = False) -> bool:
        try:
            size = self.write_line(event, from_kept=is_last)
        except OSError as error:
            if not is_no_room(error):
                raise
            self._disk_is_full = True
            return False
        self._backlog.add(self.next_seq - 1, size + (event.file.size if hasattr(event, "file") else 0))
        return True

    def make_room(self, size: int) -> None:
        """Have the disk give room to a line before it is written, and go on to keep some for the last ones."""
        wanted = self._end + size + _LAST_BYTES
        if wanted > self._kept_end and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._descriptor, self._end, size + _LAST_BYTES + _ROOM_AT_ONCE)
            self._kept_end = wanted + _ROOM_AT_ONCE

    def _tell_drops(self, *, is_last: bool = False) -> bool:
        """Write the line about what is missing before what comes next; returns whether that was possible."""
        if not self._untold.events:
            return True
        line = LineLogged(iteration=self._untold.last_iteration, level="warning", text=self._untold.describe())
        if not self._write(line, is_last=is_last):
            return False
        self._untold = Drops()
        return True

    def _drop(self, event: Event, *, is_last: bool = False) -> None:
        file = getattr(event, "file", None)
        is_checkpoint = isinstance(event, CheckpointSaved)
        self._count(getattr(event, "iteration", 0), has_file=file is not None, is_last=is_last and is_checkpoint)
        if file is not None:
            (self._run_dir.artifacts_dir / file.path).unlink(missing_ok=True)

    def _count(self, iteration: int, *, has_file: bool, is_last: bool = False) -> None:
        self._counter.add(iteration, has_file=has_file, is_last_checkpoint=is_last)
        self._untold = self._untold.plus(iteration, has_file=has_file, is_last_checkpoint=is_last)
