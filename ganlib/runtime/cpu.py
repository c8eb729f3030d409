"""The name and instruction sets of the CPU, and the number of threads that PyTorch starts with (no torch here)."""

import os
import platform
from functools import cache
from pathlib import Path


def thread_settings(processes: int = 1) -> dict[str, str]:
    """Return the OpenMP variables that a trainer starts with, where the environment does not set them itself.

    One core is left to whatever else runs: with two threads on two cores, an iteration beside busy neighbours took
    three times as long as with one (docs/explanation/benchmarks.md). Threads that wait must not spin, for the same
    reason.
    Sums are split by thread, so runs are the same to the last byte only with the same number of them.
    processes: how many share the cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, (cores - 1) // processes)),
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY") or "passive",
    }


def count_threads() -> int | None:
    """Return the number of threads that a trainer starts with; None where the environment names no number."""
    # OpenMP takes a list too, a number for each level of nesting.
    first = thread_settings()["OMP_NUM_THREADS"].split(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() and int(first) > 0 else None


def read_cpu_name() -> str:
    """Return the name of the CPU."""
    return _read_cpu_field("model name") or platform.processor() or platform.machine()


def read_cpu_flags() -> set[str]:
    """Return the instruction sets of the CPU, as Linux names them; empty on other systems."""
    return set(_read_cpu_field("flags").split())


@cache
def _read_cpu_field(field: str) -> str:
    """Return a field of /proc/cpuinfo, empty on systems without that file."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")
