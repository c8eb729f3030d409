"""Real processes under fire: a service that can be killed in a moment, workers, and a wire that can be cut."""

import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.support.processes import Forked, start
from tests.support.servers import DATABASE_NAME, read_migrated

# No certificates to load for each question, and no connection that outlives a service.
_http = httpx.Client(verify=False, limits=httpx.Limits(max_keepalive_connections=0))  # noqa: S501 (plain HTTP alone)
# Far more than anything here takes; only a defect reaches it.
PATIENCE_SECONDS = 600.0
Value = TypeVar("Value")


def get(url: str, timeout: float = 60, **options: Any) -> httpx.Response:
    """Ask a service of this machine, on a connection of its own."""
    return _http.get(url, timeout=timeout, **options)


def wait_until(condition: Callable[[], Value], every_seconds: float = 0.02) -> Value:
    """Return a condition's first true value; what takes long is asked about less and less often."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, "this never came true"
        time.sleep(every_seconds)
        every_seconds = max(every_seconds, min(every_seconds * 1.1, 0.2))
    return value


def is_alive(pid: int) -> bool:
    """Say whether this process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def find_quiet_port() -> int:
    """Find a free port below those that the kernel gives to connections: nobody gets it while a server is down."""
    while True:
        port = random.randint(20_000, 30_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Starter:
    """Starts services and migrators: forks with no setting of the product but what they are given."""

    def __init__(self, log_dir: Path) -> None:
        self._log_path = log_dir / "services.log"
        self._processes: list[Forked] = []
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("GANVAS_") or name == "GANVAS_DATA"
        }

    def start(
        self,
        module: str,
        *arguments: object,
        environment: dict[str, str] | None = None,
        tampering: Sequence[str] = (),
    ) -> int:
        """Start a process; returns its id."""
        with self._log_path.open("ab") as log:
            process = Forked(
                module,
                arguments,
                env=self._environment | (environment or {}),
                stdout=log,
                leads=True,
                tampering=tampering,
            )
        self._processes.append(process)
        return process.pid

    def close(self) -> None:
        """End what still runs."""
        for process in self._processes:
            process.kill()
            process.wait(PATIENCE_SECONDS)


class Service:
    """`ganvas up --no-worker` at one address, however often it dies."""

    def __init__(self, starter: Starter, home: Path, **settings: object) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.port = find_quiet_port()
        self.home = home
        self.url = f"http://127.0.0.1:{self.port}"
        self._starter = starter
        # Names in capitals are another library's.
        named = {name if name.isupper() else f"GANVAS_{name.upper()}": value for name, value in settings.items()}
        self._environment = {name: str(value) for name, value in named.items()}
        self._environment.setdefault("GANVAS_REAP_EVERY_SECONDS", "0.1")
        self._pid: int | None = None
        if "GANVAS_DATABASE_URL" not in self._environment and not (home / DATABASE_NAME).exists():
            (home / DATABASE_NAME).write_bytes(read_migrated())

    def start(self, *tampering: str) -> None:
        """Start it and wait until it answers."""
        arguments = ("up", "--no-worker", "--port", self.port, "--data-dir", self.home)
        pid = self._pid = self._starter.start(
            "ganvas", *arguments, environment=self._environment, tampering=tampering
        )
        wait_until(lambda: self._answers(pid))

    def kill(self) -> None:
        """Kill it outright, wherever it is."""
        if self._pid is not None:
            if is_alive(self._pid):
                os.kill(self._pid, signal.SIGKILL)
            self.wait_for_end()

    def wait_for_end(self) -> None:
        """Wait until it is gone."""
        pid, self._pid = self._pid, None
        assert pid is not None
        # Not only its first thread: until the last one has ended, the kernel keeps its locks.
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), 0.002)

    def _answers(self, pid: int) -> bool:
        assert is_alive(pid), "the service ended at its start"
        try:
            return get(f"{self.url}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False


class Worker:
    """`python -m worker`, in a session of its own."""

    def __init__(
        self, url: str, home: Path, name: str = "worker", broker_url: str = "", **settings: object
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.log_path = home / f"{name}.log"
        names = {"URL": url, "HOME": home, "WORKER_NAME": name, "BROKER_URL": broker_url}
        names |= {key.upper(): value for key, value in settings.items()}
        environment = {f"GANVAS_{key}": str(value) for key, value in names.items()}
        with self.log_path.open("ab") as log:
            self.process = start("worker", env={**os.environ, **environment}, stdout=log, leads=True)

    def send(self, number: signal.Signals, *, to_group: bool = False) -> None:
        """Send a signal to the worker alone, or to its whole group."""
        (os.killpg if to_group else os.kill)(self.process.pid, number)

    def kill(self) -> None:
        """Kill it outright."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def wait(self) -> int:
        """Wait for its end; returns the exit status."""
        return self.process.wait(PATIENCE_SECONDS)


class Wire:
    """Forwards TCP to a port of this machine until it is cut: then nothing passes, and nobody is told.

    Of several ports, connections go to each in turn, past those where nobody listens.
    """

    def __init__(self, *ports: int) -> None:
        self._ports = list(ports)
        self._passes = threading.Event()
        self._passes.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def cut(self) -> None:
        """Hold back every byte."""
        self._passes.clear()

    def mend(self) -> None:
        """Let everything pass again, also what was held back."""
        self._passes.set()

    def close(self) -> None:
        """Accept no more, and end every connection."""
        self.mend()
        for end in (self._listener, *self._ends):
            # Closing alone would leave a thread asleep that waits for it.
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for end in (self._listener, *self._ends):
            end.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._passes.wait()
            far = self._connect()
            if far is None:
                near.close()
                continue
            self._ends += [near, far]
            self._start(self._forward, near, far)
            self._start(self._forward, far, near)

    def _connect(self) -> socket.socket | None:
        self._ports.append(self._ports.pop(0))
        for port in self._ports:
            with suppress(OSError):
                return socket.create_connection(("127.0.0.1", port))
        return None

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._passes.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, target):
                end.close()
