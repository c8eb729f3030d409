"""Ganvas' rows of `bench/service`, measured over HTTP with the requests of a worker and a page."""

import hashlib
import json
import os
import random
import statistics
import struct
import sys
import threading
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from api.attempts.schemas import ClaimRead, ClaimRequest
from api.client.worker_client import WorkerClient
from api.events.schemas import EventsPost, NumberedEvent
from bench.service.servers import Server, fetch, folder_bytes, median_milliseconds
from ganlib.events import Event, MetricsLogged, SampleGridSaved, StoredFile
from ganvas import Client
from worker.attempt.lease import Lease
from worker.attempt.reporter import Reporter
from worker.attempt.run_dir import RunDir
from worker.spool.spool import SpoolWriter

GRID_BYTES = 76_000
CURVE_POINTS = 100_000
PLOTTED_POINTS = 2_000
VALUES_A_LOG = 5
METRIC = "loss/generator"
SPEC: dict[str, Any] = {
    "name": "bench",
    "dataset": "digits",
    "generator": {"layers": [{"layer": "dense", "size": 64}, {"layer": "reshape", "shape": [1, 8, 8]}]},
    "discriminator": {"layers": ["flatten", {"layer": "dense", "size": 1}]},
    "iterations": 1_000_000,
}


def measure_ganvas(folder: Path, runs: int, logs: int, grids: int) -> dict[str, float]:
    """Return every row by name."""
    home, found = folder / "home", {}
    with serve(home) as server:
        found["cold start, empty, s"] = server.seconds
    with serve(home) as server:
        found["cold start, s"] = server.seconds
        time.sleep(3)
        found["idle memory, PSS MB"], found["idle memory, RSS MB"], found["processes"] = server.memory()
        empty = folder_bytes(home)
        _measure_curves(server, found)
        points = CURVE_POINTS + _measure_logging(server, folder, logs, found) + _measure_batches(server, found)
    found["bytes on disk a point"] = (folder_bytes(home) - empty) / points
    with serve(home) as server:
        found["live update, ms"] = _measure_live(server)
        _measure_grids(server, folder, grids, found)
        _measure_list(server, runs, found)
    return found


def serve(home: Path) -> Server:
    """Return a service of this folder; it runs inside a `with` block."""
    command = [sys.executable, "-m", "ganvas", "up", "--no-worker", "--port", "18431", "--data-dir", str(home)]
    environment = {"GANVAS_SUBMITS_PER_MINUTE": "1000000", "GANVAS_LEASE_SECONDS": "3600"}
    return Server(command, "http://127.0.0.1:18431/healthz", home, environment)


def _claim(url: str) -> tuple[ClaimRead, WorkerClient]:
    root = url.removesuffix("/healthz")
    Client(root).submit(SPEC)
    worker = WorkerClient(root)
    claim = worker.claim_job(ClaimRequest(worker="bench"))
    if claim is None:
        raise RuntimeError("no job could be claimed")
    return claim, worker.for_attempt(claim.token) if claim.token else worker


def _measure_curves(server: Server, found: dict[str, float]) -> None:
    claim, worker = _claim(server.url)
    noise = random.Random(0)
    for first in range(0, CURVE_POINTS, 5000):
        events: list[Event] = [
            MetricsLogged(iteration=at, values={METRIC: _float32(noise.gauss(1, 0.1))})
            for at in range(first, first + 5000)
        ]
        worker.post_events(claim.job_id, claim.attempt, _write_post(events, first))
    url = f"{server.url.removesuffix('/healthz')}/jobs/{claim.job_id}/metrics?name={METRIC}"
    plotted, full = f"{url}&points={PLOTTED_POINTS}", f"{url}&form=binary"
    before = server.processor_seconds()
    found["curve for plotting, ms"] = median_milliseconds(lambda: fetch(plotted), 20)
    found["curve for plotting, server's processor ms"] = (server.processor_seconds() - before) / 21 * 1e3
    found["curve for plotting, kB"] = len(fetch(plotted)) / 1e3
    found["full curve, ms"] = median_milliseconds(lambda: fetch(full))
    found["full curve, kB"] = len(fetch(full)) / 1e3


def _measure_logging(server: Server, folder: Path, logs: int, found: dict[str, float]) -> int:
    """Log as a trainer does, into the spool, with the reporter behind it; the clock stops when all is durable."""
    claim, worker = _claim(server.url)
    run_dir = RunDir(folder / "attempt", claim.job_id, claim.attempt)
    run_dir.artifacts_dir.mkdir(parents=True)
    spool, lease = SpoolWriter(run_dir.spool_path), Lease(worker, run_dir, claim.lease_seconds)
    reporter = Reporter(worker, run_dir, lease)
    noise = random.Random(1)
    events = [
        MetricsLogged(
            iteration=at, values={f"loss/m{k}": _float32(noise.gauss(1, 0.1)) for k in range(VALUES_A_LOG)}
        )
        for at in range(logs)
    ]
    before, begin, taken = server.processor_seconds(), time.perf_counter(), []
    reporter.start()
    for event in events:
        start = time.perf_counter()
        spool.append(event)
        taken.append(time.perf_counter() - start)
    reporter.mark_spool_complete()
    while reporter.is_running:
        time.sleep(0.005)
    seconds, points = time.perf_counter() - begin, logs * VALUES_A_LOG
    if reporter.failure is not None or reporter.delivered_count != logs:
        raise RuntimeError(f"{reporter.delivered_count} of {logs} events arrived: {reporter.failure}")
    found["log call, p50 ms"] = statistics.median(taken) * 1e3
    found["log call, p99 ms"] = statistics.quantiles(taken, n=100)[98] * 1e3
    found["as a user logs, points/s"] = points / seconds
    found["as a user logs, points a second of the server's processor"] = points / (
        server.processor_seconds() - before
    )
    return points


