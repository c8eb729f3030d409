"""MLflow's rows of `bench/service`. In MLflow's own environment: `python -m bench.service.mlflow_rows FOLDER`.

With `--client URL` its client alone is measured, against a server that runs already, such as Ganvas.

Its own server on SQLite and a folder of files; counts are small because a call takes a tenth of a second.
"""

import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.service.servers import Server, fetch, folder_bytes, median_milliseconds

ADDRESS = "http://127.0.0.1:18433"
API = f"{ADDRESS}/api/2.0/mlflow"
LOGS = 60
CURVE_POINTS = 20_000
GRIDS = 30
RUNS = 200
CLIENT_CALLS, CLIENT_POINTS = 100, 20_000
GRID_BYTES = 76_000


def main() -> None:
    if sys.argv[1] == "--client":
        print(json.dumps(measure_client(sys.argv[2])))
        return
    folder = Path(sys.argv[1])
    found: dict[str, float] = {}
    server = serve(folder, Path(sys.executable))
    with server:
        found["cold start, empty, s"] = server.seconds
    with server:
        found["cold start, s"] = server.seconds
        time.sleep(3)
        found["idle memory, PSS MB"], found["idle memory, RSS MB"], found["processes"] = server.memory()
        import mlflow

        mlflow.set_tracking_uri(ADDRESS)
        mlflow.set_experiment("bench")
        measure_logging(server, found)
        measure_curve(folder, found)
        measure_grids(folder, found)
        measure_list(found)
        found |= measure_client(ADDRESS)
    print(json.dumps(found))


def serve(folder: Path, python: Path) -> Server:
    """Return MLflow's server of this folder, run by the Python of its environment."""
    command = [str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", "18433"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "files"),
        # On a busy machine its processes need longer to start than the five seconds after which they are killed.
        "--uvicorn-opts",
        "--timeout-worker-healthcheck 600",
    ]
    return Server(command, f"{ADDRESS}/health", folder, {"MLFLOW_DISABLE_TELEMETRY": "true"})


def measure_client(address: str) -> dict[str, float]:
    """Return what calls of MLflow's unmodified client take against a server."""
    import mlflow
    import numpy as np
    from mlflow.entities import Metric

    mlflow.set_tracking_uri(address)
    number = mlflow.set_experiment("bench of the client").experiment_id
    client, noise, found = mlflow.MlflowClient(), random.Random(3), {}
    picture = np.zeros((160, 160, 3), "uint8")
    with mlflow.start_run() as run:
        run_id = run.info.run_id
        mlflow.log_metric("loss", 1.0, step=0)
        for name, call in {
            "log_metric": lambda at: mlflow.log_metric("loss", noise.gauss(1, 0.1), step=at),
            "log_metrics, five": lambda at: mlflow.log_metrics({f"m{k}": 1.0 for k in range(5)}, step=at),
            "log_param": lambda at: mlflow.log_param(f"p{at}", at),
            "set_tag": lambda at: mlflow.set_tag("tag", at),
            "log_image": lambda at: mlflow.log_image(picture, key="samples", step=at, synchronous=True),
        }.items():
            taken = _measure_calls(call, CLIENT_CALLS)
            found[f"mlflow client: {name}, p50 ms"] = statistics.median(taken)
            found[f"mlflow client: {name}, p99 ms"] = statistics.quantiles(taken, n=100)[98]
        points = [Metric("bulk", noise.gauss(1, 0.1), at, at) for at in range(CLIENT_POINTS)]
        batches = _measure_calls(
            lambda at: client.log_batch(run_id, points[at * 1000 : at * 1000 + 1000]), CLIENT_POINTS // 1000
        )
        found["mlflow client: log_batch of 1,000 metrics, p50 ms"] = statistics.median(batches)
        found["mlflow client: history of 20,000 points, ms"] = median_milliseconds(
            lambda: client.get_metric_history(run_id, "bulk"), 3
        )
    for at in range(RUNS - 1):
        other = client.create_run(number).info.run_id
        client.log_batch(other, [Metric("loss", at / RUNS, 1, 0)])
    found["mlflow client: search of 200 runs, ms"] = median_milliseconds(
        lambda: client.search_runs([number], "metrics.loss < 0.9", max_results=100, order_by=["metrics.loss"]), 5
    )
    return found


def _measure_calls(call: Callable[[int], object], times: int) -> list[float]:
    """Return the milliseconds of each call."""
    taken = []
    for at in range(times):
        begin = time.perf_counter()
        call(at)
        taken.append((time.perf_counter() - begin) * 1e3)
    return taken


def measure_logging(server: Server, found: dict[str, float]) -> None:
    import mlflow

    noise, taken = random.Random(1), []
    with mlflow.start_run():
        before, begin = server.processor_seconds(), time.perf_counter()
        for at in range(LOGS):
            start = time.perf_counter()
            mlflow.log_metrics({f"loss/m{k}": noise.gauss(1, 0.1) for k in range(5)}, step=at)
            taken.append(time.perf_counter() - start)
        seconds = time.perf_counter() - begin
        points = LOGS * 5 / (server.processor_seconds() - before)
    found["log call, p50 ms"] = statistics.median(taken) * 1e3
    found["log call, p99 ms"] = statistics.quantiles(taken, n=100)[98] * 1e3
    found["as a user logs, points/s"] = LOGS * 5 / seconds
    found["as a user logs, points a second of the server's processor"] = points


def measure_curve(folder: Path, found: dict[str, float]) -> None:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

    client, noise = MlflowClient(), random.Random(0)
    run_id = client.create_run("1").info.run_id
    empty, begin = folder_bytes(folder), time.perf_counter()
    for first in range(0, CURVE_POINTS, 1000):
        points = [Metric("loss", noise.gauss(1, 0.1), 1, at) for at in range(first, first + 1000)]
        client.log_batch(run_id, metrics=points)
    found["batches, points/s"] = CURVE_POINTS / (time.perf_counter() - begin)
    found["bytes on disk a point"] = (folder_bytes(folder) - empty) / CURVE_POINTS
    plotted = f"{ADDRESS}/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={run_id}&metric_key=loss"
    full = f"{API}/metrics/get-history?run_id={run_id}&metric_key=loss&max_results=25000"
    found["curve of 20,000 for plotting, ms"] = median_milliseconds(lambda: fetch(f"{plotted}&max_results=320"), 3)
    found["curve of 20,000 for plotting, kB"] = len(fetch(f"{plotted}&max_results=320")) / 1e3
    found["full curve of 20,000, ms"] = median_milliseconds(lambda: fetch(full), 3)
    found["full curve of 20,000, kB"] = len(fetch(full)) / 1e3


def measure_grids(folder: Path, found: dict[str, float]) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    run_id = client.create_run("1").info.run_id
    taken = []
    for at in range(GRIDS):
        path = folder / f"{at}.png"
        path.write_bytes(random.randbytes(GRID_BYTES))
        begin = time.perf_counter()
        client.log_artifact(run_id, str(path))
        taken.append(time.perf_counter() - begin)
    found["grids/s"] = GRIDS / sum(taken)
    found["grid, caller's p99 ms"] = statistics.quantiles(taken, n=100)[98] * 1e3


def measure_list(found: dict[str, float]) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    for _ in range(RUNS):
        client.create_run("1")
    body = json.dumps({"experiment_ids": ["1"], "max_results": 100}).encode()
    found["first page of 200 runs, ms"] = median_milliseconds(lambda: fetch(f"{API}/runs/search", body), 5)
    found["first page of 200 runs, kB"] = len(fetch(f"{API}/runs/search", body)) / 1e3


if __name__ == "__main__":
    main()
