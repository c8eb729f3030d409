"""Which devices this worker can train on, found out without loading torch."""

import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Literal


def list_devices() -> list[Literal["cpu", "cuda"]]:
    """List the kinds of device that a trainer started here would see; CUDA_VISIBLE_DEVICES is respected."""
    return ["cpu", "cuda"] if _read_gpu_names() and not _gpus_are_hidden() else ["cpu"]


def describe_device() -> str:
    """Return the name of the GPU that a trainer would use, else the CPU's."""
    names = [] if _gpus_are_hidden() else _read_gpu_names()
    if not names:
        return _read_cpu_name()[:200]
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    index = int(first) if first.isdecimal() else 0
    return names[index if index < len(names) else 0][:200]


def _gpus_are_hidden() -> bool:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible is not None and visible.strip() in ("", "-1", "none", "NoDevFiles")


@cache
def _read_gpu_names() -> tuple[str, ...]:
    # Asked once: nvidia-smi can take a second, and cards do not come and go.
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in done.stdout.decode(errors="replace").splitlines() if line.strip())


@cache
def _read_cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
