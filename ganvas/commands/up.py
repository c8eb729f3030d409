"""`ganvas up`: service, dashboard and worker on this machine."""

import gc
import logging
import os
from pathlib import Path
from typing import Any

import click

from ganvas.commands.server_options import data_dir_option, need_server_extra, obey_parent


@click.command()
@click.option("--host", help="Address to listen on  [env: GANVAS_HOST; default: 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port  [env: GANVAS_PORT; default: 8000; 0: any free one]"
)
@data_dir_option
@click.option("--no-worker", is_flag=True, help="Service and dashboard only; workers join from elsewhere.")
def command(host: str | None, port: int | None, data_dir: Path | None, no_worker: bool) -> None:
    """Start the service, the dashboard and a worker; Ctrl-C stops everything and loses nothing."""
    need_server_extra()
    obey_parent()
    from api.settings import Settings

    options: dict[str, Any] = {"host": host, "port": port, "home": data_dir}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    run_up(Settings(**given), with_worker=not no_worker)


def run_up(settings: Any, *, with_worker: bool) -> None:
    """Serve until a signal comes."""
    from ganvas.local import HomeInUse, hold_home

    try:
        with hold_home(settings.home):
            _serve(settings, with_worker)
    except HomeInUse as error:
        raise click.ClickException(f"{error} Stop that one first, or choose another --data-dir.") from None


def _serve(settings: Any, with_worker: bool) -> None:
    # What is loaded now stays until the end: to look through it for garbage would take a fifth of the start.
    gc.disable()
    import uvicorn

    from api.access import tokens_exist
    from api.db import TablesUnfit, check_tables
    from api.logs import set_up_logs
    from api.main import end_streams
    from api.security import BindRefused, check_bind
    from ganvas.address import write_service_url
    from ganvas.app import build_app
    from ganvas.local import LocalServer, WorkerKeeper

    try:
        if not settings.migrate:
            check_tables(settings)
        check_bind(settings, lambda: tokens_exist(settings))
    except (BindRefused, TablesUnfit) as error:
        raise click.ClickException(str(error)) from None
    _check_port(settings.host, settings.port)
    set_up_logs(logging.WARNING)
    app = build_app(settings)
    gc.freeze()
    gc.enable()
    environment = dict(os.environ)
    keeper = WorkerKeeper(settings.home, environment)

    def on_ready(port: int) -> None:
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        write_service_url(settings.home, url)
        environment.update(GANVAS_URL=url, GANVAS_HOME=str(settings.home), GANVAS_END_WITH_PARENT=str(os.getpid()))
        # Its own worker goes on when the first token that is made closes the service.
        environment["GANVAS_TOKEN"] = settings.token or app.state.services.access.make_worker_token()
        click.echo(f"Ganvas answers at {url}  (data in {settings.home})")
        if with_worker:
            keeper.start()

    def on_stop() -> None:
        click.echo("Stopping: a running trainer writes its checkpoint first …", err=True)
        keeper.stop()
        end_streams(app)

    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        log_config=None,
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=3,
        server_header=False,
    )
    try:
        LocalServer(config, on_ready, on_stop).run()
    finally:
        keeper.stop()


def _check_port(host: str, port: int) -> None:
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise click.ClickException(
                f"{host}:{port} cannot be used ({error.strerror}); choose another with --port."
            ) from None
