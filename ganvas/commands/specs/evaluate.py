"""`ganvas evaluate`: measures a stored checkpoint's samples, of a job, of a run's folder, or of one file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, get_args

import click
from pydantic import ValidationError

from ganlib.errors import CheckpointInvalid
from ganlib.evaluation.best import BEST_METRICS, choose_best
from ganlib.events import CheckpointSaved, Event, MetricsLogged, event_adapter
from ganlib.runtime.cpu import thread_settings
from ganlib.spec.job import JobSpec
from ganlib.spec.parse import load_spec, parse_spec
from ganlib.spec.sections.evaluation import Extractor
from ganlib.vocabulary import EVALUATION_METRICS, find_metric
from ganvas.commands.options import json_option, need_train_extra, open_client, print_json, url_option

if TYPE_CHECKING:
    from api.samples.schemas import CheckpointRead
    from ganlib.evaluation.afterwards import Judgement

_SPEC_FILE, _EVENTS_FILE = "spec.yaml", "events.jsonl"
_BEST, _NEWEST = "best", "newest"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's file, what it is of, and the spec of its run; without one, the file's own."""

    path: Path
    title: str
    spec: JobSpec | None


@click.command()
@click.argument("target", metavar="JOB[@ITERATION]|FOLDER[@ITERATION]|FILE")
@click.option(
    "--metrics",
    metavar="NAME[,NAME…]",
    help="What to measure  [default: what the run measures, or the usual ones]",
)
@click.option("--samples", type=int, help="How many samples  [default: as many as the run, or 1,024]")
@click.option(
    "--extractor",
    "--judge",
    type=click.Choice(["auto", *get_args(Extractor)]),
    help="Whose features and classes to measure by  [default: the run's, or the data set's own]",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to compute  [default: the spec's]"
)
@url_option
@json_option
def evaluate_command(
    target: str,
    metrics: str | None,
    samples: int | None,
    extractor: str | None,
    device: Literal["auto", "cpu", "cuda"] | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Measure the samples of a stored checkpoint, and say by what.

    ITERATION is a number, newest or best; without one it is the newest. FOLDER is one that ganvas train wrote.
    With the run's own metrics, samples and extractor these are the figures that the run logged at that iteration.
    """
    need_train_extra()
    os.environ.update(thread_settings())
    from ganlib.evaluation.afterwards import choose_evaluation, evaluate_checkpoint, read_checkpoint_spec

    given = {"samples": samples, "extractor": extractor}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if metrics is not None:
        changes["metrics"] = [_read_metric(name) for name in metrics.split(",")]
    with find_checkpoint(target, url) as checkpoint:
        spec = checkpoint.spec or read_checkpoint_spec(checkpoint.path)
        judged = evaluate_checkpoint(
            checkpoint.path,
            spec,
            choose_evaluation(spec, changes),
            lambda line: click.echo(line, err=True),
            device,
        )
    if as_json:
        print_json({"target": checkpoint.title, **asdict(judged)})
    else:
        click.echo(render_judgement(checkpoint.title, judged))


def _read_metric(name: str) -> str:
    """Return the name by which a spec asks for it, given so or as it is logged."""
    short = name.strip().removeprefix("eval/")
    if short not in EVALUATION_METRICS:
        raise click.UsageError(
            f"No metric is called {name.strip()!r}; there are: {', '.join(EVALUATION_METRICS)}."
        )
    return short


def render_judgement(title: str, judged: "Judgement") -> str:
    """Return the figures as a table, below what they are by."""
    rows = [f"{title}, iteration {judged.iteration:,}"]
    rows += [judged.by] if judged.by else []
    rows += [f"warning: {note}" for note in judged.notes]
    known = [(find_metric(name), value) for name, value in judged.values.items()]
    width = max((len(metric.label) for metric, _ in known), default=0)
    rows += [""] if known else ["Nothing could be measured."]
    for metric, value in known:
        better = f"  {metric.better} is better" if metric.better else ""
        rows.append(f"  {metric.label:<{width}}  {value:>12.6g} {metric.unit}{better}".rstrip())
    return "\n".join(rows)


@contextmanager
def find_checkpoint(target: str, url: str | None) -> Iterator[Checkpoint]:
    """Find what is meant; a job's checkpoint is downloaded, and removed afterwards."""
    name, _, asked = ("", "", "") if Path(target).exists() else target.rpartition("@")
    place, asked = (Path(name), asked) if name else (Path(target), _NEWEST)
    if place.is_file():
        yield _of_file(place)
    elif place.is_dir():
        yield _of_folder(place, asked)
    elif os.sep in str(place) or place.suffix == ".safetensors":
        raise click.UsageError(f"There is no file or folder {str(place)!r}.")
    else:
        with open_client(url) as client, TemporaryDirectory(prefix="ganvas-") as folder:
            job = client.get(str(place))
            chosen = choose_checkpoint(client.checkpoints(job.id), asked)
            path = client.download(chosen.sha256, Path(folder) / f"{chosen.iteration:08d}.safetensors")
            yield Checkpoint(path, f"{job.name} ({job.id})", parse_spec(job.spec))


def choose_checkpoint(checkpoints: "tuple[CheckpointRead, ...]", asked: str) -> "CheckpointRead":
    """Return the stored checkpoint that is asked for; raises UsageError with those that there are."""
    stored = {item.iteration: item for item in checkpoints if item.url}
    best = next((iteration for iteration, item in stored.items() if item.is_best), None)
    return stored[_choose(asked, sorted(stored), best)]


def _choose(asked: str, stored: list[int], best: int | None) -> int:
    if not stored:
        raise click.UsageError("No checkpoint is stored yet.")
    if asked == _BEST and best is None:
        raise click.UsageError(
            "No stored checkpoint was judged, so none is the best; name an iteration, or newest."
        )
    named = {_NEWEST: stored[-1], _BEST: best}
    iteration = named[asked] if asked in named else int(asked) if asked.isdecimal() else None
    if iteration not in stored:
        there_are = ", ".join(f"{each:,}" for each in stored)
        raise click.UsageError(
            f"No checkpoint of iteration {asked} is stored; there are: {there_are}, newest, best."
        )
    return iteration


def _of_file(path: Path) -> Checkpoint:
    spec = path.parent.parent / _SPEC_FILE
    is_in_run = path.parent.name == "checkpoints" and spec.is_file()
    return Checkpoint(path, str(path), load_spec(spec) if is_in_run else None)


def _of_folder(folder: Path, asked: str) -> Checkpoint:
    if not (folder / _SPEC_FILE).is_file():
        raise CheckpointInvalid(
            f"{folder} holds no run: there is no {_SPEC_FILE}. Give a folder of ganvas train --out."
        )
    files: dict[int, Path] = {}
    points: dict[str, dict[int, float]] = {}
    for event in _read_events(folder / _EVENTS_FILE):
        if isinstance(event, CheckpointSaved):
            files[event.iteration] = folder / event.file.path
        elif isinstance(event, MetricsLogged):
            for name, value in event.values.items():
                points.setdefault(name, {})[event.iteration] = value
    stored = sorted(iteration for iteration, path in files.items() if path.is_file())
    chosen = _choose(asked, stored, _find_best(stored, points))
    return Checkpoint(files[chosen], str(folder), load_spec(folder / _SPEC_FILE))


def _read_events(path: Path) -> Iterator[Event]:
    """Yield the events up to the first line that is not whole, as a crash may leave the last."""
    for line in path.read_bytes().splitlines():
        try:
            yield event_adapter.validate_json(line)
        except ValidationError:
            return


def _find_best(stored: list[int], points: dict[str, dict[int, float]]) -> int | None:
    metric = next((metric for metric in BEST_METRICS if metric.name in points), None)
    if metric is None:
        return None
    own = points[metric.name]
    last = {iteration: max((at for at in own if at <= iteration), default=None) for iteration in stored}
    return choose_best(metric, {iteration: own[at] for iteration, at in last.items() if at is not None})
