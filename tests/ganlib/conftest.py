"""Small specs on the digits that come with scikit-learn, and a way to collect what a run reports."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ganlib.events import Event
from ganlib.spec.job import JobSpec
from ganlib.spec.parse import parse_spec
from ganlib.trainer import StopReason, train

MakeSpec = Callable[..., JobSpec]


@pytest.fixture
def make_spec_data() -> Callable[..., dict[str, Any]]:
    """Return a function that makes the mapping of a small valid spec, with fields replaced."""

    def make(**changes: Any) -> dict[str, Any]:
        spec = {
            "name": "small",
            "dataset": "digits",
            "latents": {"size": 8},
            "generator": {
                "layers": [
                    {"layer": "dense", "size": 4 * 4 * 8},
                    "relu",
                    "batch_norm",
                    {"layer": "reshape", "shape": [8, 4, 4]},
                    {"layer": "transposed_conv", "size": 1, "kernel": 4, "stride": 2, "padding": 1},
                    "tanh",
                ]
            },
            "discriminator": {
                "layers": [
                    {"layer": "conv", "size": 8, "kernel": 3, "stride": 2, "padding": 1},
                    "leaky_relu",
                    {"layer": "dense", "size": 1},
                ]
            },
            "iterations": 6,
            "batch_size": 16,
            "log_every": 2,
            "sample_every": 3,
            "checkpoint_every": 4,
            "samples": {"rows": 2, "columns": 3},
            "device": "cpu",
            "precision": "float32",
            # Signals have tests of their own.
            "diagnosis": {"enabled": False},
        }
        return spec | changes

    return make


@pytest.fixture
def make_spec(make_spec_data: Callable[..., dict[str, Any]]) -> MakeSpec:
    """Return a function that makes a small spec, with fields replaced."""
    return lambda **changes: parse_spec(make_spec_data(**changes))


@dataclass
class Run:
    """A run in its own folder and what it reported."""

    out_dir: Path
    events: list[Event] = field(default_factory=list)
    reason: StopReason | None = None
    error: Exception | None = None

    def kinds(self) -> list[tuple[str, int | None]]:
        """Return (kind, iteration) of each event."""
        return [(event.kind, getattr(event, "iteration", None)) for event in self.events]

    def of_kind(self, kind: str) -> list[Any]:
        """Return the events of one kind."""
        return [event for event in self.events if event.kind == kind]

    def files(self) -> dict[str, bytes]:
        """Return the bytes of each file that the run left behind."""
        return {
            str(path.relative_to(self.out_dir)): path.read_bytes()
            for path in sorted(self.out_dir.rglob("*"))
            if path.is_file()
        }

    def numbers(self) -> list[tuple[int, dict[str, float]]]:
        """Return the logged metrics but the speed, which no two runs share."""
        return [
            (
                event.iteration,
                {name: value for name, value in event.values.items() if not name.startswith("speed/")},
            )
            for event in self.of_kind("metrics_logged")
        ]


@pytest.fixture
def run_training(tmp_path: Path) -> Callable[..., Run]:
    """Return a function that trains a spec in a new folder; stop_at stops it after that many calls.

    expected: an error that ends the run and is kept beside its events.
    """
    counter = iter(range(100))

    def run(
        spec: JobSpec,
        stop_at: int | None = None,
        resume_from: Path | None = None,
        expected: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> Run:
        result = Run(tmp_path / f"run{next(counter)}")
        asked = iter(range(1, 1_000_000))
        try:
            result.reason = train(
                spec, result.out_dir, result.events.append, lambda: next(asked) == stop_at, resume_from
            )
        except expected as error:
            result.error = error
        return result

    return run
