"""`ganvas worker`: a worker for a service that already runs, here or elsewhere."""

import os
import sys
from pathlib import Path

import click

from ganvas.address import default_home, is_same_address, read_service_url
from ganvas.commands.server_options import data_dir_option, need_server_extra, need_train_extra, obey_parent


@click.command()
@click.option(
    "--service",
    "--url",
    "url",
    metavar="URL",
    envvar="GANVAS_URL",
    help="Address of the service  [env: GANVAS_URL; default: the one on this machine]",
)
@click.option(
    "--token",
    help="A worker's token. Others on this machine see it in the list of processes; rather use --token-file  "
    "[env: GANVAS_TOKEN]",
)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File that holds the token and nothing else.",
)
@click.option(
    "--broker",
    metavar="URL",
    help="redis://…, for a worker that messages wake at once; without one it asks every few seconds  "
    "[env: GANVAS_BROKER_URL]",
)
@data_dir_option
@click.option(
    "--name", help="How the worker is called on the dashboard  [env: GANVAS_WORKER_NAME; default: host name]"
)
@click.option(
    "--exit-when-idle",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    help="End, with status 0, after so long without a job; with 143 where it is told to end before  "
    "[env: GANVAS_EXIT_WHEN_IDLE]",
)
def command(
    url: str | None,
    token: str | None,
    token_file: Path | None,
    broker: str | None,
    data_dir: Path | None,
    name: str | None,
    exit_when_idle: float | None,
) -> None:
    """Start a worker that trains one job at a time, until Ctrl-C.

    On any machine that reaches the service: ganvas worker --service https://ganvas.example --token-file FILE
    """
    need_server_extra()
    need_train_extra()
    obey_parent()
    if token and token_file:
        raise click.UsageError("Give --token or --token-file, not both.")
    home = data_dir or default_home()
    settings = {
        "GANVAS_URL": url or read_service_url(home),
        "GANVAS_TOKEN": token or _read_token(token_file),
        "GANVAS_BROKER_URL": broker,
        "GANVAS_HOME": data_dir and str(data_dir),
        "GANVAS_WORKER_NAME": name,
        "GANVAS_EXIT_WHEN_IDLE": exit_when_idle and str(exit_when_idle),
    }
    os.environ.update({key: value for key, value in settings.items() if value})
    os.environ.update(_choose_broker(home))
    # The same process goes on as the worker, so that signals reach it directly.
    os.execv(sys.executable, [sys.executable, "-m", "worker"])  # noqa: S606


def _read_token(path: Path | None) -> str | None:
    if path is None:
        return None
    token = path.read_text(encoding="utf-8").strip()
    if not token:
        raise click.ClickException(f"{path} is empty.")
    return token


def _choose_broker(home: Path) -> dict[str, str]:
    """Let a worker for which no broker is named ask by itself, unless it shares the service's own folder."""
    from worker.settings import NO_BROKER, WorkerSettings

    settings = WorkerSettings()
    service_url = read_service_url(home)
    is_local = service_url is not None and is_same_address(service_url, settings.url)
    return {} if settings.broker_url or is_local else {"GANVAS_BROKER_URL": NO_BROKER}
