"""`python -m worker`: a worker that messages wake, or one without a broker (GANVAS_BROKER_URL=none) that asks."""

import logging
import signal
import sys
from types import FrameType

from api.errors import ServiceError
from api.server.operations.logging import set_up_logs
from worker.settings import NO_BROKER, WorkerSettings

logger = logging.getLogger(__name__)
BROKER_SECONDS = 5.0


def main() -> None:
    """Run a worker until SIGTERM or Ctrl-C; status 1 when the service refuses it."""
    set_up_logs()
    # One line for each request would drown what the worker itself says.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = WorkerSettings()
    if settings.has_broker and not broker_answers(settings):
        logger.warning("The broker cannot be reached: this worker asks the service for jobs instead.")
        settings = settings.model_copy(update={"broker_url": NO_BROKER})
    try:
        if settings.has_broker:
            _run_celery(settings)
        else:
            from worker.loop.polling import PollingWorker

            PollingWorker(settings).run()
    except ServiceError as error:
        sys.exit(f"Error: {error.text}")
    except KeyboardInterrupt:
        sys.exit(130)


def broker_answers(settings: WorkerSettings) -> bool:
    """Whether the broker can be reached just now."""
    from api.server.broker.celery import build_broker

    broker = build_broker(settings.broker_url, settings.home.expanduser())
    try:
        with broker.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=BROKER_SECONDS)
    except Exception:
        # Whatever the transport raises: kombu has no common base.
        logger.debug("the broker does not answer", exc_info=True)
        return False
    finally:
        broker.close()
    return True


def _run_celery(settings: WorkerSettings) -> None:
    from worker.loop.idle_shutdown import early_status
    from worker.loop.presence import Registrar, join

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(early_status(settings.exit_when_idle))

    # Until Celery listens for them itself: a worker with nothing in hand just ends.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    registrar = Registrar(settings, find_held=lambda: None)
    try:
        join(registrar, settings, lambda: False)
    finally:
        registrar.close()
    from worker import celery_app

    celery_app.main()
