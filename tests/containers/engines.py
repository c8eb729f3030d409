"""The container engine of this machine, Docker or podman, and a compose project in it."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "ganvas-test"
# Services that do one thing and end.
TASKS = ("secrets", "migrate")
# Services without a health check: whoever needs them asks again.
UNCHECKED = ("worker", "store")
SETTLE_SECONDS = 300.0


@dataclass(frozen=True)
class Engine:
    """program: `docker` or `podman`. compose: the command that reads docker-compose.yml."""

    program: str
    compose: tuple[str, ...]

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run the engine and return what it prints."""
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{self.program} {' '.join(arguments)}: {done.stderr.strip()[-2000:]}")
        return done.stdout.strip()


def find_engine() -> Engine | str:
    """Return the engine, or the reason why there is none."""
    if shutil.which("docker") and _works("docker", "info") and _works("docker", "compose", "version"):
        return Engine("docker", ("docker", "compose"))
    if not shutil.which("podman") or not _works("podman", "info"):
        return "neither a Docker engine nor podman works here"
    beside = Path(sys.executable).with_name("podman-compose")
    found = str(beside) if beside.exists() else shutil.which("podman-compose")
    return (
        Engine("podman", (found,))
        if found
        else "podman is here, podman-compose is not: pip install podman-compose"
    )


def has_docker_compose() -> bool:
    """Say whether Docker's compose is here; to read a file it needs no engine."""
    return shutil.which("docker") is not None and _works("docker", "compose", "version")


def find_kubectl() -> str | None:
    """Return the kubectl that came with the tests' packages, or else this machine's own."""
    beside = Path(sys.executable).with_name("kubectl")
    return str(beside) if beside.exists() else shutil.which("kubectl")


def _works(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Cluster:
    """The project of docker-compose.yml under a name of its own.

    environment: variables of that file; workers: how many; profiles: those that are switched on.
    """

    engine: Engine
    environment: dict[str, str]
    workers: int = 1
    profiles: tuple[str, ...] = ()

    def compose(self, *arguments: str) -> None:
        """Run a compose command; its output is shown."""
        profiles = [word for profile in self.profiles for word in ("--profile", profile)]
        command = [*self.engine.compose, "--project-name", PROJECT, *profiles, *arguments]
        subprocess.run(command, cwd=ROOT, env={**os.environ, **self.environment}, check=True)

    def bring_up(self, *, build: bool) -> None:
        """Start everything in its order. Docker does so by itself; podman-compose does not wait for health."""
        scale = ("--scale", f"worker={self.workers}")
        if self.engine.program == "docker":
            self.compose("up", "--detach", *scale, *(["--build"] if build else []))
            return
        if build:
            self.compose("build")
        # Without notes on who needs whom: with them podman 4 starts nothing that needs what needs something else.
        self.compose("up", "--no-start", "--no-deps", *scale)
        store = ("store",) if "s3" in self.profiles else ()
        for stage in (("secrets",), ("postgres", "redis", *store), ("migrate",), ("service",), ("worker",)):
            for service in stage:
                self.engine.run("start", *self.containers(service))
            for service in stage:
                self._wait_until_settled(service)

    def take_down(self) -> None:
        """Remove everything, volumes too; podman-compose forgets the containers of --scale and some volumes."""
        if self.engine.program == "podman" and self.workers > 1:
            self.engine.run("rm", "--force", *self.containers("worker"))
        self.compose("down", "--volumes")
        left = self.engine.run("volume", "ls", "--quiet").split()
        for volume in (each for each in left if each.startswith(f"{PROJECT}_")):
            self.engine.run("volume", "rm", volume, check=False)

    def _wait_until_settled(self, service: str) -> None:
        """Wait until a task has ended well, or a server answers; raises RuntimeError, TimeoutError."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            state = json.loads(self.engine.run("inspect", *self.containers(service)))[0]["State"]
            if service in TASKS and not state["Running"]:
                if state["ExitCode"] != 0:
                    raise RuntimeError(f"{service}: {self.engine.run('logs', self.container(service))[-2000:]}")
                return
            if service not in TASKS and (service in UNCHECKED or self.is_healthy(service)):
                return
            time.sleep(1.0)
        raise TimeoutError(f"{service} was not up within {SETTLE_SECONDS:g} s")

    def container(self, service: str) -> str:
        """Return the id of the one container of this service."""
        found = self.containers(service)
        if len(found) != 1:
            raise RuntimeError(f"{service}: {len(found)} containers instead of one")
        return found[0]

    def containers(self, service: str) -> list[str]:
        """Return the ids of this service's containers; raises RuntimeError where there is none."""
        found = self.engine.run(
            "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}",
            "--filter", f"label=com.docker.compose.service={service}",
        ).split()  # fmt: skip
        if not found:
            raise RuntimeError(f"{service} has no container")
        return found

    def execute(self, service: str, *command: str) -> str:
        """Run a command in a service's container and return what it prints."""
        return self.engine.run("exec", self.container(service), *command)

    def is_healthy(self, service: str) -> bool:
        """Ask the container's own check where it has one; podman-compose leaves asking to others."""
        if service in UNCHECKED:
            return True
        container = self.container(service)
        if self.engine.program == "podman":
            return _works("podman", "healthcheck", "run", container)
        states = json.loads(self.engine.run("inspect", container))
        return bool(states[0]["State"]["Health"]["Status"] == "healthy")

    def networks(self, container: str) -> list[str]:
        """Return the names of the networks that the container is in."""
        settings = json.loads(self.engine.run("inspect", container))[0]["NetworkSettings"]
        return sorted(settings["Networks"])
