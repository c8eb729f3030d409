"""What the tests of a whole cluster share: a line for each step, waiting, and what a job must have left."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from api.errors import ServiceError
from ganvas import Client

CADENCE = {"log_every": 10, "sample_every": 1000, "checkpoint_every": 500}
# What one step may take on a busy machine: a lease of 60 s has to run out in some of them.
PATIENCE_SECONDS = 300.0


def check(client: Client, job_id: str, state: str, iterations: int) -> None:
    """Compare what was recorded with what an undisturbed run records."""
    attempts = client.get(job_id).attempts
    expect(state == "succeeded", f"the job ended: {state}, {len(attempts)} attempts")
    every = CADENCE["log_every"]
    wanted = list(range(every, iterations + 1, every))
    got = list(client.curve_columns(job_id, "loss/generator")["loss/generator"].iterations)
    expect([each for each in got if each > 0 and each % every == 0] == wanted, f"{len(got)} points, each once")
    grids = {sample.iteration: sample.sha256 for sample in client.samples(job_id)}
    expect(
        set(range(CADENCE["sample_every"], iterations + 1, CADENCE["sample_every"])) <= set(grids),
        f"{len(grids)} sample grids",
    )
    kept = {checkpoint.sha256 for checkpoint in client.checkpoints(job_id) if checkpoint.url}
    with TemporaryDirectory() as folder:
        for name in (files := kept | set(grids.values())):
            client.download(name, Path(folder) / name)
    say(f"{len(files)} files, each with its sha256")


def wait_for_progress(client: Client, job_id: str, what: str) -> None:
    """Wait until the job has come further than it is now; raises AssertionError where it is over already."""
    before = client.get(job_id).iteration

    def is_further() -> bool:
        job = client.get(job_id)
        if job.ended_at:
            raise AssertionError(f"the job is over too early ({job.state}): give it more --iterations")
        return job.state == "running" and job.iteration > before + 200

    wait(what, is_further)


def wait(what: str, is_so: Callable[[], bool]) -> None:
    """Wait until it is so; raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    failure: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if is_so():
                say(what)
                return
        except (ServiceError, RuntimeError) as error:
            # The service is away, or a container is just being made.
            failure = error
        time.sleep(1.0)
    raise TimeoutError(f"not within {PATIENCE_SECONDS:g} s: {what} ({failure})")


def expect(is_so: bool, what: str) -> None:
    """Say what was found; raises AssertionError where it is not so."""
    if not is_so:
        raise AssertionError(what)
    say(what)


def say(text: str) -> None:
    """Print a line of the report."""
    print(f"{Path(sys.argv[0]).stem}: {text}", flush=True)
