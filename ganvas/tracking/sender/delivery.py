"""Delivers a run's folder to a service: opens the run there, sends files and events from where it stands, ends it.

Everything may be sent again: the same key opens the same run, an event is known by its number and bytes, a file by
its sha256. So any number of processes, one after the other, may deliver one folder.
"""

import fcntl
import json
import logging
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from api.artifacts.bundles import MAX_FILES, BundledFile, write_bundle
from api.client.transport import Transport, quote_id
from api.errors import (
    ArtifactRefused,
    AttemptFenced,
    BodyTooLarge,
    JobNotFound,
    NotAuthenticated,
    RequestInvalid,
    SequenceConflict,
    ServiceError,
)
from api.server.http.schemas import MediaType
from ganlib.events import StoredFile
from ganvas.tracking.attempts import AttemptPart, split_attempts
from ganvas.tracking.folder import LOG, RunFolder
from ganvas.tracking.sender.position import CopyDiffers, DeliveryRefused, find_part
from worker.spool.spool import Batch, SpooledEvent, SpoolReader

logger = logging.getLogger(__name__)

HEARTBEAT_TIMEOUT = 5.0
# Files that are smaller share a request; one stays well below the service's limit.
SMALL_BYTES, BUNDLE_BYTES = 1024 * 1024, 7 * 1024 * 1024
# Errors in a row that opening the run anew could heal.
MOST_REOPENINGS = 3
# Of these, one event or file is the cause, and the rest of the run can be delivered.
_REFUSALS = (RequestInvalid, ArtifactRefused, BodyTooLarge)
_JSON = {"Content-Type": "application/json"}
_NUMBER = re.compile(rb'^\{"seq": ?\d+')


@dataclass(frozen=True)
class Opened:
    """The run as a service has it. url: of its page, relative or whole."""

    job_id: str
    attempt: int
    token: str
    lease_seconds: float
    next_seq: int
    url: str
    state: str
    is_whole: bool


