"""Sheets of images that the service draws: a few at a time, each once, kept in memory and on disk.

A sheet can be drawn again at any time, so files are not synced, a damaged one counts as missing, and a full disk
does no harm.
"""

import asyncio
import hashlib
import logging
import os
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from api.errors import ServiceUnavailable
from api.server.files import written_whole

logger = logging.getLogger(__name__)

MEMORY_BYTES, DISK_BYTES = 64 * 1_048_576, 256 * 1_048_576
# A file unused for so long is deleted even where there is room: its run may be gone.
KEPT_SECONDS = 7 * 86_400
PRUNE_EVERY = 128
# Decoding keeps a core busy: more threads would only take cores from the requests.
DRAWERS = 2
MOST_WAITING = 200
_MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png"}
_DIGEST_BYTES = 32


@dataclass(frozen=True)
class Sheet:
    """An image file; not whole when a member's file could not be read and its part is black."""

    content: bytes
    media_type: str
    is_whole: bool


class DiskCache:
    """Files by name, those that were used last. Threads and processes may share the folder."""

    def __init__(self, folder: Path, kept_bytes: int = DISK_BYTES) -> None:
        self._folder = folder
        self._kept_bytes = kept_bytes
        self._put_count = 0

    def find(self, name: str) -> bytes | None:
        """Return the content that was put under this name, or None."""
        path = self._path(name)
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        digest, content = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        return content if hashlib.sha256(content).digest() == digest else None

    def has(self, name: str) -> bool:
        """Whether something was put under this name; it may be damaged."""
        return self._path(name).exists()

    def put(self, name: str, content: bytes) -> None:
        """Keep the content under its name, as far as the disk allows."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._put_count % PRUNE_EVERY == 0:
                self.prune()
            self._put_count += 1
            with written_whole(self._path(name)) as file:
                file.write(hashlib.sha256(content).digest() + content)
        except OSError as error:
            logger.debug("A sheet is not kept: %s", error)

    def prune(self) -> None:
        """Delete files that were unused for a week, and the longest unused beyond the size that may be kept."""
        files = []
        for entry in os.scandir(self._folder):
            # Another process may have deleted it.
            with suppress(FileNotFoundError):
                stat = entry.stat()
                files.append((stat.st_mtime, stat.st_size, entry.path))
        oldest, room = time.time() - KEPT_SECONDS, self._kept_bytes
        for used_at, size, path in sorted(files, reverse=True):
            room -= size
            if room < 0 or used_at < oldest:
                with suppress(FileNotFoundError):
                    os.unlink(path)

    def _path(self, name: str) -> Path:
        return self._folder / hashlib.sha256(name.encode()).hexdigest()


class SheetCache:
    """The newest sheets in memory, others in a DiskCache; a missing one is drawn in a thread of the cache's own.

    So a request that waits for a sheet holds no thread of the service.
    """

    def __init__(self, disk: DiskCache, kept_bytes: int = MEMORY_BYTES) -> None:
        self._disk = disk
        self._drawers = ThreadPoolExecutor(DRAWERS, thread_name_prefix="sheets")
        self._sheets: OrderedDict[str, Sheet] = OrderedDict()
        self._kept_bytes = kept_bytes
        self._size = 0
        self._pending: dict[str, asyncio.Future[Sheet]] = {}

    async def find_or_draw(self, name: str, draw: Callable[[], Sheet]) -> Sheet:
        """Return the sheet of this name, which ends with its file type; it is drawn unless it is kept or pending.

        Raises what `draw` raises, and ServiceUnavailable when too many are pending.
        """
        if name in self._sheets:
            self._sheets.move_to_end(name)
            return self._sheets[name]
        if name not in self._pending:
            if len(self._pending) >= MOST_WAITING:
                raise ServiceUnavailable("Too many images are being made; ask again in a moment.")
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._drawers, self._find_on_disk_or_draw, name, draw)
            self._pending[name] = future
            future.add_done_callback(lambda done: self._finish(name, done))
        # A reader who leaves does not cancel it for the others who wait for the same sheet.
        return await asyncio.shield(self._pending[name])

    def _find_on_disk_or_draw(self, name: str, draw: Callable[[], Sheet]) -> Sheet:
        content = self._disk.find(name)
        if content is not None:
            return Sheet(content, _MEDIA_TYPES[name.rpartition(".")[2]], is_whole=True)
        sheet = draw()
        if sheet.is_whole:
            self._disk.put(name, sheet.content)
        return sheet

    def _finish(self, name: str, drawn: asyncio.Future[Sheet]) -> None:
        del self._pending[name]
        if drawn.cancelled() or drawn.exception() is not None or not drawn.result().is_whole:
            return
        sheet = drawn.result()
        self._sheets[name] = sheet
        self._size += len(sheet.content)
        while self._size > self._kept_bytes:
            _, oldest = self._sheets.popitem(last=False)
            self._size -= len(oldest.content)


# Of one core at most a quarter: three times as long as a sheet took, none is drawn.
_REST = 3
MOST_FOLLOWED = 1000

Draw = Callable[[], Sheet]


class AheadDrawer:
    """Draws a run's sheets in the background while it goes on, so that who looks first waits for none.

    sheet_grids: how many grids make a sheet. list_sheets(job_id, begin): name and drawing of each whole
    sheet from number `begin` on.
    """

    def __init__(
        self, disk: DiskCache, sheet_grids: int, list_sheets: Callable[[str, int], list[tuple[str, Draw]]]
    ) -> None:
        self._disk = disk
        self._sheet_grids = sheet_grids
        self._list_sheets = list_sheets
        self._counts: Counter[str] = Counter()
        # How many sheets of a job were looked at: what was pruned since is left to who asks for it.
        self._done: OrderedDict[str, int] = OrderedDict()
        self._due: OrderedDict[str, None] = OrderedDict()
        self._changed = threading.Condition()
        self._is_busy = self._is_closing = False
        self._thread: threading.Thread | None = None

    def take(self, job_id: str, count: int) -> None:
        """Hear that a job has so many new grids; draws nothing itself."""
        with self._changed:
            if self._is_closing or (job_id not in self._counts and len(self._counts) >= MOST_FOLLOWED):
                return
            self._counts[job_id] += count
            if self._counts[job_id] < self._sheet_grids:
                return
            del self._counts[job_id]
            self._due[job_id] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sheets-ahead", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until nothing is left to draw."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closing or not (self._due or self._is_busy))

    def close(self) -> None:
        """Stop after the sheet that is being drawn."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._due or self._is_closing)
                if self._is_closing:
                    return
                job_id, _ = self._due.popitem(last=False)
                self._is_busy = True
            try:
                self._draw_missing(job_id)
            except Exception:
                logger.exception("The sheets of job %s could not be drawn ahead.", job_id)

    def _draw_missing(self, job_id: str) -> None:
        begin = self._done.pop(job_id, 0)
        sheets = self._list_sheets(job_id, begin)
        self._done[job_id] = begin + len(sheets)
        if len(self._done) > MOST_FOLLOWED:
            self._done.popitem(last=False)
        for name, draw in sheets:
            if self._disk.has(name):
                continue
            started = time.monotonic()
            sheet = draw()
            if sheet.is_whole:
                self._disk.put(name, sheet.content)
            rest = _REST * (time.monotonic() - started)
            with self._changed:
                if self._changed.wait_for(lambda: self._is_closing, rest):
                    return
