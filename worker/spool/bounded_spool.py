"""A spool with a limit: when the limit or the disk is reached while the service is away, training continues.

Events that find no room are dropped; those that already wait on disk stay and are delivered, in order and without
a gap in their numbers. Before the first event that fits again, a log line says what is missing. Files (grids,
checkpoints) are refused a little below the limit, so that metrics, which are small, still fit. Of the checkpoints
that find no room the newest is held back until there is room, or until the run's end, when its line is written
into reserved space.
"""

import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ganlib.events import CheckpointSaved, Event, LineLogged, TrainingEnded
from ganlib.runtime.files import is_disk_full
from ganlib.training.recording.disk_reserve import LastCheckpointUnsaved
from worker.attempt.run_dir import RunDir
from worker.machine.devices import free_bytes
from worker.spool.spool import SpoolWriter, read_position

# The backlog is counted in blocks of so many bytes, not event by event.
_BLOCK_BYTES = 64 * 1024
# Longer than the longest record, which is overwritten in place and so takes no new space.
_RECORD_BYTES = 256
# After a full disk, events are accepted again once so much is free; otherwise each would get a notice of its own.
_FREE_BYTES_AGAIN = 1024 * 1024
# The same below the limit, as a share of it.
_SHARE_AGAIN = 0.9
_SHARE_OF_FILES = 0.95
# Space for the run's last lines is reserved on the disk, a little more at a time.
_RESERVE_BYTES = 4096
_ALLOCATION_BYTES = 16 * 1024


