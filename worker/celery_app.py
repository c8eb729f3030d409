"""The Celery app of a worker that messages wake, and its one task; `worker.main` runs it.

One process runs one job at a time in its main thread (pool `solo`): no forks, and a signal reaches the supervisor.
"""

import os
import signal
from typing import Any

from celery.signals import setup_logging, worker_ready, worker_shutting_down

from api.server.broker.celery import WAKE_EXPIRES_SECONDS, WORK_TASK, build_broker
from api.server.operations.logging import set_up_logs
from worker.loop.idle_shutdown import IdleShutdown
from worker.loop.presence import Presence
from worker.loop.queue_poller import QueuePoller
from worker.loop.work_loop import WorkLoop
from worker.settings import WorkerSettings

settings = WorkerSettings()
app = build_broker(settings.broker_url, settings.home.expanduser())
app.conf.update(
    worker_pool="solo",
    worker_concurrency=1,
    worker_hijack_root_logger=True,
    worker_redirect_stdouts=False,
    # The broker may have gone away and come back during a job of hours: retry without a limit.
    broker_connection_max_retries=None,
    worker_cancel_long_running_tasks_on_connection_loss=False,
)

loop = WorkLoop(settings)
presence = Presence(settings, read_held=lambda: loop.held)
loop.on_change = presence.post_soon
idle_shutdown = IdleShutdown(loop, settings.exit_when_idle)
queue_poller = QueuePoller(
    settings.url,
    settings.token,
    is_idle=lambda: not (loop.is_busy or loop.is_shutting_down),
    wake=lambda: app.send_task(WORK_TASK, expires=WAKE_EXPIRES_SECONDS, ignore_result=True),
)


def work(**_: Any) -> None:
    """Claim jobs and train them until none is left; a worker that the service refuses ends."""
    loop.run_until_empty()
    if loop.refusal is not None:
        os.kill(os.getpid(), signal.SIGTERM)


def start_threads(**_: Any) -> None:
    """Start polling for jobs without a message, reporting presence, and the idle limit."""
    queue_poller.start()
    presence.start()
    idle_shutdown.start()


def shut_down(**_: Any) -> None:
    """Handle SIGTERM or Ctrl-C during a job: Celery calls this from its signal handler."""
    loop.shut_down()


# A wake-up without payload.
app.task(name=WORK_TASK)(work)
# Instead of Celery's own log format: these lines name their job.
setup_logging.connect(lambda **_: set_up_logs(), weak=False)
worker_ready.connect(start_threads)
# A worker that starts while jobs are queued must not wait for the next message.
worker_ready.connect(work)
worker_shutting_down.connect(shut_down)