def _measure_batches(server: Server, found: dict[str, float]) -> int:
    claim, worker = _claim(server.url)
    noise = random.Random(2)
    bodies = []
    for first in range(0, 10_000, 1000):
        events: list[Event] = [
            MetricsLogged(iteration=at, values={f"loss/m{k}": _float32(noise.gauss(1, 0.1)) for k in range(20)})
            for at in range(first, first + 1000)
        ]
        bodies.append(_write_post(events, first))
    before, begin = server.processor_seconds(), time.perf_counter()
    for body in bodies:
        worker.post_events(claim.job_id, claim.attempt, body)
    found["batches, points/s"] = 200_000 / (time.perf_counter() - begin)
    found["batches, points a second of the server's processor"] = 200_000 / (server.processor_seconds() - before)
    return 200_000


def _measure_grids(server: Server, folder: Path, grids: int, found: dict[str, float]) -> None:
    """Grids wait in the spool, as behind a trainer; the clock runs until each is stored and in the timeline."""
    claim, worker = _claim(server.url)
    run_dir = RunDir(folder / "grids", claim.job_id, claim.attempt)
    run_dir.artifacts_dir.mkdir(parents=True)
    spool, taken = SpoolWriter(run_dir.spool_path), []
    for at in range(grids):
        content = _make_grid()
        start = time.perf_counter()
        (run_dir.artifacts_dir / f"{at}.png").write_bytes(content)
        file = StoredFile(path=f"{at}.png", sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        size = {"rows": 8, "columns": 8, "cell_width": 20, "cell_height": 20}
        spool.append(SampleGridSaved(iteration=at, file=file, latents_sha256="0" * 64, **size))
        taken.append(time.perf_counter() - start)
    reporter = Reporter(worker, run_dir, Lease(worker, run_dir, claim.lease_seconds))
    before, begin = server.processor_seconds(), time.perf_counter()
    reporter.mark_spool_complete()
    reporter.start()
    while reporter.is_running:
        time.sleep(0.005)
    if reporter.failure is not None:
        raise reporter.failure
    found["grids/s"] = grids / (time.perf_counter() - begin)
    found["grids a second of the server's processor"] = grids / (server.processor_seconds() - before)
    found["grid, caller's p99 ms"] = statistics.quantiles(taken, n=100)[98] * 1e3


def _measure_live(server: Server) -> float:
    """Return the median time from a post to its arrival in an open stream."""
    claim, worker = _claim(server.url)
    client, arrived, taken = Client(server.url.removesuffix("/healthz")), threading.Event(), []

    def follow() -> None:
        for message in client.stream(claim.job_id, 0):
            if any(item["kind"] == "metrics_logged" for item in message.events):
                arrived.set()

    threading.Thread(target=follow, daemon=True).start()
    time.sleep(1)
    for at in range(21):
        arrived.clear()
        begin = time.perf_counter()
        worker.post_events(
            claim.job_id, claim.attempt, _write_post([MetricsLogged(iteration=at, values={METRIC: 1.0})], at)
        )
        if not arrived.wait(10):
            raise RuntimeError("a live update did not arrive")
        taken.append(time.perf_counter() - begin)
        time.sleep(0.13)
    return statistics.median(taken[1:]) * 1e3


def _measure_list(server: Server, runs: int, found: dict[str, float]) -> None:
    root = server.url.removesuffix("/healthz")
    for index in range(runs):
        body = {**SPEC, "name": f"run {index * 7919 % runs}", "iterations": 1000 + index * 31 % 977}
        fetch(f"{root}/jobs", json.dumps(body).encode())
    times = {
        sort: median_milliseconds(partial(fetch, f"{root}/jobs?sort={sort}"))
        for sort in ("-created_at", "name", "state", "iteration", "-iterations")
    }
    found["first page of runs, worst sort, ms"] = max(times.values())
    found["first page of runs, median sort, ms"] = statistics.median(times.values())
    found["first page of runs, kB"] = len(fetch(f"{root}/jobs")) / 1e3
    found["the same as a page, ms"] = median_milliseconds(lambda: fetch(f"{root}/"))
    found["the same as a page, kB"] = len(fetch(f"{root}/")) / 1e3


def _write_post(events: list[Event], first: int) -> bytes:
    now = datetime.now(UTC)
    numbered = [NumberedEvent(seq=first + index, at=now, event=event) for index, event in enumerate(events)]
    return EventsPost(events=numbered).model_dump_json().encode()


def _float32(value: float) -> float:
    """Round as a trainer does, whose losses are float32."""
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded


def _make_grid() -> bytes:
    header = struct.pack(">I4sIIBBBBBI", 13, b"IHDR", 160, 160, 8, 2, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + header + os.urandom(GRID_BYTES)
