"""The gain of `speed.compile`: a recipe's step as it is and compiled, in turns, by processor time.

Both runs lie in one process and take turns of a few iterations, so that a busy machine slows both alike. Nothing
is reported; the first two iterations, in which torch compiles, are timed apart.

Run: OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive python -m bench.training.compiled [RECIPE]
"""

import argparse
import json
import statistics
from pathlib import Path

import torch

from bench.training.recipes import RECIPES
from bench.training.turns import Seconds, time_of
from ganlib.runtime.device import choose_device, describe_device
from ganlib.spec.files import apply_overrides, read_spec_file
from ganlib.spec.parse import parse_spec
from ganlib.training.state import TrainingState, build_state
from ganlib.training.step import train_step

RECIPE = RECIPES / "winkler-mnist.yaml"


def build(recipe: Path, compiled: bool, device: torch.device, changes: list[str]) -> TrainingState:
    overrides = [*changes, f"speed.compile={str(compiled).lower()}", f"device={device.type}"]
    return build_state(parse_spec(apply_overrides(read_spec_file(recipe), overrides)), device)


def run_turn(state: TrainingState, iterations: int) -> Seconds:
    """Train on and return the time that it took, until the device is done."""

    def train() -> None:
        for _ in range(iterations):
            result = train_step(state)
        result.discriminator_loss.item()

    return time_of(train)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", type=Path, default=RECIPE)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--turn", type=int, default=5, help="iterations of each before the other's turn")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="FIELD=VALUE")
    options = parser.parse_args()

    device = choose_device("auto")
    states = {
        name: build(options.recipe, name == "compiled", device, options.changes) for name in ("plain", "compiled")
    }
    first = {name: run_turn(state, 2).wall for name, state in states.items()}
    turns: dict[str, list[Seconds]] = {name: [] for name in states}
    for _ in range(options.turns):
        for name, state in states.items():
            turns[name].append(run_turn(state, options.turn))
    milliseconds = {
        clock: {
            name: round(1000 * statistics.median(getattr(taken, clock) for taken in turns[name]) / options.turn, 1)
            for name in states
        }
        for clock in ("wall", "processor")
    }
    result = {
        "device": describe_device(device),
        "torch": torch.__version__,
        "precision": str(states["plain"].precision),
        "seconds_of_the_first_two_iterations": {name: round(taken, 1) for name, taken in first.items()},
        "milliseconds_an_iteration": milliseconds,
        "compiled_to_plain_by_processor_time": round(
            milliseconds["processor"]["compiled"] / milliseconds["processor"]["plain"], 3
        ),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
