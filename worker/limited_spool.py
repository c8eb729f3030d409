"""The spool of a worker whose disk may fill up while the service is away: training goes on all the same.

What finds no room is dropped, the newest first: what waits on disk already stays and is delivered, in order and
without a gap in its numbers. The first event that fits again is preceded by a line that says what is missing.
Files (grids, checkpoints) stop a little before the limit, so that the numbers, which need next to nothing, go on.
Of the checkpoints that find no room the newest is held back, for when there is some, or for the run's end: its
line then goes where the disk has kept room.
"""

import os
from contextlib import suppress

from ganlib.events import CheckpointSaved, Event, LineLogged, TrainingEnded
from ganlib.files import is_no_room
from ganlib.kept_room import LastCheckpointUnsaved
from worker.backlog import Backlog
from worker.disk import free_bytes
from worker.drops import DropCounter, Drops
from worker.run_dir import RunDir
from worker.spool import SpoolWriter

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
