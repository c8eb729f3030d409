"""The cost of tracking: `ganlib.trainer.train` with everything on, against a bare loop of the same training.

Both train in one process, in turns of a few iterations, so that a busy machine slows both alike; the processor
time of all threads, which neighbours disturb less, is given beside the time on the wall. The bare loop
(bare_loop.py) has the same networks, losses and options and records nothing; beside winkler-mnist runs a second
one whose networks too are written by hand (winkler_by_hand.py).

ganlib logs at the recipe's cadence while it takes turns, and its clock stops only when all events are delivered.
Grids and checkpoints come too seldom for a short run: each is timed alone, with drawing, files and hashes, and its
share of an iteration is added. `--iterations N` instead trains N iterations with both at the recipe's cadence, and
adds nothing. Evaluation and transfer are left out, as extra computation, not tracking; `--evaluate N` evaluates
every N iterations with the default metrics. The classifier that judges is trained before anything is timed.

Run: OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive python -m bench.training [RECIPE…|--all]
Data: as the trainer finds them (GANVAS_DATA), else random bytes of the same shape; the speed is the same.
"""

import argparse
import gc
import json
import os
import statistics
from dataclasses import asdict, dataclass
from math import ceil

import torch

from bench.training.bare_loop import BareLoop
from bench.training.recipes import RECIPES, provide_data
from bench.training.turns import OURS, Loop, Seconds, Turns, time_of, time_reports
from bench.training.winkler_by_hand import WinklerByHand
from ganlib.evaluation.evaluator import SampleMeter
from ganlib.runtime.device import describe_device
from ganlib.spec.files import apply_overrides, read_spec_file
from ganlib.spec.job import JobSpec
from ganlib.spec.parse import parse_spec

