"""The one Celery task: a wake-up without payload."""

from typing import Any

from celery.signals import worker_ready, worker_shutting_down

from api.broker import WORK_TASK
from worker.celery_app import app, settings
from worker.loop import WorkLoop

loop = WorkLoop(settings)


def work(**_: Any) -> None:
    """Claim jobs and train them until none is left."""
    loop.run_until_empty()


def shut_down(**_: Any) -> None:
    """Hear of SIGTERM or Ctrl-C while a job runs: Celery tells it from its signal handler."""
    loop.shut_down()


app.task(name=WORK_TASK)(work)
# A worker that starts while jobs are queued must not wait for the next message.
worker_ready.connect(work)
worker_shutting_down.connect(shut_down)
