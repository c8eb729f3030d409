"""MLflow's client against Ganvas, MLflow's own server and one that answers at once, in turns of a few calls each.

Run: python -m bench.service.mlflow_turns FOLDER --peers FOLDER [--turns 20]

The third server computes and stores nothing, so its row is the client's own share of a call: what no server can be
quicker than. Whatever else the machine does falls on all three alike: compare the columns, not two runs.
`--peers` as for `bench.service`.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.service.servers import Server

CALLS_A_TURN = 5
CALLS = ("log_metric", "log_metrics, five", "log_param", "set_tag", "log_image")
FLOOR_PORT = 18434
_RUN_ID = "a" * 32
_EXPERIMENT = {
    "experiment_id": "1",
    "name": "turns",
    "lifecycle_stage": "active",
    "artifact_location": "mlflow-artifacts:/1",
}
_RUN_INFO = {
    "run_id": _RUN_ID,
    "run_uuid": _RUN_ID,
    "run_name": "floor",
    "experiment_id": "1",
    "status": "RUNNING",
    "start_time": 1,
    "lifecycle_stage": "active",
    "artifact_uri": f"mlflow-artifacts:/1/{_RUN_ID}/artifacts",
}
_RUN = {"run": {"info": _RUN_INFO, "data": {}, "inputs": {}}}
# By the end of the path; every other answer is empty.
_ANSWERS = {
    b"/experiments/get-by-name": {"experiment": _EXPERIMENT},
    b"/experiments/get": {"experiment": _EXPERIMENT},
    b"/runs/create": _RUN,
    b"/runs/get": _RUN,
    b"/runs/update": {"run_info": _RUN_INFO},
}


def main() -> None:
    if sys.argv[1] == "--floor":
        asyncio.run(serve_floor(int(sys.argv[2])))
    elif sys.argv[1] == "--client":
        answer_turns(sys.argv[2])
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("folder", type=Path)
        parser.add_argument("--peers", type=Path, required=True)
        parser.add_argument("--turns", type=int, default=20)
        given = parser.parse_args()
        given.folder.mkdir(parents=True)
        load = os.getloadavg()[0]
        show(measure(given.folder, given.peers / "mlflow" / "bin" / "python", given.turns))
        print(f"load {load:.1f} at the beginning, {os.getloadavg()[0]:.1f} at the end")


def measure(folder: Path, python: Path, turns: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return by call and server: p50 in ms, and the processor's ms a call of the client and of the server."""
    from bench.service import mlflow_rows
    from bench.service.ganvas_rows import serve

    floor = [sys.executable, "-m", "bench.service.mlflow_turns", "--floor", str(FLOOR_PORT)]
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in CALLS}
    with ExitStack() as stack:
        servers = {
            "client alone": Server(floor, f"http://127.0.0.1:{FLOOR_PORT}/health", folder / "floor", {}),
            "ganvas": serve(folder / "ganvas"),
            "mlflow": mlflow_rows.serve(folder / "mlflow", python),
        }
        clients = {}
        for name, server in servers.items():
            stack.enter_context(server)
            address = server.url.removesuffix("/healthz").removesuffix("/health")
            clients[name] = stack.enter_context(start_client(python, address))
        for call in CALLS:
            taken: dict[str, list[float]] = {name: [] for name in servers}
            processor = {name: [0.0, 0.0] for name in servers}
            for turn in range(turns + 1):
                for name in list(servers)[turn % 3 :] + list(servers)[: turn % 3]:
                    before = servers[name].processor_seconds()
                    answer = ask(clients[name], call)
                    # The first turn opens connections and loads what a call needs.
                    if turn:
                        taken[name] += answer["taken"]
                        processor[name][0] += answer["processor"]
                        processor[name][1] += (servers[name].processor_seconds() - before) * 1e3
            for name, (of_client, of_server) in processor.items():
                count = len(taken[name])
                found[call][name] = {
                    "p50": statistics.median(taken[name]),
                    "client": of_client / count,
                    "server": of_server / count,
                }
    (folder / "turns.json").write_text(json.dumps(found, indent=1))
    return found


