"""Delivers an attempt's events and files: a thread follows the spool and retries until the service takes them.

Training never waits for it: while the service is away, the spool grows on disk and is delivered afterwards. Events
are delivered in the order of their numbers, so those after a checkpoint wait for its upload (well below a second
on one machine); those before it do not.
"""

import logging
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag
from threading import Thread

from api.artifacts.bundles import MAX_FILES, BundledFile
from api.client.transport import is_temporary
from api.client.worker_client import WorkerClient
from api.errors import ArtifactMissing, AttemptFenced, BodyTooLarge, JobNotFound, SequenceConflict, ServiceError
from api.events.schemas import EventsAccepted
from api.server.http.schemas import MediaType
from ganlib.events import StoredFile
from worker.attempt.lease import Lease
from worker.attempt.run_dir import RunDir
from worker.spool.spool import Batch, SpoolReader, read_position, write_position

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
# Metrics are posted at most this often; a sample grid or a checkpoint at once.
BATCH_SECONDS = 0.5
FIRST_BACKOFF_SECONDS = 0.25
LAST_BACKOFF_SECONDS = 5.0
# Refusals in a row that another try could heal (a file that vanished, a number out of step).
MAX_REFUSALS = 3
# Files of these events are deleted after delivery; latents are kept: they are small, and useful to a person.
_DELETED_KINDS = ("sample_grid_saved", "neighbour_grid_saved", "checkpoint_saved")
# A sample grid is small, a checkpoint is not.
SMALL_BYTES = 1024 * 1024
# Well below the service's limit, headers included.
BUNDLE_BYTES = 7 * 1024 * 1024


@dataclass(frozen=True)
class Upload:
    """A file, with the sha256 and the media type that the service stores."""

    path: Path
    sha256: str
    media_type: MediaType


def upload(client: WorkerClient, files: Iterable[Upload]) -> None:
    """Upload files in their order; each is stored durably when this returns. A repetition does no harm."""
    for group in _group(files):
        if len(group) == 1:
            client.put_artifact(group[0].path, group[0].sha256, group[0].media_type)
        else:
            client.put_artifacts(
                [BundledFile(file.sha256, file.media_type, file.path.read_bytes()) for file in group]
            )


def _group(files: Iterable[Upload]) -> Iterator[list[Upload]]:
    """Group the files by request: consecutive small files share one."""
    group: list[Upload] = []
    total = 0
    for file in files:
        size = file.path.stat().st_size
        if group and (len(group) == MAX_FILES or total + size > BUNDLE_BYTES or size > SMALL_BYTES):
            yield group
            group, total = [], 0
        group.append(file)
        total += size if size <= SMALL_BYTES else BUNDLE_BYTES
    if group:
        yield group


class ArtifactOutside(Exception):
    """An event names a file that is not a plain file in the run's own folder."""

    code = "artifact_outside"


class Reporter:
    """Delivers one attempt's events.

    lease: each accepted batch renews it.
    failure: the error that made delivery impossible, or None; any thread may read it.
    """

    def __init__(self, client: WorkerClient, run_dir: RunDir, lease: Lease) -> None:
        self.failure: Exception | None = None
        self._client = client
        self._run_dir = run_dir
        self._lease = lease
        self._reader = SpoolReader(run_dir.spool_path, next_seq=read_position(run_dir.position_path))
        self._refusals = 0
        self._spool_is_complete = Flag()
        self._abandoned = Flag()
        self._thread = Thread(target=self._run, name="reporter", daemon=True)

    @property
    def delivered_count(self) -> int:
        """Number of events that the service has accepted."""
        return self._reader.next_seq

    @property
    def is_running(self) -> bool:
        """True while anything may be left to deliver."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start delivering."""
        self._thread.start()

    def mark_spool_complete(self) -> None:
        """Record that the spool is complete: the thread ends when all is delivered."""
        self._spool_is_complete.set()

    def abandon(self) -> None:
        """Stop delivering; returns when the request in flight, if any, has ended (5 seconds at most)."""
        self._abandoned.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        try:
            self._deliver_all()
        except (AttemptFenced, JobNotFound):
            self._lease.mark_lost()
        except Exception as error:
            logger.error("events cannot be delivered: %s", error)
            self.failure = error

    def _deliver_all(self) -> None:
        posted_at = 0.0
        while not self._abandoned.is_set():
            # Read before the spool, so that nothing written in between is missed.
            complete = self._spool_is_complete.is_set()
            batch = self._reader.find_batch()
            if batch is None and complete:
                return
            due = complete or time.monotonic() - posted_at >= BATCH_SECONDS
            if batch is not None and (due or batch.is_urgent):
                posted_at = time.monotonic()
                self._deliver_with_retries(batch)
            else:
                self._abandoned.wait(POLL_SECONDS)

    def _deliver_with_retries(self, batch: Batch) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        while not self._abandoned.is_set():
            try:
                self._deliver(batch)
            except ServiceError as error:
                if not is_temporary(error):
                    raise
                if backoff == FIRST_BACKOFF_SECONDS:
                    logger.warning("events wait on disk: %s", error)
                # Spread, so that many workers do not retry in step.
                self._abandoned.wait(backoff * random.uniform(0.5, 1.0))  # noqa: S311
                backoff = min(backoff * 2, LAST_BACKOFF_SECONDS)
            else:
                return

    def _deliver(self, batch: Batch) -> None:
        uploads = (self._find_upload(file, media_type) for file, media_type in batch.files)
        upload(self._client, [each for each in uploads if each is not None])
        try:
            self._accept(batch, self._client.post_events(self._run_dir.job_id, self._run_dir.attempt, batch.body))
        except BodyTooLarge:
            if len(batch.events) == 1:
                raise
            self._deliver(batch.first_half())
        except SequenceConflict as error:
            self._count_refusal(error)
            next_seq = error.details.get("next_seq")
            # Repeated events with the same bytes are accepted, so a conflict is a gap or a difference. Only a gap
            # can be healed, from the spool: the database was restored, or the position was wrong.
            if not isinstance(next_seq, int) or next_seq >= self._reader.next_seq:
                raise
            self._move_to(next_seq)
        except ArtifactMissing as error:
            self._count_refusal(error)

    def _accept(self, batch: Batch, accepted: EventsAccepted) -> None:
        self._refusals = 0
        self._lease.record_renewal(accepted)
        self._move_to(accepted.next_seq)
        for event in batch.events:
            if event.file is not None and event.kind in _DELETED_KINDS and event.seq < accepted.next_seq:
                (self._run_dir.artifacts_dir / event.file.path).unlink(missing_ok=True)

    def _count_refusal(self, error: ServiceError) -> None:
        self._refusals += 1
        if self._refusals > MAX_REFUSALS:
            raise error

    def _find_upload(self, file: StoredFile, media_type: MediaType) -> Upload | None:
        path = self._run_dir.artifacts_dir / file.path
        if not path.exists() and not path.is_symlink():
            # Delivered before and deleted; a service that has lost it answers the event with ArtifactMissing.
            return None
        if not path.resolve().is_relative_to(self._run_dir.artifacts_dir.resolve()) or not path.is_file():
            raise ArtifactOutside(f"An event names {file.path}, which is no file in its folder.")
        return Upload(path, file.sha256, media_type)

    def _move_to(self, next_seq: int) -> None:
        self._reader.move_to(next_seq)
        write_position(self._run_dir.position_path, next_seq)
