"""One trainer's turn: a few iterations of one network, each timed from one batch to the next.

Runs in the virtual environment of the trainer that it times (see peers.py); for a peer's it needs torch and that
peer alone, on Python 3.10 or later. Each trainer runs its own loop, with its own logging at its own cadence.

Run: python -m bench.training.peer_loops ganlib|ganlib-float32|torchgan --batch 64 --iterations 20
"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

from bench.training.winkler_by_hand import LATENTS, build_discriminator, build_generator

ADAM = {"lr": 1e-3, "betas": (0.5, 0.999)}
WARM_UP = 3
Clock = list[tuple[float, float]]


class TurnOver(Exception):
    """All batches were handed out: what a trainer does at the end of an epoch is not timed, nor need it work."""


class TimedLoader:
    """Batches of random images (B, 1, 28, 28) in [-1, 1]; the clock is read as each is handed out."""

    def __init__(self, batch_size: int, iterations: int, clock: Clock) -> None:
        images = torch.rand(batch_size * iterations, 1, 28, 28) * 2 - 1
        dataset = TensorDataset(images, torch.zeros(len(images), dtype=torch.int64))
        self._loader = DataLoader(dataset, batch_size=batch_size, shuffle=True)
        self._clock = clock
        self.batch_size = batch_size

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        for batch in self._loader:
            read(self._clock)
            yield batch
        raise TurnOver


def read(clock: Clock) -> None:
    clock.append((perf_counter(), process_time()))


def run_ganlib(batch_size: int, iterations: int, folder: Path, clock: Clock, precision: str = "auto") -> None:
    from bench.training.recipes import RECIPES, provide_data
    from ganlib.spec.files import apply_overrides, read_spec_file
    from ganlib.spec.parse import parse_spec
    from ganlib.trainer import train

    changes = [f"batch_size={batch_size}", f"iterations={iterations}", f"precision={precision}", "device=cpu"]
    changes += ["sample_every=1000000000", "checkpoint_every=1000000000"]
    spec = parse_spec(apply_overrides(read_spec_file(RECIPES / "winkler-mnist.yaml"), changes))
    provide_data(spec)

    def should_stop() -> bool:
        read(clock)
        return False

    train(spec, folder, lambda event: None, should_stop)


def run_ganlib_float32(batch_size: int, iterations: int, folder: Path, clock: Clock) -> None:
    run_ganlib(batch_size, iterations, folder, clock, precision="float32")


def run_torchgan(batch_size: int, iterations: int, folder: Path, clock: Clock) -> None:
    from torch.optim import Adam
    from torchgan.losses import MinimaxDiscriminatorLoss, MinimaxGeneratorLoss
    from torchgan.models import Discriminator, Generator
    from torchgan.trainer import Trainer

    class HandGenerator(Generator):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(LATENTS)
            self.layers = build_generator()

        def forward(self, latents: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.layers(latents)
            return made

    class HandDiscriminator(Discriminator):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(1)
            self.layers = build_discriminator()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.layers(images)
            return logits

    models = {
        "generator": {"name": HandGenerator, "optimizer": {"name": Adam, "args": ADAM}},
        "discriminator": {"name": HandDiscriminator, "optimizer": {"name": Adam, "args": ADAM}},
    }
    losses = [MinimaxGeneratorLoss(), MinimaxDiscriminatorLoss()]
    trainer = Trainer(
        models, losses, device=torch.device("cpu"), epochs=1, sample_size=64,
        checkpoints=str(folder / "model" / "gan"), recon=str(folder / "images"), log_dir=str(folder),
    )  # fmt: skip
    trainer(TimedLoader(batch_size, iterations, clock))


TRAINERS: dict[str, Callable[[int, int, Path, Clock], None]] = {
    "ganlib": run_ganlib,
    "ganlib-float32": run_ganlib_float32,
    "torchgan": run_torchgan,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trainer", choices=TRAINERS)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=20)
    options = parser.parse_args()

    clock: Clock = []
    quiet = contextlib.redirect_stdout(sys.stderr)
    with TemporaryDirectory() as folder, quiet, contextlib.suppress(TurnOver):
        TRAINERS[options.trainer](options.batch, options.iterations, Path(folder), clock)
    pairs = list(zip(clock[WARM_UP:], clock[WARM_UP + 1 :], strict=False))
    result = {
        "trainer": options.trainer,
        "torch": torch.__version__,
        "wall_ms": [round(1000 * (end[0] - begin[0]), 2) for begin, end in pairs],
        "processor_ms": [round(1000 * (end[1] - begin[1]), 2) for begin, end in pairs],
        "load": os.getloadavg()[0],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
