"""The Celery app of a worker that messages wake; `worker.main` runs it.

One process runs one job at a time in its main thread (pool `solo`): no forks, and a signal reaches the supervisor.
"""

import sys

from celery.signals import setup_logging

from api.server.broker.celery import build_broker
from api.server.operations.logging import set_up_logs
from worker.settings import WorkerSettings

settings = WorkerSettings()
app = build_broker(settings.broker_url, settings.home.expanduser())
app.conf.update(
    include=["worker.tasks"],
    worker_pool="solo",
    worker_concurrency=1,
    worker_hijack_root_logger=True,
    worker_redirect_stdouts=False,
    # A worker that was busy for hours finds its broker gone and back; it tries for as long as that takes.
    broker_connection_max_retries=None,
    worker_cancel_long_running_tasks_on_connection_loss=False,
)
# In the place of Celery's own: these lines say which job they are about.
setup_logging.connect(lambda **_: set_up_logs(), weak=False)
# Workers have nothing to say to each other, and asking takes a second at each start.
ARGUMENTS = ["--quiet", "worker", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=INFO"]


def main() -> None:
    """Run a worker until SIGTERM or Ctrl-C; raises ServiceError when the service refuses it."""
    status: int | str | None = None
    try:
        app.worker_main(ARGUMENTS)
    except SystemExit as ended:
        status = ended.code
    from worker.tasks import idle_end, loop

    if loop.refusal is not None:
        raise loop.refusal
    idle_end.leave()
    sys.exit(status)