TURN_SECONDS = 0.25
LEAST_TURNS = 5
LEFT_OUT = ("evaluation", "transfer")
COLUMNS = (
    "recipe", "batch", "bare ms", "ganlib ms", "of it grids, checkpoints", "processor", "median", "wall", "median",
    "iterations", "load",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One recipe's figures: milliseconds an iteration, and the bare loop's time as a share of ganlib's."""

    recipe: str
    batch_size: int
    turns: int
    iterations: int
    processor_ms: dict[str, float]
    wall_ms: dict[str, float]
    grids_and_checkpoints_ms: float
    ratio: dict[str, float]
    load: float


def measure(spec: JobSpec, seconds: float, whole: int | None, float32: bool) -> Result:
    """Time one recipe for about so many seconds of processor time, or for `whole` iterations at full cadence."""
    provide_data(spec)
    bare = BareLoop(spec)
    if spec.evaluation is not None:
        judge = SampleMeter(bare.parts, spec.evaluation, lambda text, about=None, level="info": None)
        judge.prepare(lambda: False)
    loops: dict[str, Loop] = {"bare": bare, **loops_by_hand(spec, bare, float32)}
    grid, checkpoint = time_reports(bare.parts)
    time_of(bare.step)
    pace = time_of(bare.step, 2).processor / 2
    steps = 10 if whole else max(1, ceil(TURN_SECONDS / pace))
    turns = max(LEAST_TURNS, round(seconds / (steps * pace * (len(loops) + 1))))
    taken = Turns(at_cadence(spec, (turns + 1) * steps + 1, whole), loops, steps).run()
    shares = [
        Seconds(*(0.0 if whole else getattr(one, clock) / every for clock in ("wall", "processor")))
        for one, every in ((grid, spec.sample_every), (checkpoint, spec.checkpoint_every))
    ]
    return summarise(spec, taken, steps, shares)


def at_cadence(spec: JobSpec, iterations: int, whole: int | None) -> JobSpec:
    """Return the spec for the trainer: with grids and checkpoints only in a whole run."""
    if whole:
        return spec.model_copy(update={"iterations": whole})
    seldom = {"sample_every": 10**9, "checkpoint_every": 10**9}
    return spec.model_copy(update={"iterations": iterations, **seldom})


def summarise(spec: JobSpec, taken: dict[str, list[Seconds]], steps: int, shares: list[Seconds]) -> Result:
    """Turn the times of all turns into figures of one iteration."""
    count = len(taken[OURS])
    added = Seconds(sum(share.wall for share in shares), sum(share.processor for share in shares))
    each = {
        name: [Seconds(one.wall / steps, one.processor / steps) for one in turns[-count:]]
        for name, turns in taken.items()
    }
    each[OURS] = [Seconds(one.wall + added.wall, one.processor + added.processor) for one in each[OURS]]
    return Result(
        recipe=spec.name,
        batch_size=spec.batch_size,
        turns=count,
        iterations=count * steps,
        processor_ms=mean_ms(each, "processor"),
        wall_ms=mean_ms(each, "wall"),
        grids_and_checkpoints_ms=round(1000 * added.processor, 3),
        ratio=ratios(each["bare"], each[OURS]),
        load=round(os.getloadavg()[0], 1),
    )


def mean_ms(each: dict[str, list[Seconds]], clock: str) -> dict[str, float]:
    """Return the mean milliseconds of an iteration by this clock."""
    return {
        name: round(1000 * statistics.mean(getattr(one, clock) for one in all_), 3) for name, all_ in each.items()
    }


def ratios(bare: list[Seconds], ours: list[Seconds]) -> dict[str, float]:
    """Return bare over ganlib by both clocks: of all turns together, and the median of neighbouring turns."""
    means = {}
    for clock in ("processor", "wall"):
        pairs = [(getattr(one, clock), getattr(other, clock)) for one, other in zip(bare, ours, strict=True)]
        means[clock] = sum(one for one, _ in pairs) / sum(other for _, other in pairs)
        means[f"{clock}, median"] = statistics.median(one / other for one, other in pairs)
    return {name: round(value, 4) for name, value in means.items()}


def loops_by_hand(spec: JobSpec, bare: BareLoop, float32: bool) -> dict[str, Loop]:
    """Return loops without any code of ganlib, for the one recipe that has them."""
    if spec.name != "winkler-mnist" or spec.batch_size != 64:
        return {}
    images, bfloat16 = bare.parts.images, bare.parts.precision == torch.bfloat16
    loops: dict[str, Loop] = {"by hand": WinklerByHand(images, tuned=True, bfloat16=bfloat16)}
    if float32:
        loops["by hand, float32"] = WinklerByHand(images, tuned=True, bfloat16=False)
        loops["by hand, plain float32"] = WinklerByHand(images, tuned=False, bfloat16=False)
    return loops


def show(result: Result) -> str:
    """Return one row of the table in docs/explanation/benchmarks.md."""
    bare, ours, ratio = result.processor_ms["bare"], result.processor_ms[OURS], result.ratio
    cells = [
        result.recipe, str(result.batch_size), _show_ms(bare), _show_ms(ours),
        f"{result.grids_and_checkpoints_ms:.2f}", *(f"{value:.3f}" for value in ratio.values()),
        str(result.iterations), f"{result.load:.1f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _show_ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="names of recipes/ (default: winkler-mnist)")
    parser.add_argument("--all", action="store_true", help="every recipe")
    parser.add_argument("--seconds", type=float, default=40, help="of processor time a recipe (default 40)")
    parser.add_argument("--iterations", type=int, help="train so many, grids and checkpoints at the cadence")
    parser.add_argument("--evaluate", type=int, metavar="N", help="evaluate every N iterations")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field")
    parser.add_argument("--float32", action="store_true", help="winkler-mnist: two loops in float32 too")
    parser.add_argument("--json", action="store_true", help="print one JSON object a recipe, not rows of a table")
    options = parser.parse_args()

    names = sorted(path.stem for path in RECIPES.glob("*.yaml")) if options.all else options.recipes
    if not options.json:
        print(f"{describe_device(torch.device('cpu'))}, torch {torch.__version__}\n")
        print(f"| {' | '.join(COLUMNS)} |")
        print("|" + " --- |" * len(COLUMNS), flush=True)
    for name in names or ["winkler-mnist"]:
        given = read_spec_file(RECIPES / f"{name}.yaml")
        for section in LEFT_OUT:
            given.pop(section, None)
        wanted = [f"evaluation={{every: {options.evaluate}}}"] if options.evaluate else []
        spec = parse_spec(apply_overrides(given, [*wanted, *options.set, "device=cpu"]))
        result = measure(spec, options.seconds, options.iterations, options.float32)
        print(json.dumps(asdict(result)) if options.json else show(result), flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
