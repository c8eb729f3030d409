"""The cost of posts beside live streams: with none, and with 500 of which 400 are never read, in turns.

Run: python -m bench.service.streams FOLDER [--jobs 10] [--streams 500] [--stalled 400] [--turns 6] [--posts 200] …

Ten events (50 numbers) go to each job in turn, one post after the other, a fiftieth of a second apart. The streams
are spread over the jobs. Those that are read begin with what comes; the stalled ones begin with the job's whole
history, 1 MB of it, and read nothing: their buffers are full. FOLDER gets data and figures.
"""

import argparse
import asyncio
import itertools
import json
import multiprocessing
import os
import random
import socket
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

from bench.swarm.servers import Servers
from bench.swarm.wire import Wire
from bench.swarm.worker import SPEC

PAUSE_SECONDS = 0.02
HISTORY_BYTES = 1_000_000
BEAT_SECONDS = 10
SETTLE_SECONDS = 3.0
EVENTS, VALUES = 10, 5


class Poster:
    """Claimed jobs, and posts to each of them in turn."""

    def __init__(self, wire: Wire, token: str) -> None:
        self.jobs: list[str] = []
        self._wire, self._token = wire, token
        self._own: dict[str, str] = {}
        self._seq: dict[str, int] = {}
        self._random = random.Random(7)

    async def claim(self, jobs: int) -> None:
        """Submit so many jobs and claim them."""
        for _ in range(jobs):
            await self._wire.ask("submit", "POST", "/jobs", self._token, json.dumps(SPEC).encode())
            _, content = await self._wire.ask(
                "claim", "POST", "/workers/claim", self._token, b'{"worker":"bench"}'
            )
            claim = json.loads(content)
            self.jobs.append(claim["job_id"])
            self._own[claim["job_id"]], self._seq[claim["job_id"]] = claim["token"], 0

    async def post(self, job: str, events: int = EVENTS, values: int = VALUES) -> int:
        """Post a batch of metrics; returns its bytes."""
        seq = self._seq[job]
        lines = ",".join(self._line(seq + index, values) for index in range(events))
        body = f'{{"events":[{lines}]}}'.encode()
        status, _ = await self._wire.ask("post", "POST", f"/jobs/{job}/attempts/1/events", self._own[job], body)
        if status != 200:
            raise RuntimeError(f"a post was refused: {status}")
        self._seq[job] = seq + events
        return len(body)

    async def keep_jobs(self) -> None:
        """Renew the jobs' leases."""
        for job in self.jobs:
            await self._wire.ask("beat", "POST", f"/jobs/{job}/attempts/1/heartbeat", self._own[job])

    def _line(self, seq: int, values: int) -> str:
        numbers = ",".join(f'"loss/m{index}":{self._random.gauss(1, 0.1):.9g}' for index in range(values))
        event = f'{{"kind":"metrics_logged","iteration":{seq + 1},"values":{{{numbers}}}}}'
        return f'{{"seq":{seq},"at":"2026-01-01T00:00:00Z","event":{event}}}'


def hold_streams(port: int, token: str, paths: list[str], newest: str, ready: Event, ended: Event) -> None:
    """Open a stream for each path, in a process of its own; those that begin with `newest` are read."""
    asyncio.run(_hold_streams(port, token, paths, newest, ready, ended))


async def _hold_streams(port: int, token: str, paths: list[str], newest: str, ready: Event, ended: Event) -> None:
    loop, sockets, tasks = asyncio.get_running_loop(), list[socket.socket](), list[asyncio.Task[None]]()
    for path in paths:
        stream = socket.socket()
        # A small window and packets as on an Ethernet: loopback's own would let the kernel hold megabytes.
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1448)
        stream.setblocking(False)
        await loop.sock_connect(stream, ("127.0.0.1", port))
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
        await loop.sock_sendall(stream, head.encode())
        if b" 200 " not in await loop.sock_recv(stream, 64):
            raise RuntimeError("a stream was refused")
        sockets.append(stream)
        if path.endswith(newest):
            tasks.append(asyncio.create_task(_read(stream)))
    ready.set()
    await loop.run_in_executor(None, ended.wait)
    for task in tasks:
        task.cancel()
    for stream in sockets:
        stream.close()


async def _read(stream: socket.socket) -> None:
    while await asyncio.get_running_loop().sock_recv(stream, 65536):
        pass


