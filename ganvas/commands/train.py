"""`ganvas train`: a spec trained right here, without any service."""

import os
import signal
from pathlib import Path

import click

from ganlib.events import Event, LineLogged, MetricsLogged, TrainingStarted
from ganlib.spec import parse_spec
from ganlib.threads import thread_settings
from ganvas.commands.options import read_spec, set_option, spec_argument
from ganvas.commands.server_options import need_train_extra
from ganvas.progress import ProgressBar, short_losses


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
    """Train SPEC here and write everything to a folder; Ctrl-C writes a checkpoint first.

    On several GPUs: torchrun --standalone --nproc-per-node 2 -m ganvas train SPEC --out DIR
    """
    spec = parse_spec(read_spec(spec_path, overrides))
    need_train_extra()
    os.environ.update(thread_settings())
    from ganlib.ranks import is_lead
    from ganlib.run_folder import run_in_folder
    from ganlib.trainer import StopReason

    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stopping.append(received))
    bar = TrainingBar(spec.iterations)
    try:
        reason = run_in_folder(spec, out_dir, bar.show, lambda: bool(stopping))
    finally:
        bar.close()
    if not is_lead():
        return
    if reason is StopReason.STOPPED:
        click.echo(
            f"Stopped; the checkpoint is in {out_dir}. Run the same command again and it goes on.", err=True
        )
        raise click.exceptions.Exit(130)
    done = "Done" if bar.has_started else "This run was complete already"
    click.echo(f"{done}; the grids are in {out_dir / 'samples'}.")


class TrainingBar:
    """A progress bar that appears with the first event, so that a refusal or a complete run shows none."""

    def __init__(self, iterations: int) -> None:
        self._iterations = iterations
        self._bar: ProgressBar | None = None

    @property
    def has_started(self) -> bool:
        """Whether anything was trained."""
        return self._bar is not None

    def show(self, event: Event) -> None:
        """Show what the trainer reports."""
        if self._bar is None:
            self._bar = ProgressBar(self._iterations, event.iteration if isinstance(event, TrainingStarted) else 0)
        if isinstance(event, TrainingStarted):
            self._bar.update("training", event.iteration, "")
        elif isinstance(event, LineLogged):
            self._bar.say(event.text)
        elif isinstance(event, MetricsLogged) and (losses := short_losses(event.values)):
            self._bar.update("training", event.iteration, losses)

    def close(self) -> None:
        """Leave the last line standing."""
        if self._bar is not None:
            self._bar.close()
