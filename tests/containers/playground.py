"""Pods of an overlay in podman: started, asked, killed, evicted and taken away."""

import json
from pathlib import Path

import yaml

from tests.containers.engines import Engine
from tests.containers.pods import Document, Pod, list_pods, list_settings, publish, render_overlay
from tests.containers.steps import wait

PREFIX = "ganvas-kube"
PORT = 18766


class Playground:
    """A network of podman in which the overlay's pods stand."""

    def __init__(self, folder: Path, images: dict[str, str]) -> None:
        self._engine = Engine("podman", ())
        self._folder = folder
        documents = render_overlay("local", folder)
        self._settings: list[Document] = list_settings(documents, PREFIX)
        self.pods = list_pods(documents, PREFIX, images)
        publish(self.pods["service"][0], PORT)

    def play(self, pod: Pod) -> None:
        """Start a pod under its service's name."""
        path = self._folder / f"{pod.name}.yaml"
        path.write_text(yaml.safe_dump_all([*self._settings, pod.document]), encoding="utf-8")
        self._engine.run("kube", "play", "--network", f"{PREFIX}:alias={pod.service}", str(path))

    def is_ready(self, pod: Pod) -> bool:
        """Ask the readiness probe, as the kubelet would; raises RuntimeError where it says no."""
        if pod.ready:
            self.execute(pod, *pod.ready)
        return True

    def execute(self, pod: Pod, *command: str) -> str:
        """Run a command in the pod and return what it prints."""
        return self._engine.run("exec", pod.container, *command)

    def wait_for_end(self, pod: Pod) -> None:
        """Wait until a job's pod has ended well; raises RuntimeError with its log."""
        wait(f"{pod.service} has ended", lambda: not self._state(pod)["Running"])
        if self._state(pod)["ExitCode"] != 0:
            raise RuntimeError(self._engine.run("logs", pod.container)[-2000:])

    def kill(self, pod: Pod) -> None:
        """Kill the pod's container outright, and take the pod away."""
        self._engine.run("kill", pod.container, check=False)
        self._engine.run("pod", "rm", "--force", pod.name)

    def evict(self, pod: Pod) -> None:
        """End the pod as Kubernetes does: SIGTERM, its grace period, and only then SIGKILL."""
        grace = pod.document["spec"].get("terminationGracePeriodSeconds", 30)
        # Not `pod stop`, which takes the network away while the container still delivers.
        self._engine.run("stop", "--time", str(grace), pod.container)
        self._engine.run("pod", "rm", "--force", pod.name)

    def open(self) -> None:
        """Make the network."""
        self._engine.run("network", "create", PREFIX)

    def close(self) -> None:
        """Take everything away, volumes too."""
        for kind in ("pod", "volume", "network"):
            listed = self._engine.run(kind, "ls", "--format", "{{.Name}}").split()
            for name in (each for each in listed if each == PREFIX or each.startswith(f"{PREFIX}-")):
                self._engine.run(kind, "rm", "--force", name, check=False)

    def _state(self, pod: Pod) -> Document:
        state: Document = json.loads(self._engine.run("inspect", pod.container))[0]["State"]
        return state