@asynccontextmanager
async def streaming(servers: Servers, poster: Poster, given: argparse.Namespace) -> AsyncIterator[None]:
    """Hold the streams open until the block ends; the poster keeps its jobs meanwhile."""
    newest = f"?after={2**40}"
    paths = [f"/jobs/{poster.jobs[index % given.jobs]}/events" for index in range(given.streams)]
    paths = [path if index < given.stalled else path + newest for index, path in enumerate(paths)]
    context = multiprocessing.get_context("spawn")
    ready, ended = context.Event(), context.Event()
    process = context.Process(
        target=hold_streams, args=(servers.ports[0], servers.token, paths, newest, ready, ended)
    )
    process.start()
    try:
        while not await asyncio.to_thread(ready.wait, BEAT_SECONDS):
            if not process.is_alive():
                raise RuntimeError("the streams could not be opened")
            await poster.keep_jobs()
        yield
    finally:
        ended.set()
        process.join()


async def wait_for_stall(port: int, stalled: int, poster: Poster) -> None:
    """Wait until so many streams have unread bytes, and none gets any more."""
    before: list[int] = []
    while len(before) < stalled or before != _waiting_bytes(port):
        before = _waiting_bytes(port)
        await poster.keep_jobs()
        await asyncio.sleep(SETTLE_SECONDS)


def _waiting_bytes(port: int) -> list[int]:
    """Return what the kernel holds for each connection of a server that has not taken it."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    waiting = [int(row[4].split(":")[0], 16) for row in rows if int(row[1].split(":")[1], 16) == port]
    return sorted(size for size in waiting if size)


async def measure(poster: Poster, posts: int) -> list[float]:
    """Return the milliseconds of so many posts."""
    taken = []
    for turn in range(posts):
        begin = time.perf_counter()
        await poster.post(poster.jobs[turn % len(poster.jobs)])
        taken.append((time.perf_counter() - begin) * 1e3)
        await asyncio.sleep(PAUSE_SECONDS)
    return taken


async def run(servers: Servers, given: argparse.Namespace) -> dict[str, list[list[float]]]:
    """Take turns without and with streams; returns the milliseconds of each turn's posts."""
    poster = Poster(Wire("127.0.0.1", servers.ports[0]), servers.token)
    await poster.claim(given.jobs)
    written = 0
    while written < HISTORY_BYTES:
        for job in poster.jobs:
            latest = await poster.post(job, events=50, values=10)
        written += latest
    turns: dict[str, list[list[float]]] = {"without": [], "with": []}
    await measure(poster, given.posts)
    for _ in range(given.turns):
        turns["without"].append(await measure(poster, given.posts))
        async with streaming(servers, poster, given):
            await wait_for_stall(servers.ports[0], given.stalled, poster)
            turns["with"].append(await measure(poster, given.posts))
        await asyncio.sleep(SETTLE_SECONDS)
    return turns


def show(turns: dict[str, list[list[float]]]) -> None:
    """Print both ways beside each other, and their ratios."""
    middles = {name: [statistics.median(turn) for turn in kind] for name, kind in turns.items()}
    slow = {name: statistics.quantiles(itertools.chain(*kind), n=100)[98] for name, kind in turns.items()}
    each = {name: [statistics.quantiles(turn, n=100)[98] for turn in kind] for name, kind in turns.items()}
    for name in turns:
        median = statistics.median(middles[name])
        print(f"{name:8} p50 {median:7.2f} ms   p99 {slow[name]:7.2f} ms   p99 of each turn {each[name]}")
    ratios = [statistics.median(found["with"]) / statistics.median(found["without"]) for found in (middles, each)]
    print(f"with to without: median of p50 {ratios[0]:.2f}, median of p99 {ratios[1]:.2f}, p99 of all ", end="")
    print(f"{slow['with'] / slow['without']:.2f}; load {os.getloadavg()[0]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name, value in (("jobs", 10), ("streams", 500), ("stalled", 400), ("turns", 6), ("posts", 200)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL and Redis in the place of SQLite")
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    with Servers(given.folder, with_sqlite=not given.postgres) as servers:
        turns = asyncio.run(run(servers, given))
    (given.folder / "streams.json").write_text(json.dumps(turns))
    show(turns)


if __name__ == "__main__":
    main()
