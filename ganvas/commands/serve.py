"""`ganvas up`, `worker` and `demo`: run the service and its workers on this machine."""

import gc
import logging
import os
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganvas.address import default_home, is_same_address, read_service_url
from ganvas.commands.options import (
    data_dir_option,
    end_with_caller,
    need_server_extra,
    need_train_extra,
    read_settings,
)

if TYPE_CHECKING:
    from api.server.services import Services
    from api.server.settings import Settings


@click.command()
@click.option("--host", help="Address to listen on  [env: GANVAS_HOST; default: 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port  [env: GANVAS_PORT; default: 8000; 0: any free one]"
)
@data_dir_option
@click.option("--no-worker", is_flag=True, help="Service and dashboard only; workers join from elsewhere.")
@click.option(
    "--open",
    "shows_folders",
    is_flag=True,
    help="Show the runs in these folders, read-only, and follow them while they grow; nothing is imported.",
)
@click.argument(
    "folders", metavar="[FOLDER…]", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
def up_command(
    host: str | None,
    port: int | None,
    data_dir: Path | None,
    no_worker: bool,
    shows_folders: bool,
    folders: tuple[Path, ...],
) -> None:
    """Start the service, the dashboard and a worker; Ctrl-C stops everything and loses nothing."""
    if shows_folders != bool(folders):
        raise click.UsageError("--open and folders of runs go together: ganvas up --open FOLDER…")
    need_server_extra()
    end_with_caller()
    address = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = read_settings(data_dir, **address)
    if shows_folders:
        from ganvas.tracking.sender.following import show_folders

        _check_bind(settings)
        _check_port(settings.host, settings.port)
        show_folders(folders, **address)
        return
    from ganvas.startup.local import HomeInUse, hold_home

    try:
        with hold_home(settings.home):
            _tell_tightened(settings)
            settings = _find_room(settings)
            _serve(settings, with_worker=not no_worker and not settings.read_only)
    except HomeInUse as error:
        raise click.ClickException(f"{error} Stop that one first, or choose another --data-dir.") from None


def _tell_tightened(settings: "Settings") -> None:
    from api.server.files import tighten

    changed = tighten(settings.home.expanduser(), settings.sqlite_path)
    if changed:
        names = ", ".join(map(str, changed))
        click.echo(f"Other users of this machine could read {names}; from now on only the owner can.", err=True)


def _find_room(settings: "Settings") -> "Settings":
    """Return settings that only read where a full disk would keep the service from starting."""
    from api.server.files import has_room

    path = settings.sqlite_path
    if settings.read_only or path is None or not path.exists() or has_room(settings.home.expanduser()):
        return settings
    click.echo(
        f"The disk of {settings.home} is full: this service only reads, and no worker is started. "
        "Free some space and start it again.",
        err=True,
    )
    return settings.model_copy(update={"read_only": True})


def _serve(settings: "Settings", *, with_worker: bool) -> None:
    """Serve until a signal comes."""
    # Modules that are loaded now stay to the end: collecting garbage among them would take a fifth of the start.
    gc.disable()
    from api.server.http.connections import build_config
    from api.server.operations.logging import set_up_logs
    from ganvas.address import write_service_url
    from ganvas.startup.lazy_app import LazyApp
    from ganvas.startup.local import INTERRUPTED_STATUS, LocalServer, WorkerKeeper, share_one_heap

    share_one_heap()
    _check_not_newer(settings)
    if not settings.migrate:
        _check_tables(settings)
    _check_bind(settings)
    _check_port(settings.host, settings.port)
    set_up_logs(logging.WARNING)
    environment = dict(os.environ)
    keeper = WorkerKeeper(settings.home, environment)
    failures: list[BaseException] = []
    missing = {"address", "services"}

    def start_worker_after(part: str) -> None:
        missing.discard(part)
        if with_worker and not missing:
            keeper.start()

    def on_loaded(services: "Services") -> None:
        # A token for its own worker, for when the first token that is made closes the service.
        environment["GANVAS_TOKEN"] = settings.token or services.authenticator.make_worker_token()
        start_worker_after("services")

    def on_failed(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    def on_ready(port: int) -> None:
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        # On a full disk other commands are told the address with --url.
        with suppress(OSError) if settings.read_only else nullcontext():
            write_service_url(settings.home, url)
        environment.update(GANVAS_URL=url, GANVAS_HOME=str(settings.home), GANVAS_END_WITH_PARENT=str(os.getpid()))
        click.echo(f"Ganvas answers at {settings.public_url or url}  (data in {settings.home})")
        start_worker_after("address")

    def on_stop() -> None:
        click.echo("Stopping: a running trainer writes its checkpoint first …", err=True)
        keeper.stop()
        app.end_streams()

    app = LazyApp(settings, on_loaded, on_failed)
    gc.freeze()
    gc.enable()
    server = LocalServer(build_config(app, settings), on_ready, on_stop, keeper.interrupt)
    try:
        server.run()
    finally:
        keeper.stop()
    if failures:
        _raise_failure(failures[0])
    if server.signal_count > 1:
        raise click.exceptions.Exit(INTERRUPTED_STATUS)


def _raise_failure(failure: BaseException) -> None:
    from api.server.database.engine import TablesUnfit

    raise click.ClickException(str(failure)) from None if isinstance(failure, TablesUnfit) else failure


def _check_not_newer(settings: "Settings") -> None:
    """Raise ClickException for tables of a newer version, before a server tells it in the middle of its log."""
    if settings.sqlite_path is not None:
        from api.server.database.status import HEAD_REVISION, read_status

        # Cheaper than loading SQLAlchemy, of which a start otherwise does not wait.
        status = read_status(settings.sqlite_path)
        if status is None or status.revision <= HEAD_REVISION:
            return
    from api.server.database.engine import TablesUnfit, check_not_newer

    try:
        check_not_newer(settings)
    except TablesUnfit as error:
        raise click.ClickException(str(error)) from None


def _check_tables(settings: "Settings") -> None:
    from api.server.database.engine import TablesUnfit, check_tables

    try:
        check_tables(settings)
    except TablesUnfit as error:
        raise click.ClickException(str(error)) from None


def _check_bind(settings: "Settings") -> None:
    from api.server.access.origins import BindRefused, check_bind, check_token

    try:
        check_token(settings)
        check_bind(settings, lambda: _tokens_exist(settings))
    except BindRefused as error:
        raise click.ClickException(str(error)) from None


def _tokens_exist(settings: "Settings") -> bool:
    from api.server.access.authenticator import tokens_exist
    from api.server.database.engine import TablesUnfit

    try:
        return tokens_exist(settings)
    except TablesUnfit as error:
        raise click.ClickException(str(error)) from None


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
    help="End, with status 0, after so long without a job; with 143 if a signal ends it before  "
    "[env: GANVAS_EXIT_WHEN_IDLE]",
)
def worker_command(
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
    end_with_caller()
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
    # The worker replaces this process, so that signals reach it directly.
    os.execv(sys.executable, [sys.executable, "-m", "worker"])  # noqa: S606


def _read_token(path: Path | None) -> str | None:
    if path is None:
        return None
    token = path.read_text(encoding="utf-8").strip()
    if not token:
        raise click.ClickException(f"{path} is empty.")
    return token


def _choose_broker(home: Path) -> dict[str, str]:
    """Choose no broker for a worker without --broker, unless it shares the folder of the service."""
    from worker.settings import NO_BROKER, WorkerSettings

    settings = WorkerSettings()
    service_url = read_service_url(home)
    is_local = service_url is not None and is_same_address(service_url, settings.url)
    return {} if settings.broker_url or is_local else {"GANVAS_BROKER_URL": NO_BROKER}


@click.command()
@click.option("--iterations", type=click.IntRange(1), help="Train this many iterations instead of the recipe's.")
@click.option("--exit", "exit_at_end", is_flag=True, help="End with the job; exit status 0 if it succeeded.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port of the service  [default: 8000, else a free one]"
)
@data_dir_option
def demo_command(iterations: int | None, exit_at_end: bool, port: int | None, data_dir: Path | None) -> None:
    """Train a GAN on MNIST on this machine and watch it on the dashboard.

    Starts the service and a worker, submits the recipe and shows the progress. Ctrl-C stops everything and loses
    nothing: run it again to continue.
    """
    need_server_extra()
    need_train_extra()
    from ganvas.demo import run_demo

    state = run_demo(iterations=iterations, exit_at_end=exit_at_end, port=port, home=data_dir)
    if state == "interrupted":
        raise click.exceptions.Exit(130)
    if exit_at_end and state != "succeeded":
        raise click.exceptions.Exit(1)
