"""Reading for many streams at once: those that stand at one place of one job need one answer of the database."""

import asyncio
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool

# What follows an event id: messages and the id of the last one.
Messages = tuple[list[bytes], int]


class SharedReads:
    """Lets a stream that asks what another one is asking right now wait for the same answer.

    Answers are not kept, and one that was begun before the last news is not waited for: it may lack them.
    """

    def __init__(self) -> None:
        self._under_way: dict[tuple[str | None, int], asyncio.Task[Messages]] = {}

    async def read(self, job_id: str | None, after: int, read: Callable[[int], Messages]) -> Messages:
        """Return what `read` finds after this event id of this job, or of the list of all."""
        key = (job_id, after)
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(run_in_threadpool(read, after))
            task.add_done_callback(lambda done: self._forget(key, done))
        # A stream that goes away must not take the answer from the others.
        return await asyncio.shield(task)

    def note_news(self, job_id: str) -> None:
        """Hear that something of a job was committed: whoever asks from now on is asked for anew."""
        for key in [key for key in self._under_way if key[0] in (job_id, None)]:
            del self._under_way[key]

    def _forget(self, key: tuple[str | None, int], done: asyncio.Task[Messages]) -> None:
        if self._under_way.get(key) is done:
            del self._under_way[key]
        if not done.cancelled():
            # Marked as seen, should every stream that waited for it have gone.
            done.exception()
