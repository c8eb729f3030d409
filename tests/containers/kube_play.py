"""`make kube-test`: k8s/overlays/local in podman, a job from outside, and the end of a replica and of a worker.

The pods are those that Kubernetes would make (`pods.py` says what is rewritten and what is left out), started in
the order in which they would become ready. Prints a line for each step; ends with 0 when all held, 1 when
something did not, and 0 with the reason where podman or kubectl is missing.
"""

import argparse
import functools
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ganvas import Client
from tests.containers.engines import ROOT, find_kubectl
from tests.containers.playground import PORT, Playground
from tests.containers.steps import CADENCE, PATIENCE_SECONDS, check, expect, say, wait, wait_for_progress


def main() -> int:
    """Run everything; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="Leave the pods running at the end.")
    parser.add_argument("--iterations", type=int, default=5000)
    parser.add_argument("--service-image", default="localhost/ganvas-service:local")
    parser.add_argument("--worker-image", default="localhost/ganvas-worker-cpu:local")
    options = parser.parse_args()
    images = {"ganvas-service": options.service_image, "ganvas-worker-cpu": options.worker_image}
    if reason := find_obstacle(images):
        say(f"skipped: {reason}")
        return 0
    with TemporaryDirectory() as folder:
        playground = Playground(Path(folder), images)
        playground.open()
        try:
            run(playground, options.iterations)
        finally:
            if not options.keep:
                playground.close()
    say("everything held")
    return 0


def find_obstacle(images: dict[str, str]) -> str | None:
    """Return why nothing can be played here, None where it can."""
    for name, found, known in (
        ("podman", shutil.which("podman"), ("info",)),
        ("kubectl", find_kubectl(), ("kustomize", "--help")),
    ):
        if not found or subprocess.run([found, *known], capture_output=True, check=False).returncode:
            return f"{name} does not work here"
    for image in images.values():
        if subprocess.run(["podman", "image", "exists", image], check=False).returncode:
            return f"{image} is not built"
    return None


def run(playground: Playground, iterations: int) -> None:
    """Start everything, submit a job, end pods under it, and check what is left."""
    pods = playground.pods
    for name in ("postgres", "redis", "store", "migrate", "service", "worker"):
        for pod in pods[name]:
            playground.play(pod)
        for pod in pods[name]:
            if name == "migrate":
                playground.wait_for_end(pod)
            else:
                wait(f"{pod.name} is ready", functools.partial(playground.is_ready, pod))
    front, other = pods["service"]
    token = playground.execute(front, "ganvas", "token", "create", "--name", "test", "--scope", "user")
    client = Client(f"http://127.0.0.1:{PORT}", token.splitlines()[-1])
    spec = yaml.safe_load((ROOT / "recipes" / "gaussians-ring.yaml").read_text(encoding="utf-8"))
    job = client.submit({**spec, **CADENCE, "iterations": iterations})
    say(f"job {job.id} of {iterations} iterations, submitted from outside")
    wait_for_progress(client, job.id, "it trains before a replica of the service is killed")
    playground.kill(other)
    wait_for_progress(client, job.id, "it trains on with one replica")
    playground.play(other)
    (worker,) = pods["worker"]
    playground.evict(worker)
    state = client.get(job.id).state
    expect(
        state == "queued",
        f"its worker was told to go: the job is {state}, from iteration {resumes_from(client, job.id)}",
    )
    playground.play(worker)
    ended = client.wait(job.id, timeout=4 * PATIENCE_SECONDS)
    check(client, job.id, ended.state, iterations)
    ends = [attempt.end for attempt in client.get(job.id).attempts]
    expect(ends == ["preempted", "succeeded"], f"its attempts ended: {', '.join(map(str, ends))}")


def resumes_from(client: Client, job_id: str) -> int:
    """Return the newest checkpoint's iteration."""
    return max((checkpoint.iteration for checkpoint in client.checkpoints(job_id)), default=0)


if __name__ == "__main__":
    sys.exit(main())
