"""Starts a worker: one that messages wake, or one without a broker (GANVAS_BROKER_URL=none) that asks for jobs."""

import logging
import sys

from api.errors import ServiceError
from api.server.operations.logging import set_up_logs
from ganlib.runtime.terminal import prepare_output
from worker.loop.polling import INTERRUPTED_STATUS, PollingWorker
from worker.settings import WorkerSettings


def main() -> None:
    """Run a worker until SIGTERM or Ctrl-C; exits with status 1 when the service refuses it."""
    prepare_output()
    set_up_logs()
    # A line for each request would bury the worker's own.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        PollingWorker(WorkerSettings()).run()
    except ServiceError as error:
        sys.exit(f"Error: {error.text}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_STATUS)
