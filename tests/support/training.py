"""A small GAN for tests to train, and what a run of it leaves for people to see."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.client.client import Client
from api.jobs.schemas import JobRead
from ganlib.events import Event, MetricsLogged, SampleGridSaved
from ganlib.spec.parse import parse_spec

# A dense GAN on the 8×8 digits: about a thousand iterations a second.
DIGITS_SPEC: dict[str, Any] = {
    "name": "tiny",
    "seed": 3,
    "dataset": "digits",
    "latents": {"size": 8},
    "generator": {"layers": [{"layer": "dense", "size": 64}, "tanh", {"layer": "reshape", "shape": [1, 8, 8]}]},
    "discriminator": {"layers": ["flatten", {"layer": "dense", "size": 1}]},
    "iterations": 40,
    "batch_size": 8,
    "log_every": 10,
    "sample_every": 20,
    "checkpoint_every": 20,
    "samples": {"rows": 2, "columns": 2},
    "device": "cpu",
    "precision": "float32",
}
# How fast a run went is no part of what it found.
_SPEED = "speed/iterations_per_second"


@dataclass(frozen=True)
class Record:
    """What a run left for people to see: points by metric (without the speed), grids by iteration."""

    points: dict[str, list[tuple[int, float]]]
    grids: list[tuple[int, str]]


def train_undisturbed(spec: dict[str, Any], folder: Path) -> Record:
    """Train in this process from beginning to end, without worker or service."""
    from ganlib.trainer import train

    events: list[Event] = []
    train(parse_spec(spec), folder, events.append, lambda: False)
    return record_of(events)


def record_of(events: Sequence[Event]) -> Record:
    """Return the record of a run that reported these events."""
    points: dict[str, list[tuple[int, float]]] = {}
    for event in events:
        for name, value in event.values.items() if isinstance(event, MetricsLogged) else ():
            points.setdefault(name, []).append((event.iteration, value))
    points.pop(_SPEED)
    return Record(
        points, [(each.iteration, each.file.sha256) for each in events if isinstance(each, SampleGridSaved)]
    )


def read_record(client: Client, job: JobRead) -> Record:
    """Read a job's record back from the service."""
    curves = client.curves(job.id)
    speed = curves.pop(_SPEED)
    assert speed.iterations == curves["loss/generator"].iterations
    points = {name: list(zip(curve.iterations, curve.values, strict=True)) for name, curve in curves.items()}
    return Record(points, [(sample.iteration, sample.sha256) for sample in client.samples(job.id)])
