"""Starts and stops trainer processes, for the supervisor; `worker.trainer.process` is what runs in them."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

from ganlib.runtime.cpu import thread_settings
from worker.attempt.run_dir import RunDir

# The trainer has no connection to the service, so it gets no secret.
_WITHHELD = ("GANVAS_TOKEN", "GANVAS_DATABASE_URL", "GANVAS_BROKER_URL")


# Process ids of trainers that run: what a worker that has to end at once takes along.
_running: set[int] = set()


class LaunchedTrainer:
    """A trainer process in a session of its own, so that Ctrl-C in a terminal does not reach it.

    Launch it from a thread that outlives it (the main thread): the kernel kills the trainer when the thread that
    started it ends.
    """

    def __init__(self, run_dir: RunDir, spool_max_bytes: int = sys.maxsize) -> None:
        processes = count_processes(run_dir)
        module = "worker.trainer.torchrun" if processes > 1 else "worker.trainer.process"
        command = [sys.executable, "-m", module, str(run_dir.path), "--parent", str(os.getpid())]
        command += ["--spool-max-bytes", str(spool_max_bytes)]
        command += ["--processes", str(processes)] if processes > 1 else []
        with run_dir.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=_trainer_environment(processes),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _running.add(self._process.pid)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def find_status(self) -> int | None:
        """Return the exit status (negative for a signal), or None while it runs."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Ask the trainer to write a checkpoint and end."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> int:
        """Kill the trainer and all that it started; returns the exit status."""
        if self._process.poll() is None:
            # It leads its own session, and so its own process group.
            os.killpg(self._process.pid, signal.SIGKILL)
        status = self._process.wait()
        _running.discard(self._process.pid)
        return status


def kill_trainers() -> None:
    """Kill every trainer of this process without waiting; takes no lock, so a signal handler may call it."""
    for pid in tuple(_running):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def count_processes(run_dir: RunDir) -> int:
    """Return the number of processes that share the run: one for each GPU that the spec asks for."""
    try:
        queue = json.loads(run_dir.spec_path.read_text(encoding="utf-8")).get("queue") or {}
        return int(queue.get("gpus") or 1)
    except (OSError, ValueError, TypeError, AttributeError):
        # The trainer reports what is wrong with its spec.
        return 1


def _trainer_environment(processes: int = 1) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in _WITHHELD}
    environment.setdefault("PYTHONFAULTHANDLER", "1")
    # CUDA then numbers GPUs as nvidia-smi does, and so as the worker reports them.
    environment.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    environment["PYTHONUNBUFFERED"] = "1"
    return environment | thread_settings(processes)
