"""`make compose-test`: bring docker-compose.yml up, submit a job from outside, and break one part after the other.

The job has to end as if nothing had happened: every logged iteration once, every sample grid there. Prints a line
for each step; ends with 0 when all held, 1 when something did not, and 0 with the reason where no engine works.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ganvas import Client
from tests.containers.engines import ROOT, Cluster, find_engine
from tests.containers.steps import CADENCE, PATIENCE_SECONDS, check, expect, say, wait, wait_for_progress

PORT = "18765"
AWAY_SECONDS = 8.0
PARTS = ("worker", "service", "postgres", "redis")


def main() -> int:
    """Run everything; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-build", action="store_true", help="The images are there already.")
    parser.add_argument("--keep", action="store_true", help="Leave the cluster running at the end.")
    parser.add_argument("--iterations", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=1, help="The one that has the job is the one to suffer.")
    parser.add_argument(
        "--s3", action="store_true", help="Files in the store of the profile s3, which is killed too."
    )
    options = parser.parse_args()
    engine = find_engine()
    if isinstance(engine, str):
        say(f"skipped: {engine}")
        return 0
    environment = {"GANVAS_PORT": PORT, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    if options.s3:
        environment["GANVAS_BLOBS_URL"] = "s3://ganvas"
    cluster = Cluster(engine, environment, options.workers, ("s3",) if options.s3 else ())
    try:
        run(cluster, options.iterations, build=not options.no_build)
    finally:
        if not options.keep:
            cluster.take_down()
    say("everything held")
    return 0


def run(cluster: Cluster, iterations: int, *, build: bool) -> None:
    """Bring the cluster up, break it, and check what is left."""
    say(f"engine: {cluster.engine.program}; workers: {cluster.workers}; profiles: {cluster.profiles or 'none'}")
    cluster.bring_up(build=build)
    wait("the service is healthy", lambda: cluster.is_healthy("service"))
    token = cluster.execute("service", "ganvas", "token", "create", "--name", "test", "--scope", "user")
    client = Client(f"http://127.0.0.1:{PORT}", token.splitlines()[-1])
    spec = yaml.safe_load((ROOT / "recipes" / "gaussians-ring.yaml").read_text(encoding="utf-8"))
    job = client.submit({**spec, **CADENCE, "iterations": iterations})
    say(f"job {job.id} of {iterations} iterations")
    for part in (*PARTS, "store") if "s3" in cluster.profiles else PARTS:
        wait_for_progress(client, job.id, f"it trains before {part} is killed")
        kill_and_start(cluster, part, find_container(cluster, client, job.id, part))
    wait_for_progress(client, job.id, "it trains before the worker is cut off")
    cut_off(cluster, "worker", find_container(cluster, client, job.id, "worker"))
    ended = client.wait(job.id, timeout=4 * PATIENCE_SECONDS)
    check(client, job.id, ended.state, iterations)
    lose_redis_at_the_end(cluster, client, {**spec, "iterations": 1000})
    if "s3" in cluster.profiles:
        beside = cluster.execute("service", "sh", "-c", "find /data/blobs -type f 2>/dev/null | wc -l")
        expect(beside == "0", f"{beside} of the files lie in the service's volume")


def find_container(cluster: Cluster, client: Client, job_id: str, part: str) -> str:
    """Return the container that runs this part; of several workers the one that has the job."""
    found = cluster.containers(part)
    if len(found) == 1:
        return found[0]
    # A container's host name is how its id begins, and a worker's name begins with the host's.
    holder = client.get(job_id).attempts[-1].worker
    return next(container for container in found if holder.startswith(container[:12]))


def lose_redis_at_the_end(cluster: Cluster, client: Client, spec: dict[str, Any]) -> None:
    """Let a job end while there is no Redis, and see that the next two are taken, without it and with it again."""
    first = client.submit(spec)
    wait("another job trains", lambda: client.get(first.id).state != "queued")
    redis = cluster.container("redis")
    cluster.engine.run("kill", redis)
    for job, what in (
        (first, "it ends while redis is away"),
        (client.submit(spec), "so does one that came meanwhile"),
    ):
        state = client.wait(job.id, timeout=PATIENCE_SECONDS).state
        expect(state == "succeeded", f"{what}: {state}")
    cluster.engine.run("start", redis)
    wait("redis is healthy again", lambda: cluster.is_healthy("redis"))
    state = client.wait(client.submit(spec).id, timeout=PATIENCE_SECONDS).state
    expect(state == "succeeded", f"the next job ends: {state}")


def kill_and_start(cluster: Cluster, part: str, container: str) -> None:
    """Kill a container outright, and start it again as a restart policy would."""
    cluster.engine.run("kill", container)
    time.sleep(AWAY_SECONDS)
    cluster.engine.run("start", container)
    if part != "worker":
        wait(f"{part} is healthy again", lambda: cluster.is_healthy(part))
    say(f"killed and started: {part}")


def cut_off(cluster: Cluster, part: str, container: str) -> None:
    """Take a container off all of its networks for a while."""
    networks = cluster.networks(container)
    for network in networks:
        cluster.engine.run("network", "disconnect", network, container)
    time.sleep(3 * AWAY_SECONDS)
    for network in networks:
        cluster.engine.run("network", "connect", "--alias", part, network, container)
    say(f"cut off and joined again: {part}")


if __name__ == "__main__":
    sys.exit(main())
