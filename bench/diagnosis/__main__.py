"""`python -m bench.diagnosis FOLDER`: how often the rules find planted faults, and what they say of healthy runs.

Runs that a folder holds already are not trained again. Processes may share them: --share 0/2 and --share 1/2.
"""

import argparse
from pathlib import Path

import torch

from bench.diagnosis.faults import FAULTS, HEALTHY_COUNT, PLANTED_COUNT, healthy, plant
from bench.diagnosis.networks import Spec
from bench.diagnosis.record import RESULT, record
from bench.diagnosis.report import summarise

HEALTHY_A_TURN = 3


def main() -> None:
    """Train what is missing, and sum up once nothing is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=["tuning", "reported"], default="reported")
    parser.add_argument("--planted", type=int, default=PLANTED_COUNT)
    parser.add_argument("--healthy", type=int, default=HEALTHY_COUNT)
    parser.add_argument("--share", default="0/1", help="This process's part of the runs, such as 0/2.")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    part, parts = map(int, arguments.share.split("/"))
    # Planted and healthy runs in turns, so that a part of them says something of both.
    specs: dict[str, Spec] = {}
    for index in range(max(arguments.planted, -(-arguments.healthy // HEALTHY_A_TURN))):
        if index < arguments.planted:
            specs |= {f"{fault}-{index}": plant(fault, index, arguments.kind) for fault in FAULTS}
        for number in range(HEALTHY_A_TURN * index, min(HEALTHY_A_TURN * (index + 1), arguments.healthy)):
            specs[f"healthy-{number}"] = healthy(number, arguments.kind)
    for number, (name, spec) in enumerate(specs.items()):
        folder = arguments.folder / arguments.kind / name
        if number % parts == part and not (folder / RESULT).exists():
            folder.mkdir(parents=True, exist_ok=True)
            record(spec, folder)
            print(name, flush=True)
    if all((arguments.folder / arguments.kind / name / RESULT).exists() for name in specs):
        print(summarise(arguments.folder / arguments.kind))


if __name__ == "__main__":
    main()
