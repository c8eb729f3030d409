"""The cost of logging one iteration: the training loop's share, and the spool's.

The loop is ganlib's own on a tiny network, every iteration logged, with a worker's spool behind it. Three clocks:
around `BackgroundWriter.put`, which hands five numbers over; around `RunReporter.report_metrics`, which also takes
the mean of two batches of logits; and around `SpoolWriter.append`, which the writer's thread calls and which a
caller without such a thread would pay. Nothing here waits for a network, with or without a service.

Run: OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive python -m bench.service.worker_logging
"""

import statistics
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from ganlib.events import MetricsLogged
from ganlib.runtime.device import choose_device
from ganlib.spec.parse import parse_spec
from ganlib.training.recording.background_writer import BackgroundWriter
from ganlib.training.recording.run_reporter import RunReporter
from ganlib.training.state import build_state
from ganlib.training.step import train_step
from worker.spool.spool import SpoolWriter
from worker.trainer.process import SpoolingEvents

ITERATIONS = 5_000
WARM_UP = 200
TINY = {
    "name": "bench",
    "dataset": "digits",
    "generator": {"layers": [{"layer": "dense", "size": 64}, "tanh", {"layer": "reshape", "shape": [1, 8, 8]}]},
    "discriminator": {"layers": ["flatten", {"layer": "dense", "size": 1}]},
    "iterations": ITERATIONS,
    "device": "cpu",
    "precision": "float32",
}
VALUES = {f"loss/part_{index}": 0.1 * index for index in range(5)}


def main() -> None:
    with TemporaryDirectory() as folder:
        show(
            "training loop: BackgroundWriter.put, 5 ready numbers",
            time_training_loop(Path(folder), with_means=False),
        )
        show("training loop: RunReporter.report_metrics", time_training_loop(Path(folder), with_means=True))
        show("recorder's thread: SpoolWriter.append", time_appending(Path(folder)))


def time_training_loop(folder: Path, *, with_means: bool) -> list[float]:
    """Return the seconds of each logged iteration that the training thread spent on logging it."""
    state = build_state(parse_spec(TINY), choose_device("cpu"))
    events = SpoolingEvents(SpoolWriter(folder / f"loop-{with_means}.jsonl"))
    taken = []
    with BackgroundWriter(events.add) as recorder:
        reports = RunReporter(state, folder, recorder)
        for _ in range(ITERATIONS):
            step = train_step(state)
            started = perf_counter()
            if with_means:
                reports.report_metrics(step)
            else:
                recorder.put(partial(MetricsLogged, iteration=state.iteration, values=VALUES))
            taken.append(perf_counter() - started)
    return taken[WARM_UP:]


def time_appending(folder: Path) -> list[float]:
    """Return the seconds of each append to the spool."""
    spool = SpoolWriter(folder / "append.jsonl")
    taken = []
    for iteration in range(ITERATIONS):
        event = MetricsLogged(iteration=iteration, values=VALUES)
        started = perf_counter()
        spool.append(event)
        taken.append(perf_counter() - started)
    return taken[WARM_UP:]


def show(name: str, seconds: list[float]) -> None:
    cuts = statistics.quantiles(seconds, n=100)
    print(f"{name:<52} p50 {cuts[49] * 1e3:.4f} ms   p99 {cuts[98] * 1e3:.4f} ms")


if __name__ == "__main__":
    main()
