"""The services that routes use, built and started together."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from api.artifacts import queries as artifact_queries
from api.artifacts.s3 import S3Blobs
from api.artifacts.storage import Blobs, LocalBlobs, is_damaged
from api.attempts.lease_expiry import Cadence, Reaper
from api.server.access.authenticator import Authenticator
from api.server.access.rate_limits import RateLimits
from api.server.broker.waker import WorkerWaker
from api.server.database.engine import Database, build_database, prepare_tables
from api.server.operations.availability import Availability
from api.server.operations.costly import CostlyAnswers
from api.server.operations.housekeeping import DAY_SECONDS, Housekeeping, delete_unused_blobs
from api.server.operations.housekeeping import purge_deleted_jobs as purge_deleted_jobs
from api.server.settings import Settings

if TYPE_CHECKING:
    from api.events.feed import Feed
    from api.events.findings.webhooks import WebhookSender
    from api.server.operations.prometheus import PrometheusMetrics

logger = logging.getLogger(__name__)


class GridFollower(Protocol):
    """Is told of new sample grids, from any thread, until it is closed."""

    def take(self, job_id: str, count: int) -> None:
        """Hear that a job has so many new grids; must return at once."""

    def close(self) -> None:
        """Stop what runs in the background."""


@dataclass(frozen=True)
class Services:
    """The services of one process, held by `app.state.services`."""

    settings: Settings
    database: Database
    blobs: Blobs
    waker: WorkerWaker
    reaper: Reaper
    authenticator: Authenticator
    rate_limits: RateLimits
    availability: Availability
    costly: CostlyAnswers
    webhooks: "WebhookSender | None"
    grid_followers: list[GridFollower] = field(default_factory=list)

    @cached_property
    def feed(self) -> "Feed":
        """The feed of event streams, which only routes need; they are built in one thread, and take it then."""
        from api.events.feed import Feed

        # Half of the connections at most are streams.
        most = self.settings.max_connections // 2
        poll, keepalive = self.settings.stream_poll_seconds, self.settings.stream_keepalive_seconds
        return Feed(self.database, poll, keepalive, most_streams=most)

    @cached_property
    def prometheus(self) -> "PrometheusMetrics":
        """The Prometheus metrics, which only routes need."""
        from api.server.operations.prometheus import PrometheusMetrics

        return PrometheusMetrics(self.database)

    def start(self) -> None:
        """Migrate the tables, and start the background threads."""
        prepare_tables(self.database.engine, self.settings)
        if not self.settings.read_only:
            self.waker.start()
            self.reaper.start()
            if self.webhooks is not None:
                self.webhooks.start()

    def stop(self) -> None:
        """Stop the background threads, and close the database."""
        for follower in self.grid_followers:
            follower.close()
        if not self.settings.read_only:
            if self.webhooks is not None:
                self.webhooks.close()
            self.reaper.close()
            self.waker.close()
        self.database.close()

    def notify_streams(self) -> None:
        """Tell open streams, from any thread, that something was committed."""
        if "feed" in self.__dict__:
            self.feed.notify()

    def tell_of_grids(self, job_id: str, count: int) -> None:
        """Tell those who follow, from any thread, that a job has new sample grids."""
        if count:
            for follower in self.grid_followers:
                follower.take(job_id, count)

    def end_streams(self) -> None:
        """End every open stream, from any thread."""
        if "feed" in self.__dict__:
            self.feed.end_streams()

    def delete_unused_blobs(self, names: Iterable[str]) -> None:
        """Delete those of these files that nothing refers to any more."""
        delete_unused_blobs(self.database, self.blobs, names)

    def delete_damaged_checkpoint(self, job_id: str, attempt: int) -> None:
        """Delete the checkpoint that this attempt could not resume from, if it is damaged.

        The next attempt then resumes from an earlier one. The service checks the file itself, because the
        worker's network may have caused the error.
        """
        with self.database.read() as session:
            sha256 = artifact_queries.find_resumed_checkpoint(session, job_id, attempt)
        if sha256 is not None and is_damaged(self.blobs, sha256):
            logger.error("The stored checkpoint %s is damaged; it is deleted.", sha256)
            with self.database.write() as session:
                artifact_queries.forget_checkpoints(session, sha256)
            self.delete_unused_blobs([sha256])


def build_services(settings: Settings) -> Services:
    """Build all services for these settings without starting or connecting to anything."""
    database = build_database(settings)
    blobs = build_blobs(settings)
    waker = WorkerWaker(settings.broker_url, settings.home.expanduser().resolve())
    cadence = Cadence(settings.reap_every_seconds, settings.lease_seconds, settings.wake_every_seconds)

    kept_seconds = settings.deleted_kept_days * DAY_SECONDS
    housekeeping = Housekeeping(database, blobs, settings.home.expanduser().resolve(), kept_seconds)
    availability = Availability()
    rate_limits = RateLimits(settings.submits_per_minute, settings.login_failures_per_minute)
    reaper = Reaper(
        database,
        cadence,
        waker.wake_workers,
        lambda: services.notify_streams(),
        housekeeping.run,
        availability=availability,
        stop_sweep=housekeeping.stop,
    )
    services = Services(
        settings=settings,
        database=database,
        blobs=blobs,
        waker=waker,
        reaper=reaper,
        authenticator=Authenticator(database, settings.token, rate_limits),
        rate_limits=rate_limits,
        availability=availability,
        costly=CostlyAnswers(),
        webhooks=_build_webhooks(database, settings),
    )
    return services


def _build_webhooks(database: Database, settings: Settings) -> "WebhookSender | None":
    if settings.webhook_url is None:
        return None
    from api.events.findings.webhooks import WebhookSender

    return WebhookSender(database, settings)


def build_blobs(settings: Settings) -> Blobs:
    """Return the blob store of the settings: a local folder or a bucket."""
    if settings.blobs_url is None:
        return LocalBlobs(settings.blobs_dir)
    return S3Blobs(settings.blobs_url, settings.s3_endpoint_url)
