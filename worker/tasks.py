"""The one Celery task: a wake-up without payload."""

import os
import signal
from typing import Any

from celery.signals import worker_ready, worker_shutting_down

from api.server.broker.celery import WAKE_EXPIRES_SECONDS, WORK_TASK
from worker.celery_app import app, settings
from worker.loop.idle_shutdown import IdleEnd
from worker.loop.presence import Registrar
from worker.loop.queue_poller import SelfWaker
from worker.loop.work_loop import WorkLoop

loop = WorkLoop(settings)
waker = SelfWaker(
    settings.url,
    settings.token,
    is_idle=lambda: not (loop.is_busy or loop.is_shutting_down),
    wake=lambda: app.send_task(WORK_TASK, expires=WAKE_EXPIRES_SECONDS, ignore_result=True),
)

registrar = Registrar(settings, find_held=lambda: loop.held)
loop.on_change = registrar.nudge
idle_end = IdleEnd(loop, settings.exit_when_idle)


def work(**_: Any) -> None:
    """Claim jobs and train them until none is left; a worker that is refused ends."""
    loop.run_until_empty()
    if loop.refusal is not None:
        os.kill(os.getpid(), signal.SIGTERM)


def shut_down(**_: Any) -> None:
    """Hear of SIGTERM or Ctrl-C while a job runs: Celery tells it from its signal handler."""
    loop.shut_down()


def start_threads(**_: Any) -> None:
    """Begin to look for work that no message told of, and to tell the service who is here."""
    waker.start()
    registrar.start()
    idle_end.start()


app.task(name=WORK_TASK)(work)
worker_ready.connect(start_threads)
# A worker that starts while jobs are queued must not wait for the next message.
worker_ready.connect(work)
worker_shutting_down.connect(shut_down)
