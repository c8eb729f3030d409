"""The spool: a file of JSON lines through which the trainer hands its events to the reporter.

A line is written once and posted as it stands, so an event that is sent again has the same bytes. Nothing here is
ever fsynced: what one process wrote survives its death in the kernel's cache, and after a crash of the machine the
spool is worthless, because by the time anyone could read it the attempt's lease is over and the job goes on from a
checkpoint that the service holds.
"""

import errno
import json
import os
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import msgspec

from ganlib.events import Event, StoredFile
from ganlib.runtime.files import is_no_room

# Well below the service's limits a post (10,000 events, 20,000 points, 1 MiB), so that one is quick to store.
MAX_EVENTS = 2_000
MAX_POINTS = 10_000
MAX_BYTES = 512 * 1024
_READ_BYTES = 1024 * 1024
_PICTURES = ("sample_grid_saved", "neighbour_grid_saved")
# Nobody waits for these: they are posted with the next batch.
_QUIET = ("metrics_logged", "histograms_logged", "line_logged")


class SpoolDamaged(Exception):
    """A complete line of the spool is no event."""

    code = "spool_damaged"


class SpoolWriter:
    """Append events, numbered from 0. Threads may share it; a call costs one write and no waiting."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._lock = Lock()
        # Where the next line begins; what lies behind is no line yet.
        self._end = 0
        self.next_seq = 0

    def append(self, event: Event) -> None:
        """Write one event; raises OSError when the disk is full, and then has written nothing."""
        with self._lock:
            self.write_line(event)

    def note_unsaved(self, error: Exception, iteration: int) -> None:
        """Hear of a file that found no room: here that ends the run."""
        raise error

    def make_room(self, size: int) -> None:
        """Hear of a line before it is written; raises OSError when there is no room for it."""

    def write_line(self, event: Event, *, from_kept: bool = False) -> int:
        """Write one event while the caller holds the lock; returns its bytes.

        from_kept: into room that was kept before, so none is made.
        """
        at = datetime.now(UTC).isoformat()
        line = f'{{"seq":{self.next_seq},"at":"{at}","event":{event.model_dump_json()}}}\n'.encode()
        if not from_kept:
            self.make_room(len(line))
        # One write a line, past Python's buffers: a killed trainer loses no event that it reported. Half a line is
        # none: the next one is written over it.
        if os.pwrite(self._descriptor, line, self._end) < len(line):
            raise OSError(errno.ENOSPC, "an event found no room in the spool")
        self._end += len(line)
        self.next_seq += 1
        return len(line)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


@dataclass(frozen=True)
class SpooledEvent:
    """One line of the spool, and what decides about its batch."""

    seq: int
    line: bytes
    kind: str
    point_count: int
    file: StoredFile | None


@dataclass(frozen=True)
class Batch:
    """Consecutive events to post together; `more_wait` when the spool holds further ones already."""

    events: list[SpooledEvent]
    more_wait: bool = False

    @property
    def next_seq(self) -> int:
        """The number after the last one."""
        return self.events[-1].seq + 1

    @property
    def files(self) -> list[tuple[StoredFile, Literal["image/png", "application/octet-stream"]]]:
        """The files that these events name."""
        return [
            (event.file, "image/png" if event.kind in _PICTURES else "application/octet-stream")
            for event in self.events
            if event.file is not None
        ]

    @property
    def is_urgent(self) -> bool:
        """Whether to post it without waiting for more: somebody may be watching for a new grid."""
        return self.more_wait or any(event.kind not in _QUIET for event in self.events)

    @property
    def body(self) -> bytes:
        """The JSON of an EventsPost."""
        return b'{"events":[' + b",".join(event.line for event in self.events) + b"]}"

    def first_half(self) -> "Batch":
        """Return less of a batch that is too large; the rest comes next."""
        return Batch(self.events[: len(self.events) // 2], more_wait=True)


@dataclass
class SpoolReader:
    """Follow the spool while it grows. A last line without its newline is not there yet."""

    path: Path
    next_seq: int = 0
    _offset: int = 0
    _waiting: deque[SpooledEvent] = field(default_factory=deque)

    def find_batch(self) -> Batch | None:
        """Return the next events without taking them, or None when there is nothing new."""
        self._fill()
        events: list[SpooledEvent] = []
        points = size = 0
        for event in self._waiting:
            points, size = points + event.point_count, size + len(event.line) + 1
            # A checkpoint begins a batch of its own: numbers before it need not wait for its upload.
            if events and (
                points > MAX_POINTS
                or size > MAX_BYTES
                or len(events) >= MAX_EVENTS
                or event.kind == "checkpoint_saved"
            ):
                break
            events.append(event)
        return Batch(events, more_wait=len(events) < len(self._waiting)) if events else None

    def move_to(self, next_seq: int) -> None:
        """Go on with the event of this number: after an accepted batch, or where the service says it stands."""
        if next_seq < self.next_seq:
            self._waiting.clear()
            self._offset = 0
        self.next_seq = next_seq
        self._drop_taken()

    def _fill(self) -> None:
        while len(self._waiting) < MAX_EVENTS and (lines := self._read_lines()):
            events = (_parse_line(line) for line in lines)
            self._waiting.extend(event for event in events if event.seq >= self.next_seq)

    def _drop_taken(self) -> None:
        while self._waiting and self._waiting[0].seq < self.next_seq:
            self._waiting.popleft()

    def _read_lines(self) -> list[bytes]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                text = file.read(_READ_BYTES)
        except FileNotFoundError:
            return []
        complete = text[: text.rfind(b"\n") + 1]
        self._offset += len(complete)
        return complete.splitlines()


class _Histogram(msgspec.Struct):
    counts: list[int]


class _Event(msgspec.Struct):
    """What decides about a batch; the service looks at the rest."""

    kind: str
    values: dict[str, float | str] = {}
    histograms: dict[str, _Histogram] = {}
    file: dict[str, Any] | None = None

    def count_points(self) -> int:
        """Count as the service does: each metric, and each bin of a histogram."""
        return len(self.values) + sum(len(histogram.counts) for histogram in self.histograms.values())


class _Line(msgspec.Struct):
    seq: int
    event: _Event


_decode_line = msgspec.json.Decoder(_Line).decode


def _parse_line(line: bytes) -> SpooledEvent:
    try:
        row = _decode_line(line)
        file = StoredFile.model_validate(row.event.file) if row.event.file is not None else None
        return SpooledEvent(row.seq, line, row.event.kind, row.event.count_points(), file)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SpoolDamaged(f"A line of the spool is no event: {line[:200]!r} ({error})") from None


def read_position(path: Path) -> int:
    """Return the number of the event that comes next; 0 where none was taken yet."""
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["next_seq"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def write_position(path: Path, next_seq: int) -> None:
    """Keep the position; on a full disk the older one stays.

    Not fsynced: an older position only means that the service is told twice, which it tells apart by number.
    """
    temporary = path.with_name(f"{path.name}.part")
    try:
        temporary.write_text(json.dumps({"next_seq": next_seq}), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        if not is_no_room(error):
            raise
