"""Service and worker on one machine: `ganvas up` runs the service itself and keeps a worker as its child.

On Ctrl-C or SIGTERM the worker stops first, while the service still answers, so that its trainer's checkpoint and
last events arrive; then the service stops. A second one does not wait for the checkpoint, a third one kills;
however many come, nothing that this process started outlives it. A worker that dies is started again.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from filelock import FileLock, Timeout

from api.server.files import make_private
from ganvas.address import forget_service_url, read_service_url

WORKER_STOP_SECONDS = 60.0
RESTART_SECONDS = 2.0
MAX_LOG_BYTES = 10_000_000
INTERRUPTED_STATUS = 128 + signal.SIGINT
# Of mallopt(3).
_M_ARENA_MAX = -8


class HomeInUse(Exception):
    """Another Ganvas has locked this folder; `url` is its address, if known."""

    def __init__(self, home: Path, url: str | None) -> None:
        self.url = url
        super().__init__(f"Another Ganvas uses {home}" + (f" and answers at {url}." if url else "."))


@contextlib.contextmanager
def hold_home(home: Path) -> Iterator[None]:
    """Lock the state folder for this process; raises HomeInUse. The kernel drops it when the process ends."""
    make_private(home)
    try:
        lock = FileLock(home / "lock").acquire(blocking=False)
    except Timeout:
        raise HomeInUse(home, read_service_url(home)) from None
    with lock:
        try:
            yield
        finally:
            forget_service_url(home)


def share_one_heap() -> None:
    """Have all threads allocate from one heap, if the C library is glibc and MALLOC_ARENA_MAX does not say else.

    By default each thread has its own, which keeps what the largest of its answers took. Python lets one thread
    compute at a time, so they hardly wait for each other.
    """
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        # Another C library has no such function.
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def open_log(home: Path, name: str) -> Any:
    """Open a log for appending; one larger than 10 MB is renamed to `.log.1` first."""
    folder = home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.log"
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(folder / f"{name}.log.1")
    return path.open("ab")


class WorkerKeeper:
    """Keeps one worker process running until `stop`."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self._home = home
        self._environment = environment
        self._stopping = threading.Event()
        self._is_interrupted = False
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name="worker-keeper", daemon=True)

    def start(self) -> None:
        """Start the worker, and start it again whenever it dies."""
        self._thread.start()

    def interrupt(self, number: signal.Signals) -> None:
        """Send the worker a signal; takes no lock, so a signal handler may call it. No other worker is started.

        SIGINT after SIGTERM: it kills its trainer and ends. SIGKILL: both are gone at once.
        """
        self._is_interrupted = True
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)

    def stop(self) -> None:
        """End the worker: its trainer writes a checkpoint and the job goes back to the queue."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(WORKER_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                if self._stopping.is_set() or self._is_interrupted:
                    return
                self._process = self._spawn()
            self._process.wait()
            self._stopping.wait(RESTART_SECONDS)

    def _spawn(self) -> subprocess.Popen[bytes]:
        # In a session of its own: Ctrl-C in the terminal must reach the service first, which then ends the worker.
        with open_log(self._home, "worker") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "ganvas", "worker"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


class LocalServer(uvicorn.Server):
    """uvicorn that calls `on_ready` when it answers, and `on_stop` before it stops answering.

    on_hurry: called in the signal handler with what to send the worker at the second and each later signal.
    signal_count: how many signals came.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        on_ready: Callable[[int], None],
        on_stop: Callable[[], None],
        on_hurry: Callable[[signal.Signals], None] = lambda _: None,
    ) -> None:
        super().__init__(config)
        self.signal_count = 0
        self._on_ready = on_ready
        self._on_stop = on_stop
        self._on_hurry = on_hurry

    async def startup(self, sockets: Any = None) -> None:
        """Bind, then call `on_ready` with the port (the chosen one for port 0)."""
        await super().startup(sockets=sockets)
        if self.started and not self.should_exit:
            self._on_ready(self.servers[0].sockets[0].getsockname()[1])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals from now to the end of this process.

        uvicorn would give them back to Python at the end, where one more would break off the stop of the worker.
        """
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self.handle_exit)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in order at the first signal, without a checkpoint at the second, at once at the third."""
        self.signal_count += 1
        if self.signal_count == 1:
            threading.Thread(target=self._stop_in_order, name="stopper", daemon=True).start()
            return
        self._on_hurry(signal.SIGINT if self.signal_count == 2 else signal.SIGKILL)
        if self.signal_count > 2:
            self.should_exit = self.force_exit = True
        if self.signal_count > 3:
            # A thread that hangs would hold up the end of this process.
            os._exit(INTERRUPTED_STATUS)

    def _stop_in_order(self) -> None:
        try:
            self._on_stop()
        finally:
            self.should_exit = True
