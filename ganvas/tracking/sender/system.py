"""Samples how busy the machine is, with what Linux tells and nvidia-smi, if there is one."""

import os
from contextlib import suppress
from pathlib import Path

from ganlib.vocabulary import CPU, GPU, GPU_MEMORY, MEMORY, PROCESS_MEMORY
from worker.machine.cpu import read_cpu_times, read_fields
from worker.machine.devices import read_gpu_states

_GIB = 1024**3


class SystemSampler:
    """Samples the machine and one process of it. What cannot be read is left out."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._cpu_times = read_cpu_times()

    def sample(self) -> dict[str, float]:
        """Return the metrics by their names; the CPU's since the last call."""
        values: dict[str, float] = {}
        with suppress(OSError, ValueError, IndexError):
            values |= self._measure_cpu()
        with suppress(OSError, ValueError, KeyError, ZeroDivisionError):
            memory = read_fields(Path("/proc/meminfo"))
            values[MEMORY.name] = 100 * (1 - memory["MemAvailable"] / memory["MemTotal"])
        with suppress(OSError, ValueError, KeyError):
            values[PROCESS_MEMORY.name] = read_fields(Path(f"/proc/{self._pid}/status"))["VmRSS"] * 1024 / _GIB
        for gpu in read_gpu_states():
            if gpu.utilisation is not None:
                values[GPU.member(gpu.index).name] = 100 * gpu.utilisation
            values[GPU_MEMORY.member(gpu.index).name] = gpu.memory_used / _GIB
        return {name: round(value, 3) for name, value in values.items()}

    def _measure_cpu(self) -> dict[str, float]:
        before, self._cpu_times = self._cpu_times, read_cpu_times()
        if before is None or self._cpu_times is None:
            return {CPU.name: min(100.0, 100 * os.getloadavg()[0] / (os.cpu_count() or 1))}
        busy, total = (now - then for now, then in zip(self._cpu_times, before, strict=True))
        return {CPU.name: 100 * busy / total} if total > 0 else {}


def count_kernel_kills() -> int:
    """Return how often the kernel ended a process of this control group because memory ran out."""
    with suppress(OSError, ValueError, IndexError):
        group = Path("/proc/self/cgroup").read_text(encoding="utf-8").strip().rpartition("::")[2]
        text = (Path("/sys/fs/cgroup") / group.lstrip("/") / "memory.events").read_text(encoding="utf-8")
        return int(dict(line.split() for line in text.splitlines()).get("oom_kill", 0))
    return 0
