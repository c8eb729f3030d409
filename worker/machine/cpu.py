"""How busy the processors and the memory of this machine are, as far as Linux tells."""

import os
from contextlib import suppress
from pathlib import Path

from api.workers.schemas import CpuState

KIB = 1024


class CpuMeter:
    """Measures the load since its last call."""

    def __init__(self) -> None:
        self._times = read_cpu_times()

    def measure(self) -> CpuState | None:
        """Return load and memory; None where Linux does not say them."""
        with suppress(OSError, ValueError, KeyError):
            memory = read_fields(Path("/proc/meminfo"))
            total = memory["MemTotal"] * KIB
            used = total - memory["MemAvailable"] * KIB
            # In a container the machine has more than this process may use.
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            return CpuState(
                cores=cores, memory_total=total, memory_used=max(0, used), utilisation=self._measure_load()
            )
        return None

    def _measure_load(self) -> float | None:
        before, self._times = self._times, read_cpu_times()
        if before is None or self._times is None:
            return None
        busy, total = (now - then for now, then in zip(self._times, before, strict=True))
        return min(1.0, max(0.0, busy / total)) if total > 0 else None


def read_cpu_times() -> tuple[int, int] | None:
    """Return the busy time and all time of all cores so far, in ticks; None where Linux does not say."""
    try:
        ticks = [
            int(part) for part in Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]
        ]
    except (OSError, ValueError):
        return None
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def read_fields(path: Path) -> dict[str, int]:
    """Return the fields of a file of /proc that have a number, in its unit (kB)."""
    rows = (line.partition(":") for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    return {name: int(parts[0]) for name, _, rest in rows if (parts := rest.split()) and parts[0].isdecimal()}
