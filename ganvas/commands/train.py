"""`ganvas train`: a spec trained right here, without any service."""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganlib.spec import parse_spec
from ganlib.threads import thread_settings
from ganvas.commands.options import read_spec, set_option, spec_argument
from ganvas.commands.server_options import need_train_extra
from ganvas.progress import ProgressBar, short_losses

if TYPE_CHECKING:
    from ganlib.events import Event


@click.command()
@spec_argument
@click.option(
    "--out",
    "out_dir",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for grids, checkpoints and events; run again with the same one, it goes on.",
)
@set_option
def command(spec_path: Path, out_dir: Path, overrides: tuple[str, ...]) -> None:
    """Train SPEC here and write everything to a folder; Ctrl-C writes a checkpoint first."""
    spec = parse_spec(read_spec(spec_path, overrides))
    need_train_extra()
    os.environ.update(thread_settings())
    from ganlib.events import LineLogged, MetricsLogged, TrainingStarted
    from ganlib.run_folder import run_in_folder
    from ganlib.trainer import StopReason

    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stopping.append(received))
    bar = ProgressBar(spec.iterations)

    def show(event: "Event") -> None:
        if isinstance(event, TrainingStarted):
            bar.update("running", event.iteration, "")
        elif isinstance(event, LineLogged):
            bar.say(event.text)
        elif isinstance(event, MetricsLogged) and (losses := short_losses(event.values)):
            bar.update("running", event.iteration, losses)

    try:
        reason = run_in_folder(spec, out_dir, show, lambda: bool(stopping))
    finally:
        bar.close()
    if reason is StopReason.STOPPED:
        click.echo(
            f"Stopped; the checkpoint is in {out_dir}. Run the same command again and it goes on.", err=True
        )
        raise click.exceptions.Exit(130)
    click.echo(f"Done; the grids are in {out_dir / 'samples'}.")
