"""The results service beside MLflow's server and trackio, in one run, each in an environment of its own.

Run: python -m bench.service FOLDER [--runs 2000] [--logs 20000] [--grids 300] [--peers FOLDER]

FOLDER gets every server's data and the results as JSON. `--peers` names a folder with one virtual environment a
peer, `trackio` and `mlflow`; missing ones are made (`pip install`, 800 MB). Without it Ganvas runs alone.
Wall-clock figures follow the machine's load, which is printed: compare the columns of one run.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from bench.service.ganvas_rows import measure_ganvas, serve

PEERS = ("trackio", "mlflow")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--logs", type=int, default=20_000)
    parser.add_argument("--grids", type=int, default=300)
    parser.add_argument("--peers", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    results: dict[str, dict[str, float]] = {}
    load = os.getloadavg()[0]
    results["ganvas"] = measure_ganvas(given.folder / "ganvas", given.runs, given.logs, given.grids)
    keep(results, given.folder)
    if given.peers:
        with serve(given.folder / "by mlflow") as server:
            url = server.url.removesuffix("/healthz")
            results["ganvas"] |= run_peer("mlflow", given.peers / "mlflow", "--client", url)
            keep(results, given.folder)
    for peer in PEERS if given.peers else ():
        results[peer] = measure_peer(peer, given.peers / peer, given.folder / peer)
        keep(results, given.folder)
    print(f"load {load:.1f} at the beginning, {os.getloadavg()[0]:.1f} at the end")
    show(results)


def measure_peer(peer: str, environment: Path, folder: Path) -> dict[str, float]:
    """Run the peer's own script in its environment; figures that it cannot have are left out."""
    folder.mkdir(parents=True)
    return run_peer(peer, environment, str(folder))


def run_peer(peer: str, environment: Path, *arguments: str) -> dict[str, float]:
    """Run the peer's script with these arguments, in its environment, which is made if it is not there."""
    python = environment / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", peer], check=True)
    command = [str(python), "-m", f"bench.service.{peer}_rows", *arguments]
    root = Path(__file__).parents[2]
    answer = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, float] = json.loads(answer.splitlines()[-1])
    return figures


def keep(results: dict[str, dict[str, float]], folder: Path) -> None:
    """Write the results so far, so that a peer that fails loses none."""
    (folder / "service.json").write_text(json.dumps(results, indent=1))


def show(results: dict[str, dict[str, float]]) -> None:
    """Print a row a figure, a column a tracker."""
    rows = dict.fromkeys(name for figures in results.values() for name in figures)
    print("| | " + " | ".join(results) + " |")
    print("| --- |" + " --- |" * len(results))
    for row in rows:
        print(f"| {row} | " + " | ".join(_show(figures.get(row)) for figures in results.values()) + " |")


def _show(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
