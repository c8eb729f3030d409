"""`ganvas sync`: sends the folders of runs that were recorded without a service."""

import secrets
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganvas.address import default_home, read_service_url
from ganvas.commands.options import url_option

if TYPE_CHECKING:
    from api.client.transport import Transport


@click.command()
@click.argument(
    "folders", metavar="FOLDER…", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@url_option
@click.option("--end", is_flag=True, help="End runs as failed that no process of this machine writes any more.")
@click.option("--as-new", is_flag=True, help="Send a copy that went on by itself as a run of its own.")
def sync_command(folders: tuple[Path, ...], url: str | None, end: bool, as_new: bool) -> None:
    """Send runs that were recorded offline, or what a service has not yet of them; again and again, no doubles.

    FOLDER is a run's folder or one that holds such folders; without any, all in GANVAS_HOME/runs. Of two copies of
    one folder that were both written, the second is refused and stays as it is; --as-new sends it.
    """
    from api.client.transport import Transport
    from api.errors import ServiceError
    from ganlib.errors import GanlibError
    from ganvas.tracking.sender.position import DeliveryRefused

    given = folders or (default_home() / "runs",)
    runs = [run for folder in given for run in find_runs(folder)]
    if not runs:
        named = ", ".join(map(str, given))
        raise click.ClickException(f"There is no run in {named}; name the folder that ganvas.init made.")
    if as_new and (not folders or len(runs) > 1):
        raise click.UsageError("--as-new is for one run's folder; name it.")
    failed = 0
    with Transport(url or read_service_url(default_home())) as transport:
        for path in runs:
            try:
                if as_new:
                    make_new(path)
                click.echo(f"{path.name}: {sync_run(path, transport, ends=end)}")
            except (ServiceError, DeliveryRefused, GanlibError) as error:
                failed += 1
                click.echo(f"{path.name}: not sent: {error}", err=True)
    if failed:
        raise click.exceptions.Exit(1)


def find_runs(folder: Path) -> list[Path]:
    """Return this folder if it holds a run, else the folders in it that do."""
    from ganvas.tracking.folder import RunFolder

    if RunFolder(folder).holds_run():
        return [folder]
    return sorted(path for path in folder.glob("*") if RunFolder(path).holds_run())


def sync_run(path: Path, transport: "Transport", *, ends: bool = False) -> str:
    """Send what a service has not yet of a run, and return what was done, in words.

    ends: a run without an end that no process of this machine writes is ended as failed; else it stays running,
    because its process may live on another machine. Raises ServiceError, DeliveryRefused or FolderUnreadable.
    """
    from ganvas.tracking.folder import RunFolder
    from ganvas.tracking.sender.delivery import Delivery, hold_delivery
    from ganvas.tracking.sender.position import CopyBehind, find_whole_run

    folder = RunFolder(path)
    folder.read_header()
    with hold_delivery(folder) as is_held, closing(Delivery(folder, transport)) as delivery:
        if not is_held:
            return "its own process is sending it"
        ended = folder.read_end()
        is_left = ended is None and not folder.is_written()
        try:
            # A copy without an end says nothing of how the run ended; opening it would set that run to work again.
            # Nor does `ends`: it is for a run that nobody has ended.
            stored = find_whole_run(folder, transport) if is_left else None
            if stored is not None and not (ends and stored["state"] == "running"):
                page = f"{transport.url}/runs/{stored['id']}"
                return f"nothing new, no end yet in this folder; {stored['state']} there: {page}"
            opened = delivery.open(ended["events_count"] if ended else None)
        except CopyBehind as error:
            return str(error)
        if opened.is_whole and ended is not None and opened.state == ended["end"]:
            return f"nothing new, {opened.state}: {opened.url}"
        if opened.is_whole:
            opened = delivery.open()
        while delivery.deliver_some():
            pass
        ended = folder.read_end() or (_find_lost_end() if ends and not folder.is_written() else None)
        if ended is not None:
            delivery.finish(ended)
        state = ended["end"] if ended else "still being written" if folder.is_written() else "no end yet"
        return f"{_say_sent(delivery.sent_events, delivery.sent_files)}, {state}: {opened.url}"


def _say_sent(events: int, files: int) -> str:
    if not events and not files:
        return "nothing new"
    return f"{events:,} event{'' if events == 1 else 's'} and {files:,} file{'' if files == 1 else 's'} sent"


def make_new(path: Path) -> None:
    """Give the run in a folder a key of its own; raises FolderBusy while it is written, or FolderUnreadable."""
    from ganvas.tracking.folder import POSITION, RunFolder

    with RunFolder.take_over(path) as folder:
        folder.write_header({**folder.read_header(), "key": secrets.token_hex(6)})
        (folder.path / POSITION).unlink(missing_ok=True)


def _find_lost_end() -> dict[str, object]:
    text = "The process ended without closing the run."
    return {"end": "failed", "reason": {"code": "process_ended", "message": text}}
