"""The Celery app of a worker: `celery -A worker.celery_app worker`, or `python -m worker`.

One process runs one job at a time in its main thread (pool `solo`): no forks, and a signal reaches the supervisor.
"""

import logging

from celery.signals import setup_logging

from api.broker import build_broker
from api.logs import set_up_logs
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
# One line for each request would drown what the worker itself says.
logging.getLogger("httpx").setLevel(logging.WARNING)
# Workers have nothing to say to each other, and asking takes a second at each start.
ARGUMENTS = ["--quiet", "worker", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=INFO"]


def main() -> None:
    """Run a worker until SIGTERM or Ctrl-C."""
    app.worker_main(ARGUMENTS)
