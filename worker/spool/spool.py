"""The spool: a file of JSON lines that the trainer appends its events to and the reporter reads.

A line is written once and posted unchanged, so an event that is sent again has the same bytes. Nothing here is
fsynced: what a process wrote survives its death in the kernel's cache. After a crash of the machine the spool is
not needed: by the time it could be read, the attempt's lease is over, and the job resumes from a checkpoint that
the service holds.
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

from ganlib.events import Event, StoredFile
from ganlib.runtime.files import is_disk_full, replace_text

# Well below the service's limits for a post (10,000 events, 20,000 points, 1 MiB), so that it is quick to store.
MAX_EVENTS = 2_000
MAX_POINTS = 10_000
MAX_BYTES = 512 * 1024
_READ_BYTES = 1024 * 1024
_PICTURES = ("sample_grid_saved", "neighbour_grid_saved")
# Not urgent: these are posted with the next batch.
_QUIET = ("metrics_logged", "histograms_logged", "line_logged")


class SpoolDamaged(Exception):
    """A complete line of the spool is not an event."""

    code = "spool_damaged"


class SpoolWriter:
    """Appends events, numbered from 0. Threads may share it; a call costs one write."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._lock = Lock()
        # Offset of the next line; bytes after it are not a line yet.
        self._end = 0
        self.next_seq = 0

    def append(self, event: Event) -> None:
        """Write one event; raises OSError when the disk is full, and then nothing was written."""
        with self._lock:
            self.write_line(event)

    def record_unsaved_file(self, error: Exception, iteration: int) -> None:
        """Handle a file that found no room; here it ends the run."""
        raise error

    def reserve_space(self, size: int) -> None:
        """Reserve space for a line before it is written; raises OSError when there is none."""

    def write_line(self, event: Event, *, from_reserve: bool = False) -> int:
        """Write one event while the caller holds the lock; returns its size in bytes.

        from_reserve: use space that was reserved before, and reserve no more.
        """
        at = datetime.now(UTC).isoformat()
        line = f'{{"seq":{self.next_seq},"at":"{at}","event":{event.model_dump_json()}}}\n'.encode()
        if not from_reserve:
            self.reserve_space(len(line))
        # One unbuffered write a line: a killed trainer loses no event that it reported. An incomplete line is
        # overwritten by the next one.
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
    """One line of the spool, and the fields that decide about its batch."""

    seq: int
    line: bytes
    kind: str
    point_count: int
    file: StoredFile | None
    is_picture: bool = False


@dataclass(frozen=True)
class Batch:
    """Consecutive events to post together; `more_wait` when the spool already holds further ones."""

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
            (event.file, "image/png" if event.is_picture else "application/octet-stream")
            for event in self.events
            if event.file is not None
        ]

    @property
    def is_urgent(self) -> bool:
        """True if it should be posted at once, because a person may be waiting for a new grid."""
        return self.more_wait or any(event.kind not in _QUIET for event in self.events)

    @property
    def body(self) -> bytes:
        """The JSON of an EventsPost."""
        return b'{"events":[' + b",".join(event.line for event in self.events) + b"]}"

    def first_half(self) -> "Batch":
        """Return the first half of a batch that is too large; the rest comes next."""
        return Batch(self.events[: len(self.events) // 2], more_wait=True)


@dataclass
class SpoolReader:
    """Follows the spool while it grows; ignores a last line without its newline."""

    path: Path
    next_seq: int = 0
    _offset: int = 0
    _waiting: deque[SpooledEvent] = field(default_factory=deque)

    def find_batch(self) -> Batch | None:
        """Return the next events without removing them, or None when there is nothing new."""
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
        """Continue with the event of this number, after an accepted batch or where the service expects it."""
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


def _parse_line(line: bytes) -> SpooledEvent:
    """Read the fields that decide about a batch; the service checks the rest."""
    try:
        row = json.loads(line)
        seq, event = row["seq"], row["event"]
        kind, given = event["kind"], event.get("file")
        if type(seq) is not int or not isinstance(kind, str):
            raise TypeError("its number or kind is missing")
        file = StoredFile.model_validate(given) if given is not None else None
        is_picture = kind in _PICTURES or event.get("media_type") == "image/png"
        return SpooledEvent(seq, line, kind, _count_points(event), file, is_picture)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SpoolDamaged(f"A line of the spool is not an event: {line[:200]!r} ({error})") from None


def _count_points(event: dict[str, Any]) -> int:
    """Count as the service does: each metric, and each bin of a histogram."""
    histograms = event.get("histograms", {}).values()
    return len(event.get("values", {})) + sum(len(histogram["counts"]) for histogram in histograms)


def read_position(path: Path) -> int:
    """Return the number of the next event to deliver; 0 if none was delivered yet."""
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["next_seq"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def write_position(path: Path, next_seq: int) -> None:
    """Write the position; on a full disk the older one stays.

    An older position is harmless: events are posted twice, and the service recognises them by number.
    """
    try:
        replace_text(path, json.dumps({"next_seq": next_seq}))
    except OSError as error:
        if not is_disk_full(error):
            raise
