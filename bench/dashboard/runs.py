"""Runs as long as real ones, for `bench/dashboard`: reported over HTTP as a worker reports them."""

import hashlib
import io
import math
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
from PIL import Image

ROWS, CELL = 8, 32
CURVES = (
    "loss/generator",
    "loss/discriminator",
    *(f"eval/measure_{number}" for number in range(8)),
)
POINTS_A_POST = 20_000
EVENTS_A_POST = 1000
SPEC: dict[str, Any] = {
    "name": "bench",
    "dataset": "digits",
    "generator": {"layers": [{"layer": "dense", "size": 64}, {"layer": "reshape", "shape": [1, 8, 8]}]},
    "discriminator": {"layers": ["flatten", {"layer": "dense", "size": 1}]},
}
LATENTS = hashlib.sha256(b"latents").hexdigest()


def draw_grids(count: int) -> Iterator[bytes]:
    """Draw grids of 8 × 8 coloured cells that emerge from noise, some 80 kB each."""
    chance = random.Random(0)
    side = ROWS * CELL
    early, late = (Image.frombytes("RGB", (32, 32), chance.randbytes(3072)).resize((side, side)) for _ in "ab")
    for number in range(count):
        share = number / max(1, count - 1)
        noise = Image.frombytes("RGB", (side, side), chance.randbytes(3 * side * side))
        picture = Image.blend(Image.blend(early, late, share), noise, 0.06 + 0.5 * (1 - share) ** 4)
        file = io.BytesIO()
        # The trainer's way to write grids: speed before size.
        picture.save(file, "PNG", compress_level=1)
        yield file.getvalue()


class Reporter:
    """Plays the worker of one run."""

    def __init__(self, url: str, iterations: int) -> None:
        self.client = httpx.Client(base_url=url, timeout=60)
        self.job_id = str(self._post("/jobs", SPEC | {"iterations": iterations})["id"])
        claim = self._post("/workers/claim", {"worker": "bench:1", "devices": ["cpu"]})
        self.path, self.seq = f"/jobs/{claim['job_id']}/attempts/{claim['attempt']}", 0

    def put(self, png: bytes) -> tuple[str, int]:
        """Store a file; returns its sha256 and its size."""
        sha256 = hashlib.sha256(png).hexdigest()
        answer = self.client.put(f"/artifacts/{sha256}", content=png, headers={"content-type": "image/png"})
        answer.raise_for_status()
        return sha256, len(png)

    def report(self, events: list[dict[str, Any]]) -> None:
        """Report events, as many in a post as one may hold."""
        at = datetime.now(UTC).isoformat()
        for begin in range(0, len(events), EVENTS_A_POST):
            some = events[begin : begin + EVENTS_A_POST]
            numbered = [{"seq": self.seq + place, "at": at, "event": event} for place, event in enumerate(some)]
            self._post(f"{self.path}/events", {"events": numbered})
            self.seq += len(some)

    def finish(self) -> None:
        """End the run."""
        self._post(f"{self.path}/finish", {"end": "succeeded", "events_count": self.seq})
        self.client.close()

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self.client.post(path, json=body)
        answer.raise_for_status()
        return answer.json()


def grid_saved(iteration: int, file: tuple[str, int]) -> dict[str, Any]:
    """Return the event of a sample grid."""
    return {
        "kind": "sample_grid_saved",
        "iteration": iteration,
        "file": {"path": f"samples/{iteration}.png", "sha256": file[0], "size": file[1]},
        "rows": ROWS,
        "columns": ROWS,
        "cell_width": CELL,
        "cell_height": CELL,
        "latents_sha256": LATENTS,
    }


def log_curves(reporter: Reporter, points: int, every: int = 1) -> None:
    """Report ten curves of so many points."""
    chance = random.Random(1)
    events = []
    for step in range(1, points + 1):
        values = {name: math.exp(-step / points) + chance.gauss(0, 0.1) for name in CURVES}
        events.append({"kind": "metrics_logged", "iteration": step * every, "values": values})
        if len(events) * len(CURVES) >= POINTS_A_POST or step == points:
            reporter.report(events)
            events = []


def fill(url: str, runs: int, grids: int, points: int) -> list[str]:
    """Make runs of the same grids, the first of them with curves; returns their ids."""
    ids: list[str] = []
    files: list[tuple[str, int]] = []
    every = max(1, points // grids)
    for number in range(runs):
        reporter = Reporter(url, grids * every)
        files = files or [reporter.put(png) for png in draw_grids(grids)]
        if number == 0:
            log_curves(reporter, points)
        reporter.report([grid_saved((place + 1) * every, file) for place, file in enumerate(files)])
        reporter.finish()
        ids.append(reporter.job_id)
    return ids


def draw_on(url: str, started: Any, rate: int, seconds: float) -> None:
    """Run in a process of its own: report so many new grids a second for a while; `started` takes the run's id.

    The files are there already and come again and again: how fast they travel is measured by bench/service.
    """
    reporter = Reporter(url, 1_000_000)
    files = [reporter.put(png) for png in draw_grids(64)]
    reporter.report([grid_saved(1, files[0])])
    started.put(reporter.job_id)
    begin, number = time.perf_counter(), 1
    while (now := time.perf_counter() - begin) < seconds:
        due = range(number + 1, max(number, int(now * rate)) + 1)
        if due:
            reporter.report([grid_saved(each, files[each % 64]) for each in due])
            number = due[-1]
        time.sleep(0.02)
    reporter.finish()
    started.put(number)
