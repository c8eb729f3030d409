"""A worker, and a writer of a loop of its own, for tests: they report over HTTP what they are told to."""

import hashlib
import io
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar
from uuid import uuid4

import httpx
from PIL import Image

COMMIT = "9f2c1e7ab03d4c55aa10e2f8b1c3d4e5f6a7b8c9"
LATENTS = b"fixed latents"
DIFF = (
    "diff --git a/spec.py b/spec.py\n--- a/spec.py\n+++ b/spec.py\n@@ -1 +1,2 @@\n-old\n+new\n"
    "+<script>newer()</script>\n"
)
PROVENANCE: dict[str, Any] = {
    "commit": COMMIT,
    "branch": "main",
    "uncommitted_diff": DIFF,
    "python": "3.11.9",
    "versions": {"torch": "2.15.0", "numpy": "2.3.4"},
    "device": "cpu, 2 threads",
    "hostname": "bench-2",
    "platform": "Linux x86_64",
    "command": "ganvas up",
}
ROWS, CELL = 8, 28
Made = TypeVar("Made")


def make_spec(**changes: Any) -> dict[str, Any]:
    """A small but valid spec."""
    spec: dict[str, Any] = {
        "name": "first-light",
        "dataset": "mnist",
        "seed": 7,
        "iterations": 1000,
        "generator": {"layers": [{"layer": "dense", "size": 784}, {"layer": "reshape", "shape": [1, 28, 28]}]},
        "discriminator": {"layers": [{"layer": "flatten"}, {"layer": "dense", "size": 1}]},
    }
    return spec | changes


@cache
def make_grid_png(seed: int) -> bytes:
    """A grid of 8 × 8 grey cells, another one for each seed."""
    shades = random.Random(seed)
    image = Image.new("L", (ROWS * CELL, ROWS * CELL))
    for row in range(ROWS):
        for column in range(ROWS):
            box = (column * CELL, row * CELL, (column + 1) * CELL, (row + 1) * CELL)
            image.paste(shades.randrange(256), box)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


class FakeWorker:
    """Holds one job's attempt; `client` is an httpx client or FastAPI's TestClient."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.job_id = ""
        self.attempt = 0
        self.seq = 0
        self.latents = LATENTS

    def submit(self, **changes: Any) -> str:
        """Submit a spec and return the job's id."""
        return str(self._post("/jobs", make_spec(**changes))["id"])

    def claim(self, worker: str = "bench-2:4711") -> str:
        """Claim the next job and return its id."""
        body = self._post("/workers/claim", {"worker": worker, "provenance": PROVENANCE})
        self.job_id, self.attempt, self.seq = body["job_id"], body["attempt"], 0
        return self.job_id

    def post(self, *events: dict[str, Any]) -> None:
        """Report events."""
        at = datetime.now(UTC).isoformat()
        numbered = [{"seq": self.seq + index, "at": at, "event": event} for index, event in enumerate(events)]
        self._post(f"/jobs/{self.job_id}/attempts/{self.attempt}/events", {"events": numbered})
        self.seq += len(events)

    def log_metrics(self, *iterations: int) -> None:
        """Report plausible losses at these iterations."""
        self.post(*(make_metrics(iteration) for iteration in iterations))

    def log_line(self, text: str, iteration: int = 0, level: str = "info") -> None:
        """Report one log line."""
        self.post({"kind": "line_logged", "iteration": iteration, "level": level, "text": text})

    def save_grid(self, iteration: int, png: bytes | None = None) -> str:
        """Put a sample grid and report it; returns its sha256."""
        return self._save_grid("sample_grid_saved", iteration, png or make_grid_png(iteration))

    def save_neighbours(self, iteration: int) -> str:
        """Put a grid of nearest training images and report it with its distances; returns its sha256."""
        self.post(make_histograms(iteration, {"neighbours/l1": (10.0, 42.5)}))
        return self._save_grid("neighbour_grid_saved", iteration, make_grid_png(-1 - iteration))

    def log_logits(self, *iterations: int) -> None:
        """Report logits that spread with time: real ones upwards, fake ones downwards."""
        for iteration in iterations:
            reach = iteration / 50
            ranges = {"logits/real": (-1.0, 1 + reach), "logits/fake": (-1 - 2 * reach, 1.0)}
            self.post(make_histograms(iteration, ranges))

    def save_checkpoint(self, iteration: int) -> None:
        """Put a checkpoint and report it."""
        file = self.put(f"checkpoint {iteration}".encode(), "application/octet-stream", f"{iteration}.safetensors")
        self.post({"kind": "checkpoint_saved", "iteration": iteration, "file": file})

    def put(self, content: bytes, media_type: str, path: str) -> dict[str, Any]:
        """Put a file and return how events name it."""
        sha256 = hashlib.sha256(content).hexdigest()
        response = self.client.put(f"/artifacts/{sha256}", content=content, headers={"content-type": media_type})
        assert response.status_code in (200, 201), response.text
        return {"path": path, "sha256": sha256, "size": len(content)}

    def finish(self, end: str, code: str = "", message: str = "", log_tail: str = "Traceback …") -> None:
        """End the attempt."""
        reason = {"code": code, "message": message, "log_tail": log_tail} if code else None
        body = {"end": end, "reason": reason, "events_count": self.seq}
        self._post(f"/jobs/{self.job_id}/attempts/{self.attempt}/finish", body)

    def train(self, until: int, grid_every: int = 100) -> None:
        """Report losses and grids up to an iteration, as a run that goes well."""
        self.log_metrics(*range(10, until + 1, 10))
        for iteration in range(grid_every, until + 1, grid_every):
            self.save_grid(iteration)

    def _save_grid(self, kind: str, iteration: int, content: bytes) -> str:
        file = self.put(content, "image/png", f"{kind}/{iteration}.png")
        self.post(
            {
                "kind": kind,
                "iteration": iteration,
                "file": file,
                "rows": ROWS,
                "columns": ROWS,
                "cell_width": CELL,
                "cell_height": CELL,
                "latents_sha256": hashlib.sha256(self.latents).hexdigest(),
            }
        )
        return str(file["sha256"])

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = self.client.post(path, json=body)
        assert response.status_code in (200, 201), response.text
        answer: dict[str, Any] = response.json()
        return answer


