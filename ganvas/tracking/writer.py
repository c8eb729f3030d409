"""Writes a run's folder for a loop that must not wait: events at once, pictures on a thread of its own.

What finds no room on the disk is kept in memory, up to a limit, and written when there is room again. Nothing here
raises an error of the disk into the loop.
"""

import json
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

from ganlib.spec.storable import replace_unstorable
from ganvas.tracking.folder import RunFolder

# What is queued to be drawn, and what waits for the disk, in bytes; a loop that is faster than that waits.
MOST_QUEUED_BYTES = 256 * 1024 * 1024
MOST_WAITING_BYTES = 64 * 1024 * 1024
RETRY_SECONDS = 1.0
MOST_NOTE_CHARACTERS = 4000

StoredFile = dict[str, Any]
# Makes an event's JSON of the file that it names.
Describe = Callable[[StoredFile], str]


@dataclass(frozen=True)
class _Waiting:
    """An event that found no room, and the file that it names."""

    at: str
    text: str = ""
    content: "bytes | memoryview" = b""
    describe: Describe | None = None

    @property
    def size(self) -> int:
        return len(self.text) + len(self.content)


class RunWriter:
    """Writes one run. Threads may share it.

    on_trouble: takes a sentence for a person about what went wrong.
    """

    def __init__(self, folder: RunFolder, on_trouble: Callable[[str], None]) -> None:
        self.folder = folder
        self._on_trouble = on_trouble
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = self._lost_count = 0
        self._tried_at = 0.0
        self._waiting_lock = Lock()
        # None ends the thread. A put to this queue takes no lock that the thread could hold.
        self._tasks: SimpleQueue[tuple[Callable[[], None], int] | None] = SimpleQueue()
        self._queued_bytes = 0
        self._queue_lock = Lock()
        self._has_room = Event()
        self._thread: Thread | None = None

    def append(self, text: str) -> None:
        """Write one event, given as JSON."""
        if not self._waiting:
            try:
                self.folder.append(text)
                return
            except OSError as error:
                self._tell_full(error)
        self._keep(_Waiting(self.folder.read_clock(), text))

    def note(self, at: int, text: str) -> None:
        """Write a line for people into the run's log, at this iteration."""
        line = {"kind": "line_logged", "iteration": at, "text": replace_unstorable(text)[:MOST_NOTE_CHARACTERS]}
        self.append(json.dumps(line))

    def save(self, content: "bytes | memoryview", describe: Describe) -> None:
        """Write a file and the event that names it."""
        if not self._waiting:
            try:
                self.folder.append(describe(self.folder.add_file(content)))
                return
            except OSError as error:
                self._tell_full(error)
        self._keep(_Waiting(self.folder.read_clock(), content=content, describe=describe))

    def save_copy(self, path: Path, describe: Describe) -> None:
        """Copy a file of the disk and write the event that names it; one that finds no room is left out.

        Raises OSError where the file cannot be read.
        """
        with path.open("rb"):
            pass
        try:
            stored = self.folder.add_file(path)
        except OSError as error:
            self._on_trouble(f"{path} is not kept with the run: {error.strerror or error}.")
            return
        self.append(describe(stored))

    def put(self, task: Callable[[], None], size: int) -> None:
        """Do this on the writer's thread, after what was put before. size: bytes that it holds until then."""
        if self._thread is None and not self._start():
            task()
            return
        while self._queued_bytes and self._queued_bytes + size > MOST_QUEUED_BYTES:
            self._has_room.clear()
            self._has_room.wait(RETRY_SECONDS)
        self._count(size)
        self._tasks.put((task, size))

    def _start(self) -> bool:
        with self._queue_lock:
            if self._thread is None:
                thread = Thread(target=self._work, name="ganvas-writer", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    # The interpreter ends, or the machine allows no more threads.
                    return False
                self._thread = thread
        return True

    def drain(self, seconds: float) -> bool:
        """Wait until all that was put is done; returns whether it is."""
        if self._thread is None:
            return True
        done = Event()
        self._tasks.put((done.set, 0))
        return done.wait(seconds)

    def close(self, seconds: float) -> None:
        """Finish what was put, try once more what found no room, and end the thread; the folder stays open."""
        if not self.drain(seconds):
            self._on_trouble("pictures of the run are still being drawn; the last ones are lost.")
        self._tasks.put(None)
        self._retry()
        if self._waiting or self._lost_count:
            self._on_trouble(
                f"{len(self._waiting) + self._lost_count:,} events found no room on the disk of "
                f"{self.folder.path} and are lost."
            )

    def _work(self) -> None:
        while True:
            try:
                task = self._tasks.get(timeout=RETRY_SECONDS if self._waiting else None)
            except Empty:
                self._retry()
                continue
            if task is None:
                return
            work, size = task
            try:
                work()
            except Exception as error:  # the loop goes on, whatever a picture does
                self._on_trouble(f"something could not be recorded: {type(error).__name__}: {error}")
            # What it holds is freed before the next one comes.
            del work, task
            self._count(-size)

    def _count(self, size: int) -> None:
        if size:
            with self._queue_lock:
                self._queued_bytes += size
            self._has_room.set()

    def _keep(self, event: _Waiting) -> None:
        with self._waiting_lock:
            if self._waiting_bytes + event.size > MOST_WAITING_BYTES:
                self._lost_count += 1
            else:
                self._waiting.append(event)
                self._waiting_bytes += event.size
        if time.monotonic() - self._tried_at > RETRY_SECONDS:
            self._retry()

    def _retry(self) -> None:
        """Write what waits, the oldest first, until there is no more room."""
        with self._waiting_lock:
            self._tried_at = time.monotonic()
            if not self._waiting:
                return
            try:
                while self._waiting:
                    self._write(self._waiting[0])
                    self._waiting_bytes -= self._waiting.popleft().size
                if self._lost_count:
                    text = f"{self._lost_count:,} events found no room on the disk and are lost."
                    line = {"kind": "line_logged", "iteration": 0, "level": "warning", "text": text}
                    self.folder.append(json.dumps(line))
                    self._lost_count = 0
            except OSError:
                return

    def _write(self, event: _Waiting) -> None:
        text = event.text
        if event.describe is not None:
            text = event.describe(self.folder.add_file(event.content))
        self.folder.append(text, at=event.at)

    def _tell_full(self, error: OSError) -> None:
        reason = os.strerror(error.errno) if error.errno else str(error)
        self._on_trouble(
            f"{self.folder.path} cannot be written ({reason}); what is logged is kept in memory and written when "
            "there is room again."
        )
        # Somebody has to try again where the loop logs nothing more.
        self.put(lambda: None, 0)


def describe_file(at: int, name: str, media_type: str, stored: StoredFile) -> str:
    """Return the event of a file that is kept with the run, as JSON."""
    event = {"kind": "file_saved", "iteration": at, "name": name, "file": stored, "media_type": media_type}
    return json.dumps(event)
