"""Starts a worker: one that messages wake, or one without a broker (GANVAS_BROKER_URL=none) that asks for jobs."""

import logging
import signal
import sys
from types import FrameType

from api.errors import ServiceError
from api.server.operations.logging import set_up_logs
from worker.loop.idle_shutdown import interrupted_status
from worker.loop.polling import PollingWorker
from worker.loop.presence import Presence, register
from worker.settings import NO_BROKER, WorkerSettings

logger = logging.getLogger(__name__)
BROKER_SECONDS = 5.0
# Workers do not talk to each other, and looking for others takes a second at each start.
CELERY_ARGUMENTS = (
    "--quiet", "worker", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=INFO",
)  # fmt: skip


def main() -> None:
    """Run a worker until SIGTERM or Ctrl-C; exits with status 1 when the service refuses it."""
    set_up_logs()
    # A line for each request would bury the worker's own.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = WorkerSettings()
    if settings.has_broker and not broker_answers(settings):
        logger.warning("The broker cannot be reached: this worker asks the service for jobs instead.")
        settings = settings.model_copy(update={"broker_url": NO_BROKER})
    try:
        if settings.has_broker:
            _register_before_celery(settings)
            _run_celery()
        else:
            PollingWorker(settings).run()
    except ServiceError as error:
        sys.exit(f"Error: {error.text}")
    except KeyboardInterrupt:
        sys.exit(130)


def broker_answers(settings: WorkerSettings) -> bool:
    """Return whether the broker can be reached now."""
    # Imported here: a worker without a broker needs no Celery.
    from api.server.broker.celery import build_broker

    broker = build_broker(settings.broker_url, settings.home.expanduser())
    try:
        with broker.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=BROKER_SECONDS)
    except Exception:
        # Transports raise errors of their own; kombu has no common base.
        logger.debug("the broker does not answer", exc_info=True)
        return False
    finally:
        broker.close()
    return True


def _register_before_celery(settings: WorkerSettings) -> None:
    """Register; until Celery handles signals itself, they end this worker, which holds nothing yet."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(interrupted_status(settings.exit_when_idle))

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    presence = Presence(settings, read_held=lambda: None)
    try:
        register(presence, settings, lambda: False)
    finally:
        presence.close()


def _run_celery() -> None:
    """Run Celery's worker to its end; raises ServiceError when the service refuses it."""
    # Imported here: the module reads the environment and opens the broker.
    from worker import celery_app

    status: int | str | None = None
    try:
        celery_app.app.worker_main(list(CELERY_ARGUMENTS))
    except SystemExit as ended:
        status = ended.code
    if celery_app.loop.refusal is not None:
        raise celery_app.loop.refusal
    celery_app.idle_shutdown.exit_if_interrupted()
    sys.exit(status)
