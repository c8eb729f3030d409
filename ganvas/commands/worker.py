"""`ganvas worker`: a Celery worker for a service that already runs."""

import os
import sys
from pathlib import Path

import click

from ganvas.commands.options import url_option
from ganvas.commands.server_options import data_dir_option, need_server_extra, need_train_extra, obey_parent


@click.command()
@url_option
@data_dir_option
@click.option(
    "--name", help="How the worker is called on the dashboard  [env: GANVAS_WORKER_NAME; default: host name]"
)
def command(url: str | None, data_dir: Path | None, name: str | None) -> None:
    """Start a worker that trains one job at a time, until Ctrl-C.

    It hears of new jobs through the broker: GANVAS_BROKER_URL=redis://…, or the service's own folder (--data-dir)
    on the same machine.
    """
    need_server_extra()
    need_train_extra()
    obey_parent()
    settings = {"GANVAS_URL": url, "GANVAS_HOME": data_dir and str(data_dir), "GANVAS_WORKER_NAME": name}
    os.environ.update({key: value for key, value in settings.items() if value})
    # The same process goes on as the worker, so that signals reach it directly.
    os.execv(sys.executable, [sys.executable, "-m", "worker"])  # noqa: S606
