"""Runs one attempt in N trainers: `python -m worker.trainer.torchrun RUN_DIR --parent PID --processes N`.

It ends by the signal that ended one of the trainers, or with the status of the one that failed first. SIGTERM is
passed on to all of them. They die with this process, and this process with its supervisor.
"""

import argparse
import os
import signal
import sys
from collections.abc import Iterable

from worker.trainer.parent_death import end_with_parent


def main(arguments: list[str]) -> int:
    """Run the trainers to their end; returns the exit status."""
    parser = argparse.ArgumentParser(prog="worker.trainer.torchrun", description=__doc__)
    parser.add_argument("run_dir")
    parser.add_argument("--parent", type=int, required=True, help="end when this process does")
    parser.add_argument("--processes", type=int, required=True, help="number of processes that share the run")
    options, others = parser.parse_known_args(arguments)
    end_with_parent(options.parent, signal.SIGKILL)
    # Imported here: a supervisor that dies during this slow import must end this process too.
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    trainer = ["-m", "worker.trainer.process", options.run_dir, "--parent", str(os.getpid()), *others]
    try:
        options_of_torchrun = parse_args(["--standalone", f"--nproc-per-node={options.processes}", *trainer])  # type: ignore[no-untyped-call]
        run(options_of_torchrun)  # type: ignore[no-untyped-call]
    except SignalException:
        return 1
    except ChildFailedError as error:
        statuses = [failure.exitcode for failure in error.failures.values()]
        end_as(find_signal(statuses))
        return error.get_first_failure()[1].exitcode
    return 0


def find_signal(statuses: Iterable[int]) -> int | None:
    """Return the signal that ended one of these processes, if any did.

    SIGTERM only where it is the only one: torchrun sends it to the others once one has ended.
    """
    signals = [-status for status in statuses if status < 0]
    return next((number for number in signals if number != signal.SIGTERM), signals[0] if signals else None)


def end_as(number: int | None) -> None:
    """End this process by the signal, so that its supervisor sees the same as of a single trainer."""
    if number is None:
        return
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    sys.stdout.flush()
    sys.stderr.flush()
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
