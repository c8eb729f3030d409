"""What tracking costs: `ganlib.trainer.train` with everything on, against a bare loop of the same training.

Both train Winkler's final MNIST networks (2018, section 4.7.5) in one process, in turns of a few iterations, so
that a busy machine slows both alike; the processor time of all threads, which neighbours disturb less, is
given beside the time on the wall. ganlib's time includes sample grids, PNG files, checkpoints, hashes and
events at the recipe's cadence: its clock stops only when all of a turn's events are delivered. The bare loop is
written by hand below, with the same options, and records nothing.

Run: OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive python bench/training.py
Data: MNIST as the trainer finds it (GANVAS_DATA), else random bytes of the same shape; the speed is the same.
"""

import argparse
import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Condition
from time import perf_counter, process_time

import torch
from torch import nn
from torch.nn.functional import softplus

from ganlib import datasets
from ganlib.events import Event
from ganlib.hardware import choose_precision, describe_device
from ganlib.spec import JobSpec, parse_spec
from ganlib.spec_files import apply_overrides, read_spec_file
from ganlib.trainer import train

RECIPE = Path(__file__).parents[1] / "recipes" / "winkler-mnist.yaml"
LATENTS = 96
BATCH = 64


def build_generator() -> nn.Module:
    return nn.Sequential(
        nn.Linear(LATENTS, 1024), nn.ReLU(), nn.BatchNorm1d(1024),
        nn.Linear(1024, 6272), nn.ReLU(), nn.BatchNorm1d(6272), nn.Unflatten(1, (128, 7, 7)),
        nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(), nn.BatchNorm2d(64),
        nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip


def build_discriminator() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 5), nn.LeakyReLU(0.2), nn.Conv2d(32, 32, 2, 2), nn.LeakyReLU(0.2),
        nn.Conv2d(32, 64, 5), nn.LeakyReLU(0.2), nn.Conv2d(64, 64, 2, 2), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(1024, 1024), nn.LeakyReLU(0.2), nn.Linear(1024, 1),
    )  # fmt: skip


@dataclass(frozen=True)
class Seconds:
    """Time on the wall, and processor time of all threads."""

    wall: float
    processor: float

    def __sub__(self, other: "Seconds") -> "Seconds":
        """Return the time between two readings."""
        return Seconds(self.wall - other.wall, self.processor - other.processor)


def now() -> Seconds:
    return Seconds(perf_counter(), process_time())


class BareLoop:
    """The same training written by hand; `tuned` is with the options that ganlib takes, else as in a tutorial."""

    def __init__(self, images: torch.Tensor, tuned: bool, bfloat16: bool) -> None:
        torch.manual_seed(0)
        layout = torch.channels_last if tuned else torch.contiguous_format
        self.images, self.tuned, self.bfloat16 = images, tuned, bfloat16
        self.generator = build_generator().to(memory_format=layout)
        self.discriminator = build_discriminator().to(memory_format=layout)
        options = {"lr": 1e-3, "betas": (0.5, 0.999), "fused": tuned}
        self.generator_optimiser = torch.optim.Adam(self.generator.parameters(), **options)
        self.discriminator_optimiser = torch.optim.Adam(self.discriminator.parameters(), **options)

    def step(self) -> None:
        """Update the discriminator, then the generator."""
        chosen = torch.randint(len(self.images), (BATCH,))
        real = self.images[chosen].float() / 127.5 - 1
        with self._autocast():
            with torch.no_grad():
                fake = self.generator(torch.rand(BATCH, LATENTS) * 2 - 1)
            if self.tuned:
                real_logits, fake_logits = self.discriminator(torch.cat([real, fake.float()])).float().chunk(2)
            else:
                real_logits, fake_logits = self.discriminator(real), self.discriminator(fake)
            loss = softplus(-real_logits).mean() + softplus(fake_logits).mean()
        self.discriminator_optimiser.zero_grad()
        loss.backward()
        self.discriminator_optimiser.step()
        self.discriminator.requires_grad_(not self.tuned)
        with self._autocast():
            fake_logits = self.discriminator(self.generator(torch.rand(BATCH, LATENTS) * 2 - 1))
            loss = softplus(-fake_logits.float()).mean()
        self.generator_optimiser.zero_grad()
        loss.backward()
        self.generator_optimiser.step()
        self.discriminator.requires_grad_(True)

    def run(self, steps: int) -> "Seconds":
        """Return the time that these steps took."""
        begin = now()
        for _ in range(steps):
            self.step()
        return now() - begin

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bfloat16)


