"""The service's memory against the limit that its container has: many readers, strangers, uploads and idle crowds.

Run: python -m bench.service.memory FOLDER [--points 1200000] [--readers 12] [--strangers 400] [--idle 600]
     [--uploads 24] [--limit-mb 1024] [--under "systemd-run --scope -p MemoryMax=1G"]

One real `ganvas up --no-worker` gets, one crowd after the other: readers that fetch a job's whole curves at once,
as JSON and then as columns; strangers that each send a megabyte to /healthz; uploads of 64 MB files at once; and
silent connections, beside which a worker's heartbeats are timed. Printed are the peak of resident memory meanwhile
(VmHWM, which is reset in between) and what was answered. The exit status is 1 if a peak is above the limit.
`--under` runs the service under a limit that the kernel enforces. FOLDER gets the data.
"""

import argparse
import hashlib
import shlex
import socket
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from bench.service.servers import Server
from bench.swarm.worker import SPEC

AT = "2026-01-02T03:04:05Z"
BATCH = 10_000
UPLOAD_BYTES = 64 * 1_048_576
BEATS = 100
TIMEOUT = 300.0


class Crowd:
    """Measures the service while a crowd is there."""

    def __init__(self, server: Server, limit_mb: float) -> None:
        self._pid = find_service(server.pid)
        self._limit_mb = limit_mb
        self.is_within = True

    def measure(self, name: str, act: Callable[[], str]) -> None:
        """Print what `act` returns, its time, and the peak of memory meanwhile."""
        Path(f"/proc/{self._pid}/clear_refs").write_text("5")
        before, begin = self._read("VmRSS"), time.perf_counter()
        said = act()
        peak = self._read("VmHWM")
        self.is_within &= peak <= self._limit_mb
        print(
            f"{name:<28} {before:6.0f} → {peak:6.0f} MB  {time.perf_counter() - begin:6.1f} s  {said}", flush=True
        )

    def _read(self, name: str) -> float:
        lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) / 1000


