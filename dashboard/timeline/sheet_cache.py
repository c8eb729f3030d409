"""Where sheets are made: a few at a time, each once however many ask for it. The newest are kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from api.errors import ServiceUnavailable
from dashboard.timeline.disk_cache import Shelf

KEPT_BYTES = 64 * 1_048_576
# Decoding is work for a processor: more at once would only take it from the requests.
MAKERS = 2
MOST_WAITING = 200
_MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png"}


@dataclass(frozen=True)
class Sheet:
    """An image file; not whole when a member's file could not be read, whose place is then black."""

    content: bytes
    media_type: str
    is_whole: bool


class Darkroom:
    """Makes sheets in threads of its own, so that a request that waits for one holds none of the service's.

    shelf: where sheets are looked for that memory does not hold, before they are made, and put when they were.
    """

    def __init__(self, shelf: Shelf, kept_bytes: int = KEPT_BYTES) -> None:
        self._shelf = shelf
        self._makers = ThreadPoolExecutor(MAKERS, thread_name_prefix="darkroom")
        self._kept: OrderedDict[str, Sheet] = OrderedDict()
        self._kept_bytes = kept_bytes
        self._size = 0
        self._making: dict[str, asyncio.Future[Sheet]] = {}

    async def develop(self, name: str, make: Callable[[], Sheet]) -> Sheet:
        """Return the sheet of this name, which ends with its kind; it is made unless it is kept or being made.

        Raises what `make` raises, and ServiceUnavailable when too many wait.
        """
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        if name not in self._making:
            if len(self._making) >= MOST_WAITING:
                raise ServiceUnavailable("Too many images are being made; ask again in a moment.")
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._makers, self._find_or_make, name, make)
            self._making[name] = future
            future.add_done_callback(lambda done: self._finish(name, done))
        # Who leaves takes nothing from the others who wait for the same sheet.
        return await asyncio.shield(self._making[name])

    def _find_or_make(self, name: str, make: Callable[[], Sheet]) -> Sheet:
        content = self._shelf.find(name)
        if content is not None:
            return Sheet(content, _MEDIA_TYPES[name.rpartition(".")[2]], is_whole=True)
        sheet = make()
        if sheet.is_whole:
            self._shelf.put(name, sheet.content)
        return sheet

    def _finish(self, name: str, made: asyncio.Future[Sheet]) -> None:
        del self._making[name]
        if made.cancelled() or made.exception() is not None or not made.result().is_whole:
            return
        sheet = made.result()
        self._kept[name] = sheet
        self._size += len(sheet.content)
        while self._size > self._kept_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest.content)
