"""Two hundred workers that train nothing, against the service on PostgreSQL and Redis, until something saturates.

Run: python -m bench.swarm FOLDER [--workers 200] [--speeds 0.25,0.5,1,2,4] [--seconds 30] [--services 1]
       [--sqlite]

Each claims a job, posts a batch of 10 events (50 numbers) every 2 seconds, puts a sample grid of 76 kB every 30
seconds, describes itself every 15, and finishes after 60 batches. That is speed 1; another divides the seconds
of batches and grids. The stages end when more than a tenth of the batches come late. FOLDER gets the servers' data
and the results as JSON. Everything shares one machine: the processor time of each part is what tells.
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

from bench.swarm.servers import Servers
from bench.swarm.wire import Tally, Wire
from bench.swarm.worker import Cadence, FakeWorker, Lag

SETTLE_SECONDS = 8.0
LATE_SHARE = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--speeds", default="0.25,0.5,1,2,4")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--services", type=int, default=1, help="processes of the service, each with its workers")
    parser.add_argument("--sqlite", action="store_true", help="SQLite in the place of PostgreSQL and Redis")
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    speeds = [float(speed) for speed in given.speeds.split(",")]
    with Servers(given.folder, services=given.services, with_sqlite=given.sqlite) as servers:
        stages = asyncio.run(run_stages(servers, given.workers, speeds, given.seconds))
    (given.folder / "swarm.json").write_text(json.dumps(stages, indent=1))


async def run_stages(servers: Servers, workers: int, speeds: list[float], seconds: float) -> list[dict[str, Any]]:
    """Run the swarm at one speed after the other, until it cannot keep up."""
    cadence = Cadence(speed=speeds[0])
    ports = servers.ports
    swarm = [
        FakeWorker(number, Wire("127.0.0.1", ports[number % len(ports)]), cadence, servers.token)
        for number in range(workers)
    ]
    tasks = [asyncio.create_task(worker.run()) for worker in swarm]
    stages = []
    print(f"{workers} workers, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    try:
        begin = time.perf_counter()
        while not all(worker.has_job for worker in swarm):
            await asyncio.sleep(0.5)
        print(f"all have a job after {time.perf_counter() - begin:.0f} s", flush=True)
        for speed in speeds:
            cadence.speed = speed
            await asyncio.sleep(SETTLE_SECONDS + cadence.batch_seconds / speed)
            stages.append(await measure_stage(servers, speed, seconds))
            show(stages[-1])
            if stages[-1]["late"] > LATE_SHARE:
                break
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return stages


async def measure_stage(servers: Servers, speed: float, seconds: float) -> dict[str, Any]:
    """Measure one stage: rates, latencies, errors, and what each part took of the processors."""
    Wire.tally, FakeWorker.lag = Tally(), Lag()
    before, begin = servers.processor_seconds(), time.perf_counter()
    await asyncio.sleep(seconds)
    taken = time.perf_counter() - begin
    after = servers.processor_seconds()
    tally, lag = Wire.tally, FakeWorker.lag
    return {
        "speed": speed,
        "load": os.getloadavg()[0],
        "late": lag.late / max(lag.due, 1),
        "batches due": lag.due / taken,
        "requests": {kind: describe(times, taken) for kind, times in sorted(tally.seconds.items())},
        "errors": dict(tally.errors),
        "processors": {part: (after[part] - before[part]) / taken for part in after},
    }


def describe(times: list[float], taken: float) -> dict[str, float]:
    """Return a kind's rate and its latencies in milliseconds."""
    cuts = statistics.quantiles(times, n=100) if len(times) > 1 else times * 99
    return {"a second": len(times) / taken, "p50 ms": statistics.median(times) * 1e3, "p99 ms": cuts[98] * 1e3}


def show(stage: dict[str, Any]) -> None:
    """Print one stage."""
    print(f"\nspeed {stage['speed']:g}: {stage['late']:.1%} of the batches late, load {stage['load']:.1f}")
    for kind, found in stage["requests"].items():
        rate, middle, slow = found.values()
        print(f"  {kind:<9} {rate:8.1f}/s   p50 {middle:8.1f} ms   p99 {slow:8.1f} ms")
    parts = ", ".join(f"{part} {share:.2f}" for part, share in stage["processors"].items())
    print(f"  processors taken: {parts}")
    print(f"  errors: {stage['errors'] or 'none'}", flush=True)


if __name__ == "__main__":
    main()