def find_service(pid: int) -> int:
    """Return the process that is the service: this one, or its child where it runs under something."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    is_service = b"ganvas" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[2:3]
    return pid if is_service or not children else find_service(int(children[0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--points", type=int, default=1_200_000)
    parser.add_argument("--readers", type=int, default=12)
    parser.add_argument("--strangers", type=int, default=400)
    parser.add_argument("--idle", type=int, default=600)
    parser.add_argument("--uploads", type=int, default=24)
    parser.add_argument("--limit-mb", type=float, default=1024.0)
    parser.add_argument("--under", default="")
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "ganvas", "up", "--no-worker", "--port", str(port)]
    # The attempt lives as long as the crowds.
    environment = {"GANVAS_HOME": str(given.folder / "home"), "GANVAS_LEASE_SECONDS": "3600"}
    with Server([*shlex.split(given.under), *command], f"{url}/healthz", given.folder, environment) as server:
        job, token = fill(url, given.points)
        crowd = Crowd(server, given.limit_mb)
        path = f"/jobs/{job}/metrics"
        crowd.measure(f"{given.readers} readers, JSON", lambda: read_at_once(url, path, given.readers))
        columns = f"{path}?form=binary"
        crowd.measure(f"{given.readers} readers, columns", lambda: read_at_once(url, columns, given.readers))
        crowd.measure(f"{given.strangers} strangers' bodies", lambda: send_bodies(port, given.strangers))
        crowd.measure(f"{given.uploads} uploads", lambda: upload(url, token, given.uploads))
        crowd.measure(f"{given.idle} silent connections", lambda: beat_beside(url, job, token, given.idle))
    if not crowd.is_within:
        print(f"above the limit of {given.limit_mb:g} MB")
        sys.exit(1)


def fill(url: str, points: int) -> tuple[str, str]:
    """Record so many points of three metrics together; return the job and its attempt's token."""
    with httpx.Client(base_url=url, timeout=TIMEOUT) as client:
        spec = {**SPEC, "iterations": 1_000_000}
        client.post("/jobs", json=spec).raise_for_status()
        claim = client.post("/workers/claim", json={"worker": "bench"}).json()
        path = f"/jobs/{claim['job_id']}/attempts/{claim['attempt']}/events"
        names = ("loss/generator", "loss/discriminator", "speed/iterations_per_second")
        step = BATCH // len(names) // 2
        for first in range(0, points // len(names), step):
            events = [
                {
                    "seq": at,
                    "at": AT,
                    "event": {
                        "kind": "metrics_logged",
                        "iteration": at,
                        "values": dict.fromkeys(names, at * 7919 % 10007 / 10007),
                    },
                }
                for at in range(first, first + step)
            ]
            client.post(path, json={"events": events}).raise_for_status()
    return str(claim["job_id"]), str(claim["token"])


def read_at_once(url: str, path: str, readers: int) -> str:
    """Fetch an address in so many threads; those that are told to come again do."""

    def read(_: int) -> str:
        with httpx.Client(base_url=url, timeout=TIMEOUT) as client:
            for _ in range(60):
                with client.stream("GET", path) as answer:
                    size = sum(map(len, answer.iter_raw()))
                if answer.status_code != 429:
                    return f"{answer.status_code} ({size / 1e6:.0f} MB)"
                time.sleep(float(answer.headers["retry-after"]))
        return "429"

    return count(run_at_once(read, readers))


def send_bodies(port: int, strangers: int) -> str:
    """Send a megabyte to an address that has no body, from so many connections at once."""
    head = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n"

    def send(_: int) -> str:
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
            try:
                connection.sendall(head)
                connection.sendall(b"x" * 1_000_000)
                return connection.recv(65_536)[9:12].decode() or "closed"
            except OSError:
                return "closed"

    return count(run_at_once(send, strangers))


def upload(url: str, token: str, uploads: int) -> str:
    """Put so many different files at once."""

    def put(number: int) -> str:
        piece = number.to_bytes(8, "big") * 131_072
        sha256 = hashlib.sha256(piece * (UPLOAD_BYTES // len(piece))).hexdigest()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"}
        for _ in range(60):
            pieces = (piece for _ in range(UPLOAD_BYTES // len(piece)))
            answer = httpx.put(f"{url}/artifacts/{sha256}", content=pieces, headers=headers, timeout=TIMEOUT)
            if answer.status_code != 429:
                break
            time.sleep(2)
        return str(answer.status_code)

    return count(run_at_once(put, uploads))


def beat_beside(url: str, job: str, token: str, idle: int) -> str:
    """Open silent connections and time heartbeats beside them, each on a connection of its own."""
    parts = urlsplit(url)
    address = (str(parts.hostname), int(parts.port or 80))
    silent = [socket.create_connection(address) for _ in range(idle)]
    seconds = []
    headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
    with httpx.Client(base_url=url, headers=headers, timeout=30) as worker:
        for _ in range(BEATS):
            begin = time.perf_counter()
            worker.post(f"/jobs/{job}/attempts/1/heartbeat").raise_for_status()
            seconds.append(time.perf_counter() - begin)
    for connection in silent:
        connection.close()
    return f"{BEATS} heartbeats, median {1000 * statistics.median(seconds):.0f}, most {1000 * max(seconds):.0f} ms"


def run_at_once(act: Callable[[int], str], times: int) -> list[str]:
    """Begin in all threads in the same moment."""
    ready = threading.Barrier(times)

    def begin(number: int) -> str:
        ready.wait()
        return act(number)

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(begin, range(times)))


def count(answers: list[str]) -> str:
    """Return each kind of answer and how often it came."""
    return ", ".join(f"{times} × {answer}" for answer, times in Counter(answers).most_common())


if __name__ == "__main__":
    main()
