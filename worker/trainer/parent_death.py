"""Ends this process when its parent dies, by any cause (Linux)."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int, number: signal.Signals) -> None:
    """Have the kernel send this signal when the thread that started this process ends; does nothing elsewhere.

    parent: process id of the process that started this one. The setting outlives an exec.
    """
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    # The parent may have died before the call above; then no signal comes.
    if os.getppid() != parent:
        sys.exit("The process that started this one is gone.")
