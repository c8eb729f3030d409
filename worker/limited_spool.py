"""The spool of a worker whose disk may fill up while the service is away: training goes on all the same.

What finds no room is dropped, the newest first: what waits on disk already stays and is delivered, in order and
without a gap in its numbers. The first event that fits again is preceded by a line that says what is missing.
Files (grids, checkpoints) stop a little before the limit, so that the numbers, which need next to nothing, go on.
"""

from collections import deque

from ganlib.events import Event, LineLogged
from ganlib.files import is_no_room
from worker.disk import free_bytes
from worker.drops import DropCounter, Drops
from worker.position import read_position
from worker.run_dir import RunDir
from worker.spool import SpoolWriter

# After a full disk, events are taken again once so much is free: not one by one, each with a line of its own.
_FREE_BYTES_AGAIN = 1024 * 1024
# The same below the limit, as a share of it.
_SHARE_AGAIN = 0.9
_SHARE_OF_FILES = 0.95
# What waits is remembered in blocks of so many bytes, not event by event.
_BLOCK_BYTES = 64 * 1024


class LimitedSpool(SpoolWriter):
    """Appends events while there is room, and counts those that find none; never fails for want of it.

    max_bytes: how much may wait for delivery, events and files together.
    """

    def __init__(self, run_dir: RunDir, max_bytes: int) -> None:
        super().__init__(run_dir.spool_path)
        self._run_dir = run_dir
        self._max_bytes = max_bytes
        self._block_bytes = min(_BLOCK_BYTES, max(max_bytes // 16, 1))
        # The last number and the size of each block that the service has not taken.
        self._blocks: deque[tuple[int, int]] = deque()
        self._waiting_bytes = 0
        self._counter = DropCounter.begin(run_dir.drops_path)
        self._untold = Drops()
        # What made the last event be dropped: the limit, or the disk itself.
        self._is_full = self._disk_is_full = False

    @property
    def drops(self) -> Drops:
        """All that was dropped."""
        return self._counter.drops

    def append(self, event: Event) -> None:
        """Write one event, or count it and delete its file."""
        file = getattr(event, "file", None)
        with self._lock:
            if self._has_room(file.size if file else 0) and self._tell_drops() and self._write(event):
                return
            self._drop(getattr(event, "iteration", 0), has_file=file is not None)
        if file is not None:
            (self._run_dir.artifacts_dir / file.path).unlink(missing_ok=True)

    def note_unsaved(self, error: Exception, iteration: int) -> None:
        """Count a file that could not even be written, and so has no event."""
        with self._lock:
            self._drop(iteration, has_file=True)

    def finish(self) -> None:
        """Say what was dropped at the very end, if there is room for that."""
        with self._lock:
            self._tell_drops()

    def _has_room(self, file_bytes: int) -> bool:
        if self._disk_is_full:
            self._disk_is_full = free_bytes(self._run_dir.path) < _FREE_BYTES_AGAIN
        if self._waiting_bytes + file_bytes > self._max_bytes * _SHARE_AGAIN:
            self._forget_delivered()
        if self._is_full:
            self._is_full = self._waiting_bytes > self._max_bytes * _SHARE_AGAIN
        if self._is_full or self._disk_is_full:
            return False
        if file_bytes:
            return self._waiting_bytes + file_bytes <= self._max_bytes * _SHARE_OF_FILES
        self._is_full = self._waiting_bytes > self._max_bytes
        return not self._is_full

    def _write(self, event: Event) -> bool:
        try:
            size = self.write_line(event)
        except OSError as error:
            if not is_no_room(error):
                raise
            self._disk_is_full = True
            return False
        self._account(size + (event.file.size if hasattr(event, "file") else 0))
        return True

    def _tell_drops(self) -> bool:
        """Write the line about what is missing before what comes next; returns whether that was possible."""
        if not self._untold.events:
            return True
        line = LineLogged(iteration=self._untold.last_iteration, level="warning", text=self._untold.describe())
        if not self._write(line):
            return False
        self._untold = Drops()
        return True

    def _drop(self, iteration: int, *, has_file: bool) -> None:
        self._counter.add(iteration, has_file=has_file)
        self._untold = self._untold.plus(iteration, has_file=has_file)

    def _account(self, size: int) -> None:
        seq = self.next_seq - 1
        if self._blocks and self._blocks[-1][1] < self._block_bytes:
            _, before = self._blocks.pop()
            self._blocks.append((seq, before + size))
        else:
            self._forget_delivered()
            self._blocks.append((seq, size))
        self._waiting_bytes += size

    def _forget_delivered(self) -> None:
        next_seq = read_position(self._run_dir.position_path)
        while self._blocks and self._blocks[0][0] < next_seq:
            self._waiting_bytes -= self._blocks.popleft()[1]