@dataclass
class Turns:
    """Lets the bare loops run between ganlib's iterations; it sits in the trainer's two callables."""

    spec: JobSpec
    bare: dict[str, BareLoop]
    steps: int
    seconds: dict[str, list[Seconds]] = field(default_factory=dict)
    delivered: int = 0
    iteration: int = 0
    begin: Seconds = field(default_factory=now)
    changed: Condition = field(default_factory=Condition)

    def on_event(self, event: Event) -> None:
        """Called by the trainer's other thread."""
        event.model_dump_json()
        with self.changed:
            self.delivered += 1
            self.changed.notify()

    def should_stop(self) -> bool:
        """Called by the trainer after each iteration, before that iteration's own reports."""
        self.iteration += 1
        if self.iteration % self.steps == 1:
            self._end_turn()
            self.begin = now()
        return False

    def _end_turn(self) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.delivered >= self._due(self.iteration - 1))
        if self.iteration > self.steps + 1:  # the first turn warms up
            self.seconds.setdefault("ganlib", []).append(now() - self.begin)
        for name, loop in self.bare.items():
            taken = loop.run(self.steps)
            if self.iteration > 1:
                self.seconds.setdefault(name, []).append(taken)

    def _due(self, iteration: int) -> int:
        """Return how many events the trainer reports up to this iteration's end: three at the start."""
        if iteration == 0:
            return 3
        spec = self.spec
        return 4 + sum(iteration // every for every in (spec.log_every, spec.sample_every, spec.checkpoint_every))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=521, help="ganlib's iterations (default 521)")
    parser.add_argument("--turn", type=int, default=10, help="iterations of each before the other's turn")
    parser.add_argument(
        "--float32", action="store_true", help="time the bare loop in float32 too, and a plain one"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()

    spec = parse_spec(apply_overrides(read_spec_file(RECIPE), [f"iterations={options.iterations}", "device=cpu"]))
    if not datasets.is_available("mnist"):
        bytes_like_mnist = torch.randint(0, 256, (60_000, 1, 28, 28), dtype=torch.uint8)
        like_mnist = datasets.LabelledImages(bytes_like_mnist, torch.zeros(60_000, dtype=torch.int64), ("0",))
        datasets.DATASETS["mnist"] = lambda spec, split: like_mnist
    images = datasets.load_images(spec.dataset, torch.device("cpu"))
    uses_bfloat16 = choose_precision(spec.precision, torch.device("cpu")) == torch.bfloat16
    bare = {"bare": BareLoop(images, tuned=True, bfloat16=uses_bfloat16)}
    if options.float32:
        bare["bare, float32"] = BareLoop(images, tuned=True, bfloat16=False)
        bare["plain float32"] = BareLoop(images, tuned=False, bfloat16=False)
    turns = Turns(spec, bare, options.turn)
    with TemporaryDirectory() as folder:
        train(spec, Path(folder), turns.on_event, turns.should_stop)

    bare_turns, our_turns = turns.seconds["bare"], turns.seconds["ganlib"]
    ratios = [one.wall / other.wall for one, other in zip(bare_turns, our_turns, strict=False)]
    wall, processor = (
        {name: 1000 * statistics.mean(getattr(taken, clock) for taken in all_taken) / options.turn
         for name, all_taken in turns.seconds.items()}
        for clock in ("wall", "processor")
    )  # fmt: skip
    result = {
        "device": describe_device(torch.device("cpu")),
        "torch": torch.__version__,
        "turns": len(our_turns),
        "wall_ms_per_step": {name: round(value, 1) for name, value in wall.items()},
        "processor_ms_per_step": {name: round(value, 1) for name, value in processor.items()},
        "images_per_second": {name: round(1000 * BATCH / value, 1) for name, value in wall.items()},
        "ganlib_to_bare": {
            "wall": round(wall["bare"] / wall["ganlib"], 4),
            "wall, median of turns": round(statistics.median(ratios), 4),
            "processor": round(processor["bare"] / processor["ganlib"], 4),
        },
    }
    print(json.dumps(result, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