@contextmanager
def start_client(python: Path, address: str) -> Iterator["subprocess.Popen[str]"]:
    """Run MLflow's client in a process of its own, which calls when it is asked."""
    command = [str(python), "-m", "bench.service.mlflow_turns", "--client", address]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.communicate()


def ask(client: "subprocess.Popen[str]", call: str) -> dict[str, Any]:
    """Have the client make some calls; returns their times and its processor's, in ms."""
    if client.stdin is None or client.stdout is None:
        raise RuntimeError("the client has no pipes")
    client.stdin.write(call + "\n")
    client.stdin.flush()
    # Other lines are MLflow's own, with the address of the run.
    line = next(line for line in client.stdout if line.startswith("{"))
    answer: dict[str, Any] = json.loads(line)
    return answer


def answer_turns(address: str) -> None:
    """Make calls as they are asked for on standard input, until it ends. Runs in MLflow's environment."""
    import mlflow
    import numpy as np

    mlflow.set_tracking_uri(address)
    mlflow.set_experiment("turns")
    noise = np.random.default_rng(0)
    calls = {
        "log_metric": lambda at: mlflow.log_metric("loss", 1 / (at + 1), step=at),
        "log_metrics, five": lambda at: mlflow.log_metrics({f"m{k}": 1.0 for k in range(5)}, step=at),
        "log_param": lambda at: mlflow.log_param(f"p{at}", at),
        "set_tag": lambda at: mlflow.set_tag("tag", at),
        # Each is another picture, as a loop's are.
        "log_image": lambda at: mlflow.log_image(
            np.kron(noise.integers(0, 256, (8, 8, 3), "uint8"), np.ones((20, 20, 1), "uint8")),
            key="samples",
            step=at,
            synchronous=True,
        ),
    }
    done = 0
    with mlflow.start_run():
        for line in sys.stdin:
            call, taken, before = calls[line.rstrip("\n")], [], time.process_time()
            for at in range(done, done + CALLS_A_TURN):
                begin = time.perf_counter()
                call(at)
                taken.append((time.perf_counter() - begin) * 1e3)
            done += CALLS_A_TURN
            processor = (time.process_time() - before) * 1e3
            print(json.dumps({"taken": taken, "processor": processor}), flush=True)


async def serve_floor(port: int) -> None:
    """Answer every request at once with what MLflow's client needs to go on."""
    answers = {end: json.dumps(answer).encode() for end, answer in _ANSWERS.items()}

    class Connection(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._transport: Any = transport
            self._received = b""

        def data_received(self, data: bytes) -> None:
            self._received += data
            head, has_head, rest = self._received.partition(b"\r\n\r\n")
            _, has_length, length = head.lower().partition(b"content-length:")
            size = int(length.partition(b"\r")[0]) if has_length else 0
            if not has_head or len(rest) < size:
                return
            self._received = rest[size:]
            path = head.split(b" ", 2)[1].partition(b"?")[0]
            body = next((answer for end, answer in answers.items() if path.endswith(end)), b"{}")
            start = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            self._transport.write(start % len(body) + body)

    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port)
    await server.serve_forever()


def show(found: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print the table of docs/explanation/benchmarks.md."""
    print("| call | client alone | Ganvas | MLflow | | most possible | processor: client | Ganvas | MLflow |")
    print("| --- |" + " --- |" * 8)
    for call, rows in found.items():
        floor, ganvas, mlflow = (rows[name]["p50"] for name in ("client alone", "ganvas", "mlflow"))
        servers = (rows["ganvas"]["server"], rows["mlflow"]["server"])
        ratios = (mlflow / ganvas, mlflow / floor)
        shown = [floor, ganvas, mlflow, ratios[0], ratios[1], rows["ganvas"]["client"], *servers]
        print(f"| `{call}` | " + " | ".join(f"{number:.3g}" for number in shown) + " |")


if __name__ == "__main__":
    main()