@contextmanager
def hold_delivery(folder: RunFolder) -> Iterator[bool]:
    """Hold the right to deliver this folder from this machine; gives False where another process has it."""
    try:
        descriptor = os.open(folder.path / LOG, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        # A folder that may only be read; repetitions do no harm.
        yield True
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_held = True
    except OSError:
        is_held = False
    try:
        yield is_held
    finally:
        os.close(descriptor)


class Delivery:
    """Delivers one folder to one service. Its methods raise ServiceError; `is_temporary` says which may pass.

    Numbers of events are the folder's; a service counts those of each attempt from 0.

    on_cancel: called when somebody has asked the service to cancel the run. keeps_position: whether the folder
    notes what the service has. compares: whether a copy that went on by itself is refused before it is opened.
    """

    def __init__(
        self,
        folder: RunFolder,
        transport: Transport,
        on_cancel: Callable[[], None] = lambda: None,
        *,
        keeps_position: bool = True,
        compares: bool = True,
    ) -> None:
        self.folder = folder
        self.opened: Opened | None = None
        self.sent_events = self.sent_files = 0
        self._transport = transport
        self._on_cancel = on_cancel
        self._keeps_position = keeps_position
        self._compares = compares
        # The attempt that is being delivered.
        self._part: AttemptPart | None = None
        self._own: Transport | None = None
        self._reader = SpoolReader(folder.path / "events.jsonl")
        self._renewed_at = 0.0
        self._reopenings = 0
        # What stands in an event's place that the service refuses, by its number.
        self._substitutes: dict[int, bytes] = {}

    @property
    def next_seq(self) -> int:
        """The number of the next event to deliver."""
        return self._reader.next_seq

    def open(self, events_count: int | None = None) -> Opened:
        """Open the run at the service, or go on with it, in the first attempt that it has not whole.

        events_count: of a run that has ended; one that the service has whole is left as it is (`is_whole`). Raises
        DeliveryRefused, before anything has changed, where this folder is a copy that went on by itself.
        """
        if self._part is None:
            parts = split_attempts(self.folder.read_header())
            self._part = find_part(self.folder, self._transport) if self._compares else parts[-1]
        part = self._part
        count = events_count if part.end_seq is None else part.end_seq
        local = None if count is None else max(0, count - part.first_seq)
        body = {**part.opening, "events_count": local}
        try:
            answer = self._transport.request("POST", "/runs", content=json.dumps(body), headers=_JSON)
        except AttemptFenced:
            if part.end_seq is None:
                raise
            self._part = self._find_next_part()
            return self.open(events_count)
        try:
            found = answer.json()
            opened = Opened(**{name: found[name] for name in Opened.__dataclass_fields__})
        except (ValueError, KeyError, TypeError):
            raise DeliveryRefused(f"{self._transport.url} does not answer as a Ganvas service does.") from None
        if not opened.url.startswith("http"):
            opened = replace(opened, url=self._transport.url + opened.url)
        if self._own is not None:
            self._own.close()
        self._own = Transport(self._transport.url, opened.token)
        self.opened, self._renewed_at = opened, time.monotonic()
        self._reader.move_to(part.first_seq + opened.next_seq)
        if opened.is_whole and part.end_seq is not None:
            self._part = self._find_next_part()
            return self.open(events_count)
        return opened

    def deliver_some(self) -> bool:
        """Deliver the next events, if there are any; returns whether there were. Else the lease is kept up."""
        if self.opened is None:
            self.open()
        batch = self._reader.find_batch()
        try:
            if batch is not None:
                self._look_for_end()
            if self._is_part_over():
                self._begin_next_part()
                return True
            if batch is not None:
                self._deliver(self._substitute(self._cut(batch)))
                return True
            self._keep_lease()
        except (AttemptFenced, JobNotFound, NotAuthenticated) as error:
            self._reopen(error)
            return True
        return False

    def finish(self, end: dict[str, Any]) -> None:
        """Report how the run ended; all events must be delivered."""
        opened = self._opened()
        post = {name: end[name] for name in ("end", "reason", "ended_at") if end.get(name) is not None}
        body = json.dumps({**post, "events_count": self._reader.next_seq - self._begun().first_seq})
        self._request("POST", f"{self._path(opened)}/finish", content=body, headers=_JSON)

    def close(self) -> None:
        """Close the connections."""
        if self._own is not None:
            self._own.close()

    # Attempts.

    def _begun(self) -> AttemptPart:
        assert self._part is not None  # noqa: S101
        return self._part

    def _look_for_end(self) -> None:
        """Notice that another process has gone on with the run, so that its events are not sent as these."""
        part = self._begun()
        if part.end_seq is None:
            parts = split_attempts(self.folder.read_header())
            self._part = next((each for each in parts if each.number == part.number), part)

    def _is_part_over(self) -> bool:
        end_seq = self._begun().end_seq
        return end_seq is not None and self._reader.next_seq >= end_seq

    def _begin_next_part(self) -> None:
        part = self._begun()
        if part.ended is not None and self._reader.next_seq == part.end_seq:
            self.finish(part.ended)
        self._part = self._find_next_part()
        self.open()

    def _find_next_part(self) -> AttemptPart:
        parts = split_attempts(self.folder.read_header())
        return next(each for each in parts if each.number > self._begun().number)

    def _cut(self, batch: Batch) -> Batch:
        """Leave out the events of the next attempt."""
        end_seq = self._begun().end_seq
        return batch if end_seq is None else Batch([each for each in batch.events if each.seq < end_seq], True)

    def _number(self, batch: Batch) -> bytes:
        """Return the body of a post, with the numbers that the attempt has at the service."""
        first = self._begun().first_seq
        if not first:
            return batch.body
        events = [
            replace(each, line=_NUMBER.sub(b'{"seq":%d' % (each.seq - first), each.line)) for each in batch.events
        ]
        return Batch(events).body

    def _opened(self) -> Opened:
        return self.opened or self.open()

    def _path(self, opened: Opened) -> str:
        return f"/jobs/{quote_id(opened.job_id)}/attempts/{opened.attempt}"

    def _request(self, method: str, path: str, **options: Any) -> Any:
        assert self._own is not None  # noqa: S101
        return self._own.request(method, path, **options)

    def _reopen(self, error: ServiceError) -> None:
        """Open the run anew: its lease had ended, its token has, or the service has lost it."""
        self._reopenings += 1
        if self._reopenings > MOST_REOPENINGS:
            raise DeliveryRefused(str(error)) from error
        self.open()

    def _keep_lease(self) -> None:
        opened = self._opened()
        if time.monotonic() - self._renewed_at < opened.lease_seconds / 4:
            return
        answer = self._request("POST", f"{self._path(opened)}/heartbeat", timeout=HEARTBEAT_TIMEOUT)
        self._accept(answer.json())

    def _accept(self, answer: dict[str, Any]) -> None:
        self._renewed_at, self._reopenings = time.monotonic(), 0
        if answer.get("cancel_requested"):
            self._on_cancel()

    def _deliver(self, batch: Batch) -> None:
        """Deliver a batch; of one that the service refuses, what it refuses becomes a line of the log."""
        opened = self._opened()
        try:
            self._upload(batch)
            answer = self._request(
                "POST", f"{self._path(opened)}/events", content=self._number(batch), headers=_JSON
            ).json()
        except SequenceConflict as error:
            self._follow(error, batch)
            return
        except _REFUSALS as error:
            self._narrow_down(batch, error)
            return
        self._accept(answer)
        self.sent_events += len(batch.events)
        self._move_to(self._begun().first_seq + int(answer["next_seq"]))

    def _follow(self, error: SequenceConflict, batch: Batch) -> None:
        """Go on where the service expects it; refuse a run that another folder has gone on with."""
        found = error.details.get("next_seq")
        expected = self._begun().first_seq + found if isinstance(found, int) else None
        if expected is None or expected >= batch.events[0].seq:
            raise CopyDiffers(self.folder.path) from error
        self._reopenings += 1
        if self._reopenings > MOST_REOPENINGS:
            raise DeliveryRefused(str(error)) from error
        self._move_to(expected)

    def _narrow_down(self, batch: Batch, error: ServiceError) -> None:
        if len(batch.events) > 1:
            self._deliver(batch.first_half())
            return
        event = batch.events[0]
        logger.warning("event %d is refused: %s", event.seq, error)
        if event.seq in self._substitutes:
            raise DeliveryRefused(str(error)) from error
        self._substitutes[event.seq] = _describe_refusal(event, error)
        self._deliver(self._substitute(batch))

    def _substitute(self, batch: Batch) -> Batch:
        if not self._substitutes:
            return batch
        events = [
            SpooledEvent(event.seq, self._substitutes[event.seq], "line_logged", 0, None)
            if event.seq in self._substitutes
            else event
            for event in batch.events
        ]
        return Batch(events, batch.more_wait)

    def _move_to(self, next_seq: int) -> None:
        self._reader.move_to(next_seq)
        if self._keeps_position:
            self.folder.write_position(self._transport.url, self._opened().job_id, next_seq)

    def _upload(self, batch: Batch) -> None:
        small: deque[BundledFile] = deque()
        for event in batch.events:
            if event.file is None:
                continue
            media_type: MediaType = "image/png" if event.is_picture else "application/octet-stream"
            if event.file.size > SMALL_BYTES:
                self._put(event.file, media_type)
            else:
                content = self.folder.read_file(event.file.model_dump())
                small.append(BundledFile(event.file.sha256, media_type, content))
            self.sent_files += 1
        for group in _group(small):
            headers = {"Content-Type": "application/octet-stream"}
            self._request("POST", "/artifacts", content=write_bundle(group), headers=headers)

    def _put(self, file: StoredFile, media_type: str) -> None:
        content = self.folder.iterate_file(file.model_dump())
        headers = {"Content-Type": media_type, "Content-Length": str(file.size)}
        self._request("PUT", f"/artifacts/{file.sha256}", content=content, headers=headers)


def _group(files: Iterable[BundledFile]) -> Iterator[list[BundledFile]]:
    group: list[BundledFile] = []
    total = 0
    for file in files:
        if group and (len(group) == MAX_FILES or total + len(file.content) > BUNDLE_BYTES):
            yield group
            group, total = [], 0
        group.append(file)
        total += len(file.content)
    if group:
        yield group


def _describe_refusal(event: SpooledEvent, error: ServiceError) -> bytes:
    """Return a line of the log in the place of an event that the service refuses, always the same bytes."""
    row = json.loads(event.line)
    refused = row["event"]
    what = refused.get("name") or event.kind.replace("_", " ")
    text = f"{what} was refused by the service: {error}"[:1000]
    line = {"kind": "line_logged", "iteration": refused.get("iteration", 0), "level": "warning", "text": text}
    return json.dumps({"seq": row["seq"], "at": row["at"], "event": line}).encode()
