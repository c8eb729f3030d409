"""ganlib's trainer beside that of torchgan: Winkler's final MNIST networks, a CPU, one thread.

Each runs in a process and a virtual environment of its own, in turns of a few iterations, round after round, so
that a busy machine slows all alike. A peer gets the networks as plain modules (winkler_by_hand.py), Adam, and a
DataLoader of ready floats; its trainer, losses and logging are its own. An iteration is what passes from one batch
to the next; files of grids and checkpoints lie outside of it, for all. The peers compute in float32 on a CPU and
have no other choice there; ganlib is timed in float32, and in what it takes by itself.

torchgan 0.1.0 trains with today's torch, but ends its first epoch with a call that today's torchvision refuses:
    python3.11 -m venv PEERS/torchgan && PEERS/torchgan/bin/pip install torch torchvision torchgan
torch-mimicry 0.1.16 does not start there: it imports torch._six, which torch 2.0 removed.

Run: OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive python -m bench.training.peers --torchgan PEERS/torchgan/bin/python
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def take_turn(python: str, trainer: str, batch: int, iterations: int) -> dict[str, Any]:
    """Run a few iterations in a process of their own; raises CalledProcessError with what it said."""
    command = [
        python,
        "-m",
        "bench.training.peer_loops",
        trainer,
        "--batch",
        str(batch),
        "--iterations",
        str(iterations),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{trainer} failed:\n{done.stderr[-2000:]}")
    turn: dict[str, Any] = json.loads(done.stdout)
    return turn


def summarise(turns: list[dict[str, Any]]) -> str:
    """Return one row: mean and median milliseconds of an iteration."""
    processor, wall = ([time for turn in turns for time in turn[clock]] for clock in ("processor_ms", "wall_ms"))
    cells = [
        turns[0]["trainer"], turns[0]["torch"], f"{statistics.mean(processor):.1f}",
        f"{statistics.median(processor):.1f}", f"{statistics.median(wall):.1f}", str(len(processor)),
        f"{min(turn['load'] for turn in turns):.0f} to {max(turn['load'] for turn in turns):.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torchgan", help="the Python of an environment with torchgan")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=20, help="of each turn (default 20)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default 3)")
    options = parser.parse_args()

    pythons = {"ganlib": sys.executable, "ganlib-float32": sys.executable}
    pythons |= {"torchgan": options.torchgan} if options.torchgan else {}
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in pythons}
    for _ in range(options.rounds):
        for name, python in pythons.items():
            turns[name].append(take_turn(python, name, options.batch, options.iterations))
    print("| trainer | torch | processor ms, mean | median | wall ms, median | iterations | load |")
    print("|" + " --- |" * 7)
    for taken in turns.values():
        print(summarise(taken))


if __name__ == "__main__":
    main()