class OwnRun:
    """Holds a run of somebody's own loop, as its writer does; `client` is as a FakeWorker's."""

    def __init__(self, client: Any, name: str = "my gan", **fields: Any) -> None:
        self.client = client
        self.seq = 0
        body = {"key": uuid4().hex, "name": name, "writer": "desk-3 4711", **fields}
        opened = self._send("POST", "/runs", json=body, headers={})
        self.id, self.attempt = opened["job_id"], opened["attempt"]
        self._headers = {"authorization": f"Bearer {opened['token']}"}

    def post(self, *events: dict[str, Any]) -> None:
        """Report events."""
        at = datetime.now(UTC).isoformat()
        numbered = [{"seq": self.seq + index, "at": at, "event": event} for index, event in enumerate(events)]
        self._send("POST", f"/jobs/{self.id}/attempts/{self.attempt}/events", json={"events": numbered})
        self.seq += len(events)

    def log(self, iteration: int, **values: float) -> None:
        """Report metrics."""
        self.post({"kind": "metrics_logged", "iteration": iteration, "values": values})

    def save_grid(self, iteration: int, latents: str | None = None, cells: int = ROWS) -> str:
        """Put a grid and report it, without fixed latents by default; returns its sha256."""
        content = make_grid_png(iteration)
        size = ROWS * CELL // cells
        grid = {"rows": cells, "columns": cells, "cell_width": size, "cell_height": size}
        file = self.put(content, "image/png")
        self.post(
            {"kind": "sample_grid_saved", "iteration": iteration, "file": file, "latents_sha256": latents, **grid}
        )
        return str(file["sha256"])

    def save_file(self, name: str, content: bytes, iteration: int = 0, media_type: str = "") -> str:
        """Put a file and report it under its name; returns its sha256."""
        given = media_type or ("image/png" if name.endswith(".png") else "application/octet-stream")
        file = self.put(content, "image/png" if given == "image/png" else "application/octet-stream")
        self.post({"kind": "file_saved", "iteration": iteration, "name": name, "file": file, "media_type": given})
        return str(file["sha256"])

    def put(self, content: bytes, media_type: str) -> dict[str, Any]:
        """Put a file and return how events name it."""
        sha256 = hashlib.sha256(content).hexdigest()
        headers = {"content-type": media_type, **self._headers}
        self._send("PUT", f"/artifacts/{sha256}", content=content, headers=headers)
        return {"path": "files.bin:0", "sha256": sha256, "size": len(content)}

    def finish(self, end: str = "succeeded", code: str = "", message: str = "") -> None:
        """End the run."""
        reason = {"code": code, "message": message} if code else None
        body = {"end": end, "reason": reason, "events_count": self.seq}
        self._send("POST", f"/jobs/{self.id}/attempts/{self.attempt}/finish", json=body)

    def _send(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        request.setdefault("headers", self._headers if hasattr(self, "_headers") else {})
        response = self.client.request(method, path, **request)
        assert response.status_code in (200, 201), response.text
        answer: dict[str, Any] = response.json()
        return answer


def make_metrics(iteration: int) -> dict[str, Any]:
    """Losses that settle: the generator's near 1.5, the discriminator's near 0.7."""
    wobble = random.Random(iteration).gauss(0, 0.08)
    settled = 1 - math.exp(-iteration / 300)
    return {
        "kind": "metrics_logged",
        "iteration": iteration,
        "values": {
            "loss/generator": 0.7 + 0.8 * settled + 2 * wobble,
            "loss/discriminator": 1.38 - 0.68 * settled + wobble,
            "speed/iterations_per_second": 4.63,
        },
    }


def make_histograms(iteration: int, ranges: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Distributions between these bounds, with most values in the middle."""
    counts = [min(place, 63 - place) for place in range(64)]
    histograms = {name: {"low": low, "high": high, "counts": counts} for name, (low, high) in ranges.items()}
    return {"kind": "histograms_logged", "iteration": iteration, "histograms": histograms}


# What was made, by service, maker and arguments.
_MADE: dict[tuple[Any, ...], Any] = {}


def once(worker: FakeWorker, make: Callable[..., Made], *arguments: Any) -> Made:
    """Return what this makes with a worker, made once in each service: for tests that share one and only look."""
    key = (str(worker.client.base_url), make, arguments)
    if key not in _MADE:
        _MADE[key] = make(worker, *arguments)
    made: Made = _MADE[key]
    return made


def connect(url: str) -> FakeWorker:
    """A worker of the service at this address."""
    return FakeWorker(httpx.Client(base_url=url, timeout=60))
