"""The feed of event streams: one watcher polls the database; streams wait without a thread or a session."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from starlette.concurrency import run_in_threadpool

from api.errors import TooManyRequests
from api.events import log, watermark
from api.events.schemas import StreamEvent
from api.jobs import queries as job_queries
from api.jobs import serializers
from api.server.database.engine import Database

logger = logging.getLogger(__name__)
# A client far behind receives its batches in parts of at most so many batches or about so many bytes, so that a
# stalled stream holds one part.
_BATCHES_AT_ONCE = 8
_BYTES_AT_ONCE = 262_144
_JOBS_AT_ONCE = 100
_IDS_AT_ONCE = 1000
# The stream of all jobs sends each job at most this often.
LIST_EVERY_SECONDS = 0.25

# Messages after an event id, and the id of the last one.
Messages = tuple[list[bytes], int]
ReadMessages = Callable[[int], Messages]


class SharedReads:
    """Shares reads: a stream waits for a read that another one has begun with the same arguments.

    Results are not kept, and a read that began before the last commit is not shared: it may lack that commit.
    """

    def __init__(self) -> None:
        self._running: dict[tuple[str | None, int], asyncio.Task[Messages]] = {}

    async def read(self, job_id: str | None, after: int, read: ReadMessages) -> Messages:
        """Return the messages of `read` after this event id, of one job or of all jobs."""
        key = (job_id, after)
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(run_in_threadpool(read, after))
            task.add_done_callback(lambda done: self._forget(key, done))
        # A stream that is cancelled must not cancel the read of the others.
        return await asyncio.shield(task)

    def invalidate(self, job_id: str) -> None:
        """Stop sharing the running reads of this job and of the list, because something was committed."""
        for key in [key for key in self._running if key[0] in (job_id, None)]:
            del self._running[key]

    def _forget(self, key: tuple[str | None, int], done: asyncio.Task[Messages]) -> None:
        if self._running.get(key) is done:
            del self._running[key]
        if not done.cancelled():
            # Retrieved, in case every stream that waited for it has ended.
            done.exception()


class Feed:
    """Wakes open streams when their job has new events: at once within this process, by polling for others."""

    def __init__(
        self, database: Database, poll_seconds: float, keepalive_seconds: float, most_streams: int = 500
    ) -> None:
        self.closing = False
        self._most_streams = most_streams
        self._database = database
        self._poll_seconds = poll_seconds
        self._keepalive_seconds = keepalive_seconds
        self._subscribers: dict[asyncio.Event, str | None] = {}
        self._reads = SharedReads()
        self._notified = asyncio.Event()
        self._has_begun = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._seen = 0

    def notify(self) -> None:
        """Notify the watcher, from any thread, that something was committed."""
        if self._subscribers:
            self._call_in_loop(self._notified.set)

    def end_streams(self) -> None:
        """End every open stream, from any thread, so that a stopping server need not wait for them."""
        self.closing = True
        self._call_in_loop(self._wake_all)

    def check_room(self) -> None:
        """Raise TooManyRequests while as many streams are open as may be; other connections are for workers."""
        if len(self._subscribers) >= self._most_streams:
            raise TooManyRequests("Too many streams are open; ask again in a moment.", retry_after_seconds=5)

    async def stream(
        self, job_id: str | None, after: int, read: ReadMessages, every_seconds: float = 0.0
    ) -> AsyncIterator[bytes]:
        """Yield messages after this event id, and a comment when there was none for a while."""
        with self._subscribe(job_id) as news:
            # The first line shows proxies and browsers that the stream is open.
            yield b": connected\n\n"
            await self._start_watching()
            while not self.closing:
                # Cleared before the query: a later commit sets the event again.
                news.clear()
                messages, after = await self._reads.read(job_id, after, read)
                for message in messages:
                    yield message
                if messages:
                    await asyncio.sleep(every_seconds)
                elif not await self._has_news(news):
                    yield b": keepalive\n\n"

    @contextmanager
    def _subscribe(self, job_id: str | None) -> Iterator[asyncio.Event]:
        news = asyncio.Event()
        self._subscribers[news] = job_id
        try:
            yield news
        finally:
            del self._subscribers[news]

    async def _has_news(self, news: asyncio.Event) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._keepalive_seconds):
                await news.wait()
        return news.is_set()

    async def _start_watching(self) -> None:
        if self._watcher is None or self._watcher.done():
            self._loop = asyncio.get_running_loop()
            self._has_begun = asyncio.Event()
            self._watcher = asyncio.create_task(self._watch())
        # The watcher reads the watermark before any stream's first query, so that no event is missed in between.
        await self._has_begun.wait()

    async def _watch(self) -> None:
        while self._subscribers and not self.closing:
            try:
                if not await self._poll():
                    await self._wait_for_notification()
            except Exception:
                logger.exception("The event streams could not read the database; they try again.")
                await asyncio.sleep(1.0)
        self._has_begun.set()

    async def _poll(self) -> bool:
        if not self._has_begun.is_set():
            self._seen = await run_in_threadpool(watermark.find_watermark, self._database)
            self._has_begun.set()
        ids = await run_in_threadpool(self._read_ids, self._seen)
        for event_id, job_id in ids:
            self._seen = event_id
            self._reads.invalidate(job_id)
            for news, followed in self._subscribers.items():
                if followed is None or followed == job_id:
                    news.set()
        return bool(ids)

    async def _wait_for_notification(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_seconds):
                await self._notified.wait()
        self._notified.clear()

    def _read_ids(self, after: int) -> list[tuple[int, str]]:
        watermark_id = watermark.find_watermark(self._database)
        if watermark_id <= after:
            return []
        with self._database.read() as session:
            return log.list_batch_ids(session, after, watermark_id, _IDS_AT_ONCE)

    def _call_in_loop(self, action: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action)

    def _wake_all(self) -> None:
        self._notified.set()
        for news in self._subscribers:
            news.set()


def read_job_messages(database: Database, job_id: str, after: int) -> Messages:
    """Read the next messages of one job, one for each batch, in order."""
    with database.read() as session:
        batches = log.list_batches(session, job_id, after, _BATCHES_AT_ONCE)
        if not batches:
            return [], after
        summary = serializers.job_summary(session, job_queries.get_job(session, job_id))
    messages: list[bytes] = []
    for batch in batches:
        events = [_show_event(item) for item in batch.events]
        message = StreamEvent.model_construct(id=batch.id, attempt=batch.attempt, events=events, job=summary)
        messages.append(_write_message(message))
        if sum(map(len, messages)) >= _BYTES_AT_ONCE:
            break
    return messages, batches[len(messages) - 1].id


def read_list_messages(database: Database, after: int) -> Messages:
    """Read the next messages of the list: each changed job once, without events, by its newest event id."""
    watermark_id = watermark.find_watermark(database)
    with database.read() as session:
        changed = log.list_changed_jobs(session, after, watermark_id, _JOBS_AT_ONCE)
        jobs = {job.id: job for job in job_queries.list_jobs_by_id(session, [job_id for _, job_id in changed])}
        summaries = {each.id: each for each in serializers.job_summaries(session, list(jobs.values()))}
    messages = [
        StreamEvent.model_construct(id=event_id, attempt=None, events=[], job=summaries[job_id])
        for event_id, job_id in changed
        if job_id in summaries
    ]
    return [_write_message(message) for message in messages], changed[-1][0] if changed else after


def _show_event(item: dict[str, Any]) -> dict[str, Any]:
    event: dict[str, Any] = item["event"]
    return {**event, "at": item["at"]} if event["kind"] == "line_logged" else event


def _write_message(message: StreamEvent) -> bytes:
    return f"id: {message.id}\nevent: update\ndata: {message.model_dump_json()}\n\n".encode()
