"""trackio's rows of `bench/service`, in its own environment: `python -m bench.service.trackio_rows FOLDER`.

The run logs to a server of its own over HTTP, as a self-hosted one is used; the clock stops when `finish` returns.
"""

import json
import os
import random
import re
import statistics
import sys
import time
from pathlib import Path

from bench.service.servers import Server, fetch, folder_bytes, median_milliseconds

ADDRESS = "http://127.0.0.1:18432"
TOKEN = "bench"  # noqa: S105 - of a server that lives as long as this script
LOGS = 20_000
CURVE_POINTS = 100_000
RUNS = 20
SHOW = "import trackio; trackio.show(open_browser=False, block_thread=True, server_port=18432)"


def main() -> None:
    folder = Path(sys.argv[1])
    environment = {"TRACKIO_DIR": str(folder / "server"), "TRACKIO_WRITE_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1"}
    os.environ["TRACKIO_DIR"] = str(folder / "client")
    found: dict[str, float] = {}
    server = Server([sys.executable, "-c", SHOW], ADDRESS, folder, environment)
    with server:
        found["cold start, empty, s"] = server.seconds
    with server:
        found["cold start, s"] = server.seconds
        time.sleep(3)
        found["idle memory, PSS MB"], found["idle memory, RSS MB"], found["processes"] = server.memory()
        address = read_address(folder / "server.log")
        empty = folder_bytes(folder / "server")
        measure_logging(server, address, found)
        measure_curve(address, found)
        points = LOGS * 5 + CURVE_POINTS
        found["bytes on disk a point"] = (folder_bytes(folder / "server") - empty) / points
        measure_list(address, found)
    print(json.dumps(found))


def read_address(log: Path) -> str:
    """Return the address with the token that writes, as the server printed it."""
    said = re.search(r"http://\S*write_token=[\w-]+", log.read_text())
    return said.group(0) if said else f"{ADDRESS}/?write_token={TOKEN}"


def measure_logging(server: Server, address: str, found: dict[str, float]) -> None:
    import trackio

    noise, taken = random.Random(1), []
    trackio.init(project="logs", name="logs", server_url=address, embed=False)
    rows = [{f"loss/m{k}": noise.gauss(1, 0.1) for k in range(5)} for _ in range(LOGS)]
    before, begin = server.processor_seconds(), time.perf_counter()
    for at, row in enumerate(rows):
        start = time.perf_counter()
        trackio.log(row, step=at)
        taken.append(time.perf_counter() - start)
    trackio.finish()
    seconds = time.perf_counter() - begin
    found["log call, p50 ms"] = statistics.median(taken) * 1e3
    found["log call, p99 ms"] = statistics.quantiles(taken, n=100)[98] * 1e3
    found["as a user logs, points/s"] = LOGS * 5 / seconds
    found["as a user logs, points a second of the server's processor"] = (
        LOGS * 5 / (server.processor_seconds() - before)
    )


def measure_curve(address: str, found: dict[str, float]) -> None:
    import trackio

    noise = random.Random(0)
    trackio.init(project="curve", name="curve", server_url=address, embed=False)
    for at in range(CURVE_POINTS):
        trackio.log({"loss/generator": noise.gauss(1, 0.1)}, step=at)
    trackio.finish()
    ask = {
        "project": "curve",
        "runs": [{"project": "curve", "run": "curve"}],
        "max_points": 3000,
        "scalar_only": True,
    }
    plotted = json.dumps(ask).encode()
    full = json.dumps({"project": "curve", "run": "curve", "metric_name": "loss/generator"}).encode()
    url, full_url = f"{ADDRESS}/api/get_logs_batch", f"{ADDRESS}/api/get_metric_values"
    found["curve for plotting, ms"] = median_milliseconds(lambda: fetch(url, plotted), 5)
    found["curve for plotting, kB"] = len(fetch(url, plotted)) / 1e3
    found["full curve, ms"] = median_milliseconds(lambda: fetch(full_url, full), 3)
    found["full curve, kB"] = len(fetch(full_url, full)) / 1e3


def measure_list(address: str, found: dict[str, float]) -> None:
    """Time what the page asks for; 20 runs only, for all of them always come."""
    import trackio

    for index in range(RUNS):
        trackio.init(project="runs", name=f"run {index}", server_url=address, embed=False)
        trackio.log({"loss/generator": 1.0})
        trackio.finish()
    body = json.dumps({"project": "runs"}).encode()
    url = f"{ADDRESS}/api/get_runs_for_project"
    found["list of 20 runs, ms"] = median_milliseconds(lambda: fetch(url, body))
    found["list of 20 runs, kB"] = len(fetch(url, body)) / 1e3


if __name__ == "__main__":
    main()
