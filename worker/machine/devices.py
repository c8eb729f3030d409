"""Finds the devices that a trainer can use and the free space on disk, without loading torch."""

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Literal

from api.workers.schemas import GpuState
from ganlib.runtime.cpu import read_cpu_name

MIB = 1_048_576
# With less, a worker claims no job: its first files would find no room.
LEAST_FREE_BYTES = 16 * MIB


def list_devices() -> list[Literal["cpu", "cuda"]]:
    """List the kinds of device that a trainer started here would see, as CUDA_VISIBLE_DEVICES allows."""
    return ["cpu", "cuda"] if _read_gpu_names() and not _gpus_are_hidden() else ["cpu"]


def describe_device() -> str:
    """Return the name of the GPU that a trainer would use, else the CPU's."""
    names = [] if _gpus_are_hidden() else _read_gpu_names()
    if not names:
        return read_cpu_name()[:200]
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    index = int(first) if first.isdecimal() else 0
    return names[index if index < len(names) else 0][:200]


def count_gpus() -> int:
    """Count the GPUs that a trainer started here would see, as CUDA_VISIBLE_DEVICES allows."""
    if _gpus_are_hidden():
        return 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return len(visible.split(",")) if visible and _read_gpu_names() else len(_read_gpu_names())


def read_gpu_states() -> list[GpuState]:
    """Return memory and load of the GPUs that a trainer started here would see."""
    if _gpus_are_hidden() or not _read_gpu_names():
        return []
    fields = "index,name,memory.total,memory.used,utilization.gpu,uuid"
    lines = _ask_nvidia_smi(fields, "csv,noheader,nounits")
    rows = [[cell.strip() for cell in line.split(",")] for line in lines]
    return [_gpu_state(row[:5]) for row in rows if len(row) == 6 and _is_visible(index=row[0], uuid=row[5])]


def _is_visible(index: str, uuid: str) -> bool:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [part.strip() for part in visible.split(",")] if visible else []
    # A GPU is named by its number or by a prefix of its id; parts of GPUs (MIG) have ids of their own.
    return not names or any(
        index == name or (name.startswith("GPU-") and uuid.startswith(name)) or name.startswith("MIG-")
        for name in names
    )


def _gpu_state(cells: list[str]) -> GpuState:
    index, name, total, used, load = cells
    return GpuState(
        index=int(index),
        name=name[:200],
        memory_total=int(total) * MIB if total.isdecimal() else 0,
        memory_used=int(used) * MIB if used.isdecimal() else 0,
        # Not reported for GPUs that are split (MIG).
        utilisation=int(load) / 100 if load.isdecimal() else None,
    )


def _gpus_are_hidden() -> bool:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible is not None and visible.strip() in ("", "-1", "none", "NoDevFiles")


@cache
def _read_gpu_names() -> tuple[str, ...]:
    # Cached: nvidia-smi can take a second, and GPUs do not come and go.
    return tuple(_ask_nvidia_smi("name", "csv,noheader"))


def _ask_nvidia_smi(fields: str, form: str) -> list[str]:
    """Return one line for each GPU, none without nvidia-smi or its driver."""
    command = ["nvidia-smi", f"--query-gpu={fields}", f"--format={form}"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.decode(errors="replace").splitlines() if line.strip()]


def describe_shortage(folder: Path) -> str:
    """Return why a worker that writes below this folder takes no job, in words; nothing where there is room."""
    free = free_bytes(folder)
    if free >= LEAST_FREE_BYTES:
        return ""
    return (
        f"takes no run: {free / MIB:.1f} MiB are free on the disk of {folder}, it needs {LEAST_FREE_BYTES // MIB}"
    )


def free_bytes(folder: Path) -> int:
    """Return the free bytes on the disk of a folder, which need not exist yet."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    disk = os.statvfs(existing)
    return disk.f_bavail * disk.f_frsize
