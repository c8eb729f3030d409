"""What an evaluation and a measurement of signals cost beside the training that they interrupt.

Iterations of training, evaluations and measurements take turns in one process, so that a busy machine slows all
alike. An evaluation is whole: samples, extractor, and metrics, which a run computes on another thread; so is a
measurement. Shares are of the processor time of all threads. The classifier is trained before anything is
timed, or found.

Run: OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive python -m bench.training.evaluation [RECIPE…] [--set FIELD=VALUE]
"""

import argparse
import json
import statistics
from math import ceil

import torch

from bench.training.recipes import RECIPES
from bench.training.turns import Seconds, time_of
from ganlib.evaluation.evaluator import SampleMeter
from ganlib.evaluation.signals.meter import SignalMeter
from ganlib.evaluation.signals.probe import SignalProbe
from ganlib.evaluation.signals.references import choose_references
from ganlib.runtime.device import choose_device, describe_device
from ganlib.runtime.random_streams import reproducible_torch
from ganlib.spec.files import apply_overrides, read_spec_file
from ganlib.spec.job import JobSpec
from ganlib.spec.parse import parse_spec
from ganlib.training.state import build_state
from ganlib.training.step import train_step

CADENCES = (250, 500, 1000)
BOUND = 0.02


def measure(spec: JobSpec, turns: int, steps: int) -> dict[str, object]:
    """Return milliseconds of an iteration and of an evaluation, and the share of the latter by its cadence."""
    if spec.evaluation is None:
        raise ValueError("The spec has no evaluation to be timed.")
    device = choose_device(spec.device)
    with reproducible_torch(device):
        state = build_state(spec, device)
        meter = SampleMeter(state, spec.evaluation, lambda text, about=None, level="info": print("#", text))
        meter.prepare(lambda: False)

        def train() -> None:
            for _ in range(steps):
                train_step(state)
            if device.type == "cuda":
                torch.cuda.synchronize()

        references = choose_references(state)
        probe, signals = SignalProbe(state, references), SignalMeter(references)

        def examine() -> None:
            probe.before_step()
            signals.measure(probe.observe())

        actions = {
            "iteration": train,
            "evaluation": lambda: meter.compute(meter.collect()),
            "signals": examine,
        }
        taken: dict[str, list[Seconds]] = {name: [] for name in actions}
        for turn in range(turns + 1):
            for name, action in actions.items():
                seconds = time_of(action)
                # The first turn warms up.
                if turn:
                    taken[name].append(seconds)
    iteration = statistics.median(each.processor for each in taken["iteration"]) / steps
    evaluation = statistics.median(each.processor for each in taken["evaluation"])
    measurement = statistics.median(each.processor for each in taken["signals"])
    cadence = spec.diagnosis.cadence(spec.sample_every)
    return {
        "recipe": spec.name,
        "metrics": list(spec.evaluation.metrics),
        "samples": spec.evaluation.samples,
        "iteration_ms": round(1000 * iteration, 2),
        "evaluation_ms": round(1000 * evaluation, 1),
        **{f"share_every_{every}": round(evaluation / (every * iteration + evaluation), 4) for every in CADENCES},
        "every_for_2_percent": ceil(evaluation / iteration * (1 - BOUND) / BOUND),
        "signals_ms": round(1000 * measurement, 1),
        "signals_every": cadence,
        "signals_share": round(measurement / (cadence * iteration + measurement), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", default=["first-light"])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10, help="iterations of training a turn")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field")
    options = parser.parse_args()
    print("#", describe_device(choose_device("auto")), "torch", torch.__version__)
    for name in options.recipes:
        given = read_spec_file(RECIPES / f"{name}.yaml")
        given.pop("evaluation", None)
        spec = parse_spec(apply_overrides(given, ["evaluation={every: 1000}", *options.set]))
        print(json.dumps(measure(spec, options.turns, options.steps)), flush=True)


if __name__ == "__main__":
    main()
