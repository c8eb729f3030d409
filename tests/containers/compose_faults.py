"""`make compose-test`: bring docker-compose.yml up, submit a job from outside, and break one part after the other.

The job has to end as if nothing had happened: every logged iteration once, every sample grid there. Prints a line
for each step; ends with 0 when all held, 1 when something did not, and 0 with the reason where no engine works.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from api.errors import ServiceError
from ganvas import Client
from tests.containers.engines import PROJECT, ROOT, Cluster, find_engine

PORT = "18765"
LOG_EVERY = 10
AWAY_SECONDS = 8.0
# What one step may take on a busy machine: a lease of 60 s has to run out in some of them.
PATIENCE_SECONDS = 300.0
PARTS = ("worker", "service", "postgres", "redis")


def main() -> int:
    """Run everything; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-build", action="store_true", help="The images are there already.")
    parser.add_argument("--keep", action="store_true", help="Leave the cluster running at the end.")
    parser.add_argument("--iterations", type=int, default=20_000)
    options = parser.parse_args()
    engine = find_engine()
    if isinstance(engine, str):
        say(f"skipped: {engine}")
        return 0
    cluster = Cluster(engine, {"GANVAS_PORT": PORT, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")})
    try:
        run(cluster, options.iterations, build=not options.no_build)
    finally:
        if not options.keep:
            cluster.compose("down", "--volumes")
    say("everything held")
    return 0


def run(cluster: Cluster, iterations: int, *, build: bool) -> None:
    """Bring the cluster up, break it, and check what is left."""
    say(f"engine: {cluster.engine.program}")
    cluster.bring_up(build=build)
    wait("the service is healthy", lambda: cluster.is_healthy("service"))
    token = cluster.execute("service", "ganvas", "token", "create", "--name", "test", "--scope", "user")
    client = Client(f"http://127.0.0.1:{PORT}", token.splitlines()[-1])
    spec = yaml.safe_load((ROOT / "recipes" / "gaussians-ring.yaml").read_text(encoding="utf-8"))
    cadence = {"log_every": LOG_EVERY, "sample_every": 1000, "checkpoint_every": 500}
    job = client.submit({**spec, **cadence, "iterations": iterations})
    say(f"job {job.id} of {iterations} iterations")
    for part in PARTS:
        wait_for_progress(client, job.id, f"it trains before {part} is killed")
        kill_and_start(cluster, part)
    wait_for_progress(client, job.id, "it trains before the worker is cut off")
    cut_off(cluster, "worker")
    ended = client.wait(job.id, timeout=4 * PATIENCE_SECONDS)
    check(client, job.id, ended.state, iterations)
    again = client.submit({**spec, "iterations": 200})
    state = client.wait(again.id, timeout=PATIENCE_SECONDS).state
    expect(state == "succeeded", f"a second job ends: {state}")


def kill_and_start(cluster: Cluster, part: str) -> None:
    """Kill a container outright, and start it again as a restart policy would."""
    container = cluster.container(part)
    cluster.engine.run("kill", container)
    time.sleep(AWAY_SECONDS)
    cluster.engine.run("start", container)
    if part != "worker":
        wait(f"{part} is healthy again", lambda: cluster.is_healthy(part))
    say(f"killed and started: {part}")


def cut_off(cluster: Cluster, part: str) -> None:
    """Take a container off all of its networks for a while."""
    networks, container = cluster.networks(part), cluster.container(part)
    for network in networks:
        cluster.engine.run("network", "disconnect", network, container)
    time.sleep(3 * AWAY_SECONDS)
    for network in networks:
        cluster.engine.run("network", "connect", "--alias", part, network, container)
    say(f"cut off and joined again: {part}")


def check(client: Client, job_id: str, state: str, iterations: int) -> None:
    """Compare what was recorded with what an undisturbed run records."""
    attempts = client.get(job_id).attempts
    expect(state == "succeeded", f"the job ended: {state}, {len(attempts)} attempts")
    wanted = list(range(LOG_EVERY, iterations + 1, LOG_EVERY))
    got = list(client.curve_columns(job_id, "loss/generator")["loss/generator"].iterations)
    expect([each for each in got if each > 0 and each % LOG_EVERY == 0] == wanted, f"{len(got)} points, each once")
    grids = {sample.iteration for sample in client.samples(job_id)}
    expect(set(range(1000, iterations + 1, 1000)) <= grids, f"{len(grids)} sample grids")


def wait_for_progress(client: Client, job_id: str, what: str) -> None:
    """Wait until the job has come further than it is now."""
    before = client.get(job_id).iteration
    wait(what, lambda: client.get(job_id).state == "running" and client.get(job_id).iteration > before + 200)


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
    print(f"compose-test ({PROJECT}): {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
