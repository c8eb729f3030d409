"""How many threads PyTorch computes with, set through the environment before torch is imported (no torch here)."""

import os


def thread_settings(processes: int = 1) -> dict[str, str]:
    """Return the OpenMP variables that a trainer starts with, where the environment does not set them itself.

    One core is left to whatever else runs: with two threads on two cores, an iteration beside busy neighbours took
    three times as long as with one (docs/benchmarks.md). Threads that wait must not spin, for the same reason.
    Sums are split by thread, so runs are the same to the last byte only with the same number of them.
    processes: how many share the cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, (cores - 1) // processes)),
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY") or "passive",
    }
