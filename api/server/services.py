"""What the routes work with, and what happens beside and after their transactions."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from api.artifacts import queries as artifact_queries
from api.artifacts.s3 import S3Blobs
from api.artifacts.storage import Blobs, LocalBlobs, is_damaged
from api.attempts.lease_expiry import ORPHAN_SECONDS, Cadence, Reaper
from api.events.feed import Feed
from api.jobs import edits
from api.server.access.authenticator import Access
from api.server.access.rate_limits import Limits
from api.server.broker.waker import WorkerWaker
from api.server.database.engine import Database, build_database
from api.server.operations.availability import Hearing
from api.server.operations.prometheus import Metrics
from api.settings import Settings

logger = logging.getLogger(__name__)
DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Services:
    """One of each a process; `app.state.services` holds them."""

    settings: Settings
    database: Database
    blobs: Blobs
    waker: WorkerWaker
    feed: Feed
    reaper: Reaper
    access: Access
    limits: Limits
    metrics: Metrics
    hearing: Hearing

    def delete_unused_blobs(self, names: Iterable[str]) -> None:
        """Delete files that nothing refers to any more."""
        delete_unused_blobs(self.database, self.blobs, names)

    def delete_damaged_checkpoint(self, job_id: str, attempt: int) -> None:
        """Delete the checkpoint that this attempt could not go on from, if it is damaged: the next takes another.

        Whether it is damaged, the service finds out itself: a worker's own network may be to blame.
        """
        with self.database.read() as session:
            sha256 = artifact_queries.find_resumed_checkpoint(session, job_id, attempt)
        if sha256 is not None and is_damaged(self.blobs, sha256):
            logger.error("The stored checkpoint %s is damaged; it is deleted.", sha256)
            self.blobs.delete(sha256)


def build_services(settings: Settings) -> Services:
    """Build everything for these settings; nothing is started, nothing is connected to."""
    database = build_database(settings)
    blobs = build_blobs(settings)
    waker = WorkerWaker(settings.broker_url, settings.home.expanduser().resolve())
    feed = Feed(database, settings.stream_poll_seconds, settings.stream_keepalive_seconds)
    cadence = Cadence(settings.reap_every_seconds, settings.lease_seconds, settings.wake_every_seconds)

    def sweep() -> None:
        purge_deleted_jobs(database, blobs, settings.deleted_kept_days * DAY_SECONDS)
        with database.read() as session:
            orphans = artifact_queries.list_orphans(session, ORPHAN_SECONDS)
        delete_unused_blobs(database, blobs, orphans)
        blobs.sweep(ORPHAN_SECONDS)

    hearing = Hearing()
    reaper = Reaper(database, cadence, waker.wake_workers, feed.nudge, sweep, was_deaf=hearing.was_lost)
    access = Access(database, settings.token)
    limits = Limits(settings.submits_per_minute, settings.login_failures_per_minute)
    return Services(settings, database, blobs, waker, feed, reaper, access, limits, Metrics(database), hearing)


def build_blobs(settings: Settings) -> Blobs:
    """Return the file store of the settings: a local folder, or a bucket."""
    if settings.blobs_url is None:
        return LocalBlobs(settings.blobs_dir)
    return S3Blobs(settings.blobs_url, settings.s3_endpoint_url)


def purge_deleted_jobs(database: Database, blobs: Blobs, kept_seconds: float) -> None:
    """Delete what jobs recorded that were deleted longer ago than this; one job a transaction."""
    with database.read() as session:
        purged = edits.list_purged(session, kept_seconds)
    for job_id in purged:
        with database.write() as session:
            names = edits.purge_job(session, job_id, kept_seconds)
        delete_unused_blobs(database, blobs, names)
        logger.info("The deleted job %s was removed, with the files that only it named.", job_id)


def delete_unused_blobs(database: Database, blobs: Blobs, names: Iterable[str]) -> None:
    """Delete row and file of those of these artifacts that nothing refers to; failures are logged, not raised.

    The file goes before the commit: whoever puts the same bytes meanwhile waits for the row, and then finds the
    file missing (see `api.artifacts.routes`).
    """
    for name in names:
        try:
            with database.write() as session:
                if artifact_queries.delete_unused_artifact(session, name):
                    blobs.delete(name)
        except Exception:
            logger.exception("The file %s could not be deleted.", name)
