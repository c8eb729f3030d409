"""Runs a server as a process of its own and measures its start, memory and answers."""

import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import URLError
from urllib.request import Request, urlopen

# MLflow takes most of a minute on an idle machine, and many on a busy one.
START_SECONDS = 1200.0


class Server:
    """Runs `command` until the block ends; `seconds` is the time until it answered at `url`."""

    def __init__(self, command: Sequence[str], url: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.url = url
        self.seconds = 0.0
        self._command = command
        self._folder = folder
        # Bytecode is kept after the first start, as an installed program's is.
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._environment = {**kept, **environment}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        begin = time.perf_counter()
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        while not _answers(self.url):
            if self._process.poll() is not None or time.perf_counter() - begin > START_SECONDS:
                raise RuntimeError(f"no answer at {self.url}; see {self._folder / 'server.log'}")
            time.sleep(0.01)
        self.seconds = time.perf_counter() - begin
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    @property
    def pid(self) -> int:
        """The id of its first process."""
        return self._process.pid

    def memory(self) -> tuple[float, float, int]:
        """Return megabytes that are this server's own share (PSS), those resident (RSS), and processes."""
        pids = _family(self._process.pid)
        return sum(_read_mb(pid, "Pss") for pid in pids), sum(_read_mb(pid, "Rss") for pid in pids), len(pids)

    def processor_seconds(self) -> float:
        """Return the processor time that all its processes have taken."""
        ticks = os.sysconf("SC_CLK_TCK")
        stats = (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in _family(self._process.pid)
        )
        return sum(int(stat[11]) + int(stat[12]) for stat in stats) / ticks


def fetch(url: str, data: bytes | None = None, headers: Mapping[str, str] | None = None) -> bytes:
    """Return an answer as it came over the wire, compressed where the server does that."""
    given = {
        "Accept-Encoding": "gzip",
        **({"Content-Type": "application/json"} if data else {}),
        **(headers or {}),
    }
    with urlopen(Request(url, data, given), timeout=300) as response:  # noqa: S310 - an address of our own
        body: bytes = response.read()
    return body


def median_milliseconds(action: Callable[[], object], times: int = 9) -> float:
    """Return the median time of an action that was done once before."""
    action()
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) * 1e3


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder, as they lie on disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def _answers(url: str) -> bool:
    try:
        fetch(url)
    except (URLError, OSError):
        return False
    return True


def _family(pid: int) -> list[int]:
    """Return the processes of a session."""
    pids = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == pid:
            pids.append(int(path.parent.name))
    return pids


def _read_mb(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024
