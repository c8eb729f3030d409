"""`ganvas validate` and `train`: check specs and train, without a service."""

import os
import signal
from contextlib import suppress
from importlib.util import find_spec as find_module
from pathlib import Path
from typing import Any

import click

from api.server.specs.estimate import estimate
from ganlib.errors import SpecInvalid
from ganlib.events import Event, FindingReported, LineLogged, MetricsLogged, TrainingStarted
from ganlib.runtime.cpu import thread_settings
from ganlib.spec.checks.networks import NetworkOutline
from ganlib.spec.documents.suggestions import ask_near
from ganlib.spec.job import JobSpec
from ganlib.spec.layers import trim_layer
from ganlib.spec.parse import parse_spec, review_spec
from ganlib.spec.sections.datasets import FolderSpec
from ganlib.spec.shapes import show_shape
from ganvas.commands.options import json_option, need_train_extra, print_json, read_spec, set_option, spec_argument
from ganvas.progress import ProgressBar, ProgressLines, open_progress, say_finding, short_losses

_SHOWN_CLASSES = 10


@click.command()
@spec_argument
@set_option
@json_option
def validate_command(spec_path: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Check SPEC (a file, or a recipe's name) and show its networks' shapes; --json prints it with defaults."""
    review = review_spec(read_spec(spec_path, overrides))
    spec = review.spec
    if spec is None:
        if not as_json:
            click.echo("\n".join(map(render_network, review.networks)).lstrip("\n"))
        raise SpecInvalid(review.problems)
    if as_json:
        print_json(spec)
        return
    click.echo(f"{spec.name}: valid, {spec.iterations:,} iterations on {spec.dataset.name}")
    for network in review.networks:
        click.echo(render_network(network))
    click.echo(render_cost(spec))
    said = estimate(review)
    click.echo(f"{said.text}, without other work beside it" if said else "")
    if isinstance(spec.dataset, FolderSpec):
        click.echo(render_data(spec.dataset))


def render_data(spec: FolderSpec) -> str:
    """Return what is read of a folder or zip of images on this machine, and what is left out of it, as text.

    A set that is here and cannot be used raises DatasetUnavailable.
    """
    if find_module("torch") is None:
        return (
            f"\ndata  {spec.path} is looked into where the train extra is installed: pip install 'ganvas[train]'"
        )
    from ganlib.datasets import DATASETS, load_training
    from ganlib.datasets.sources import data_roots, find_in_roots, show_name

    if find_in_roots(spec.path) is None:
        places = " or ".join(str(root) for root in data_roots())
        # Of the folder that the path goes through, as far as it is there.
        parent, _, name = spec.path.rpartition("/")
        known = [
            path.name for root in data_roots() if (root / parent).is_dir() for path in (root / parent).iterdir()
        ]
        near = ask_near(name, known)
        return f"\ndata  {spec.path} is not on this machine (not in {places}), so it was not looked into{near}"
    data, test = load_training(spec), DATASETS[spec.name](spec, "test")
    counts = data.labels.bincount(minlength=len(data.class_names)).tolist()
    classes = [f"{show_name(name)} ({count:,})" for name, count in zip(data.class_names, counts, strict=True)]
    shown = ", ".join(classes[:_SHOWN_CLASSES]) + (", …" if len(classes) > _SHOWN_CLASSES else "")
    noun = "class" if len(classes) == 1 else "classes"
    rows = [f"{len(data.labels):,} images to train on; {len(classes):,} {noun}: {shown}"]
    rows += [f"{len(test.labels):,} images to test on"] if test else []
    if spec.classes is not None and spec.classes != len(classes):
        rows.append(f"warning: the spec counts on {spec.classes} classes; set dataset.classes to {len(classes)}")
    rows += [f"warning: {text}" for text in dict.fromkeys((*data.warnings, *(test.warnings if test else ())))]
    return "\ndata  " + "\n      ".join([*rows, *data.notes])


def render_network(network: NetworkOutline) -> str:
    """Return the architecture table of one network, as text; the layer that does not fit is marked."""
    given = show_shape(network.given) if network.given else "?"
    rows = [f"\n{network.player}  ({network.parameters:,} parameters)", f"  {given:>12}"]
    for index, (written, outline) in enumerate(zip(network.written, network.layers, strict=True)):
        shape = show_shape(outline.shape) if outline.shape else "✗" if outline.problem else "?"
        rows.append(f"  {shape:>12}  {_render_layer(written)}".rstrip())
        is_last = network.problem is not None and network.problem.field == f"{network.player}.layers.{index}"
        if outline.problem or is_last:
            rows.append(f"  {'':>12}  ^ {outline.problem or (network.problem and network.problem.message)}")
    return "\n".join(rows)


def _render_layer(written: dict[str, Any]) -> str:
    arguments = "  ".join(f"{key} {value}" for key, value in trim_layer(written).items() if key != "layer")
    return f"{written.get('layer', '?'):<16}{arguments}".rstrip()


def render_cost(spec: JobSpec) -> str:
    """Return the number of grids and checkpoints of the run, as text."""
    # The last iteration always has both; there is also a grid before the first one.
    grids = 1 + -(-spec.iterations // spec.sample_every)
    checkpoints = -(-spec.iterations // spec.checkpoint_every)
    return f"\n{grids:,} sample grids of {spec.samples.rows}×{spec.samples.columns}, {checkpoints:,} checkpoints"


@click.command()
@spec_argument
@click.option(
    "--out",
    "out_dir",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for grids, checkpoints and events; run again with the same one to continue.",
)
@set_option
def train_command(spec_path: Path, out_dir: Path, overrides: tuple[str, ...]) -> None:
    """Train SPEC here and write everything to a folder; Ctrl-C, or a hang-up, writes a checkpoint first.

    On several GPUs: torchrun --standalone --nproc-per-node 2 -m ganvas train SPEC --out DIR
    """
    spec = parse_spec(read_spec(spec_path, overrides))
    need_train_extra()
    os.environ.update(thread_settings())
    from ganlib.runtime.process_group import is_lead
    from ganlib.trainer import StopReason
    from ganlib.training.recording.run_folder import run_in_folder

    stopping = _collect_stop_signals()
    bar = TrainingBar(spec.iterations)
    try:
        reason = run_in_folder(spec, out_dir, bar.show, lambda: bool(stopping))
    finally:
        bar.close()
    if not is_lead():
        return
    if reason is StopReason.STOPPED:
        # After a hang-up there is no terminal to write to.
        with suppress(OSError):
            click.echo(
                f"Stopped; the checkpoint is in {out_dir}. Run the same command again to continue.", err=True
            )
        raise click.exceptions.Exit(130)
    done = "Done" if bar.has_started else "This run was complete already"
    click.echo(f"{done}; the grids are in {out_dir / 'samples'}.")


def _collect_stop_signals() -> list[int]:
    """Return a list that Ctrl-C, SIGTERM and a hang-up are added to from now on.

    A hang-up that is ignored, as nohup has it, stays ignored.
    """
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda given, _: received.append(given))
    return received


class TrainingBar:
    """A progress bar that appears with the first event: a refused or a completed run shows none."""

    def __init__(self, iterations: int) -> None:
        self._iterations = iterations
        self._bar: ProgressBar | ProgressLines | None = None

    @property
    def has_started(self) -> bool:
        """True once an event came."""
        return self._bar is not None

    def show(self, event: Event) -> None:
        """Show one event."""
        if self._bar is None:
            self._bar = open_progress(
                self._iterations, event.iteration if isinstance(event, TrainingStarted) else 0
            )
        if isinstance(event, TrainingStarted):
            self._bar.update("training", event.iteration, "")
        elif isinstance(event, LineLogged):
            self._bar.say(event.text)
        elif isinstance(event, FindingReported):
            self._bar.say(say_finding(event))
        elif isinstance(event, MetricsLogged) and (losses := short_losses(event.values)):
            self._bar.update("training", event.iteration, losses)

    def close(self) -> None:
        """Close the bar; its last line stays."""
        if self._bar is not None:
            self._bar.close()
