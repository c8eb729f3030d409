"""What a call of `ganvas.init`'s run costs the loop that makes it, offline and beside a service that takes it all.

Beside the floor (one write of the same bytes) and, where it is installed, tensorboard's writer. Calls are made one
after the other, and between iterations of a loop that multiplies matrices.

Run: OMP_NUM_THREADS=1 python -m bench.service.tracking [URL of a service]
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Literal

import torch

import ganvas

CALLS, GRIDS, WARM_UP = 5_000, 150, 20
GRID_SECONDS = 0.1
MATRIX = torch.rand(128, 128)
VALUES = {f"loss/part_{index}": 0.1 * index for index in range(5)}
GRID_SHAPES = ((64, 1, 28, 28), (64, 3, 32, 32), (64, 3, 64, 64))


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else None
    print(f"load {os.getloadavg()[0]:.1f}\n{'':62} p50 ms   p99 ms   max ms")
    with TemporaryDirectory() as folder:
        os.environ["GANVAS_HOME"] = folder
        time_floor(Path(folder))
        if url:
            os.environ["GANVAS_URL"] = url
        time_run("offline", Path(folder) / "offline")
        if url:
            time_run("online", Path(folder) / "online")
        for peer in (time_tensorboard,):
            try:
                peer(Path(folder))
            except ImportError as error:
                print(f"{peer.__name__.removeprefix('time_')}: not installed ({error.name})")
    print(f"load {os.getloadavg()[0]:.1f}")


def time_floor(folder: Path) -> None:
    descriptor = os.open(folder / "floor", os.O_WRONLY | os.O_CREAT)
    line = b"x" * 250
    show("floor: one write of 250 bytes", time_calls(lambda _: os.write(descriptor, line), CALLS, 0.001))
    os.close(descriptor)


def time_run(mode: Literal["offline", "online"], folder: Path) -> None:
    """Time each kind of call of one run, and how long it takes to open and to close it."""
    begun = perf_counter()
    run = ganvas.init(f"bench {mode}", dir=folder, mode=mode)
    opened = perf_counter() - begun
    # Until the sender has loaded what it needs, it takes a core of its own.
    time.sleep(3)
    show(f"{mode}: log, 5 floats, back to back", time_calls(lambda step: run.log(VALUES, step=step), CALLS, 0))
    show(
        f"{mode}: log, 5 floats, 1 ms of work apart",
        time_calls(lambda step: run.log(VALUES, step=step), CALLS, 0.001),
    )
    tensors = {name: torch.tensor(value) for name, value in VALUES.items()}
    show(
        f"{mode}: log, 5 tensors, 1 ms of work apart",
        time_calls(lambda step: run.log(tensors, step=step), CALLS, 0.001),
    )
    for shape in GRID_SHAPES:
        images = torch.rand(shape) * 2 - 1

        def draw(step: int, images: torch.Tensor = images) -> None:
            run.grid(images, step=step)

        taken = time_calls(draw, GRIDS, GRID_SECONDS)
        show(f"{mode}: grid, floats {'×'.join(map(str, shape))}, 100 ms of work apart", taken)
    begun = perf_counter()
    run.close()
    files = list(folder.iterdir())
    size = sum(file.stat().st_size for file in files) / 2**20
    print(
        f"{mode}: opened in {1000 * opened:.0f} ms, closed in {1000 * (perf_counter() - begun):.0f} ms; "
        f"{len(files)} files, {size:.0f} MiB"
    )


def time_tensorboard(folder: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"))

    def log(step: int) -> None:
        for name, value in VALUES.items():
            writer.add_scalar(name, value, step)

    show("tensorboard: add_scalar, 5 floats, 1 ms of work apart", time_calls(log, CALLS, 0.001))
    images = torch.rand(GRID_SHAPES[0])
    draw = lambda step: writer.add_images("grid", images, step)  # noqa: E731
    show("tensorboard: add_images, floats 64×1×28×28, 100 ms of work apart", time_calls(draw, GRIDS, GRID_SECONDS))
    writer.close()


def time_calls(call: Callable[[int], object], count: int, pause: float) -> list[float]:
    """Return the seconds of each call."""
    taken = []
    for step in range(count):
        started = perf_counter()
        call(step)
        taken.append(perf_counter() - started)
        if pause:
            work(pause)
    return taken[WARM_UP:]


def work(seconds: float) -> None:
    """Compute for so long, as a loop does between two calls."""
    until = perf_counter() + seconds
    while perf_counter() < until:
        torch.mm(MATRIX, MATRIX)


def show(name: str, taken: list[float]) -> None:
    milliseconds = [1000 * seconds for seconds in taken]
    hundredths = statistics.quantiles(milliseconds, n=100)
    print(f"{name:60} {hundredths[49]:8.4f} {hundredths[98]:8.4f} {max(milliseconds):8.3f}", flush=True)


if __name__ == "__main__":
    main()