class Backlog:
    """Counts the bytes that were written to the spool and not yet delivered.

    position_path: the file of the reporter's position. max_bytes: the limit.
    """

    def __init__(self, position_path: Path, max_bytes: int) -> None:
        self._position_path = position_path
        self._block_bytes = min(_BLOCK_BYTES, max(max_bytes // 16, 1))
        # Last number and size of each undelivered block.
        self._blocks: deque[tuple[int, int]] = deque()
        self.bytes = 0

    def add(self, seq: int, size: int) -> None:
        """Add the event of this number, with its file."""
        if self._blocks and self._blocks[-1][1] < self._block_bytes:
            _, before = self._blocks.pop()
            self._blocks.append((seq, before + size))
        else:
            self.forget_delivered()
            self._blocks.append((seq, size))
        self.bytes += size

    def forget_delivered(self) -> None:
        """Subtract what the service has accepted."""
        next_seq = read_position(self._position_path)
        while self._blocks and self._blocks[0][0] < next_seq:
            self.bytes -= self._blocks.popleft()[1]


class DroppedEvents(BaseModel):
    """The number of dropped events and files, and the iterations of the first and the last event.

    last_checkpoint: whether the run's last checkpoint was dropped.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: int = 0
    files: int = 0
    first_iteration: int = 0
    last_iteration: int = 0
    last_checkpoint: bool = False

    def plus(self, iteration: int, *, has_file: bool, is_last_checkpoint: bool = False) -> "DroppedEvents":
        """Return the numbers with one more event."""
        return DroppedEvents(
            events=self.events + 1,
            files=self.files + has_file,
            first_iteration=self.first_iteration if self.events else iteration,
            last_iteration=iteration,
            last_checkpoint=self.last_checkpoint or is_last_checkpoint,
        )

    def describe(self) -> str:
        """Return a sentence for the job's log and its attempt."""
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
class DroppedEventsRecord:
    """Keeps the numbers in a file, which outlives this process."""

    path: Path
    dropped: DroppedEvents

    @classmethod
    def begin(cls, path: Path) -> "DroppedEventsRecord":
        """Make the file; if the disk is already full, the numbers are kept in this process alone."""
        record = cls(path, DroppedEvents())
        try:
            path.touch()
            record._write()
        except OSError as error:
            if not is_disk_full(error):
                raise
        return record

    def add(self, iteration: int, *, has_file: bool, is_last_checkpoint: bool = False) -> None:
        """Count one event."""
        self.dropped = self.dropped.plus(iteration, has_file=has_file, is_last_checkpoint=is_last_checkpoint)
        try:
            self._write()
        except OSError as error:
            # A copy-on-write file system needs space even for this.
            if not is_disk_full(error):
                raise

    def _write(self) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(descriptor, self.dropped.model_dump_json().encode().ljust(_RECORD_BYTES), 0)
        finally:
            os.close(descriptor)


def read_dropped_events(path: Path) -> DroppedEvents:
    """Return the events that the trainer of an attempt dropped."""
    try:
        return DroppedEvents.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return DroppedEvents()


class BoundedSpool(SpoolWriter):
    """Appends events while there is room and counts those that find none; a full disk never raises.

    max_bytes: limit of what waits for delivery, events and files together; the last checkpoint may exceed it.
    """

    def __init__(self, run_dir: RunDir, max_bytes: int) -> None:
        super().__init__(run_dir.spool_path)
        self._run_dir = run_dir
        self._max_bytes = max_bytes
        self._backlog = Backlog(run_dir.position_path, max_bytes)
        self._record = DroppedEventsRecord.begin(run_dir.dropped_events_path)
        self._unreported = DroppedEvents()
        self._held_checkpoint: CheckpointSaved | None = None
        self._reserved_end = 0
        with suppress(OSError):
            self.reserve_space(0)
        # Why the last event was dropped: the limit, or the disk itself.
        self._is_full = self._disk_is_full = False

    @property
    def dropped(self) -> DroppedEvents:
        """All dropped events so far."""
        return self._record.dropped

    def append(self, event: Event) -> None:
        """Write one event, or count it as dropped and delete its file; a dropped checkpoint is held back."""
        with self._lock:
            if isinstance(event, TrainingEnded):
                self._write_last(event)
                return
            if self._held_checkpoint is not None and self._try_write(self._held_checkpoint):
                self._held_checkpoint = None
            if self._try_write(event):
                if isinstance(event, CheckpointSaved):
                    self._hold_checkpoint(None)
            elif isinstance(event, CheckpointSaved):
                self._hold_checkpoint(event)
            else:
                self._drop(event)

    def record_unsaved_file(self, error: Exception, iteration: int) -> None:
        """Count a file that could not be written, and so has no event."""
        with self._lock:
            self._count(iteration, has_file=True, is_last=isinstance(error, LastCheckpointUnsaved))

    def finish(self) -> None:
        """Write the held checkpoint and the last notice, if the reserved space holds them."""
        with self._lock:
            self._write_last(None)

    def _try_write(self, event: Event) -> bool:
        size = event.file.size if hasattr(event, "file") else 0
        return self._has_room(size) and self._write_drop_notice() and self._write(event)

    def _hold_checkpoint(self, event: CheckpointSaved | None) -> None:
        """Hold this checkpoint back and drop an older one, which is no longer needed."""
        if self._held_checkpoint is not None:
            self._drop(self._held_checkpoint)
        self._held_checkpoint = event

    def _write_last(self, event: TrainingEnded | None) -> None:
        held, self._held_checkpoint = self._held_checkpoint, None
        self._write_drop_notice(is_last=True)
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
            size = self.write_line(event, from_reserve=is_last)
        except OSError as error:
            if not is_disk_full(error):
                raise
            self._disk_is_full = True
            return False
        self._backlog.add(self.next_seq - 1, size + (event.file.size if hasattr(event, "file") else 0))
        return True

    def reserve_space(self, size: int) -> None:
        """Allocate space on the disk for a line before it is written, and for the run's last lines."""
        wanted = self._end + size + _RESERVE_BYTES
        if wanted > self._reserved_end and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._descriptor, self._end, size + _RESERVE_BYTES + _ALLOCATION_BYTES)
            self._reserved_end = wanted + _ALLOCATION_BYTES

    def _write_drop_notice(self, *, is_last: bool = False) -> bool:
        """Write a log line about dropped events, if there are any; return False if it found no room."""
        if not self._unreported.events:
            return True
        line = LineLogged(
            iteration=self._unreported.last_iteration, level="warning", text=self._unreported.describe()
        )
        if not self._write(line, is_last=is_last):
            return False
        self._unreported = DroppedEvents()
        return True

    def _drop(self, event: Event, *, is_last: bool = False) -> None:
        file = getattr(event, "file", None)
        is_checkpoint = isinstance(event, CheckpointSaved)
        self._count(getattr(event, "iteration", 0), has_file=file is not None, is_last=is_last and is_checkpoint)
        if file is not None:
            (self._run_dir.artifacts_dir / file.path).unlink(missing_ok=True)

    def _count(self, iteration: int, *, has_file: bool, is_last: bool = False) -> None:
        self._record.add(iteration, has_file=has_file, is_last_checkpoint=is_last)
        self._unreported = self._unreported.plus(iteration, has_file=has_file, is_last_checkpoint=is_last)
