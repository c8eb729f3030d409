"""Rendered manifests as single pods that `podman kube play` starts, for a machine without a cluster.

podman plays pods; what Kubernetes' controllers make of the rest is made here:

- a Deployment, StatefulSet or Job becomes its pods, one file each; StatefulSets' claims become named volumes;
- a Service is a name of the network that all of its pods answer to, and one published port for the outside;
- secrets are handed over as ConfigMaps, for podman 4 mounts a Secret's base64 instead of its bytes;
- probes are left out: podman has no kubelet that asks; the test asks the readiness probe itself;
- a pod's own address, which only monitoring asks, is left out: podman 4 does not know it beforehand;
- an emptyDir is named after its pod, for podman shares those of one name between pods.

Left out, for podman knows nothing like it: Namespace, NetworkPolicy, PodDisruptionBudget, affinity, autoscaling.
"""

import base64
import copy
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ganvas.commands.access import write_cluster_secrets
from tests.containers.engines import ROOT, find_kubectl

Document = dict[str, Any]
WORKLOADS = ("Deployment", "StatefulSet", "Job")


@dataclass(frozen=True)
class Pod:
    """name: podman's. service: the name that others call it by. ready: the command that asks if it answers."""

    name: str
    service: str
    document: Document
    ready: tuple[str, ...]

    @property
    def container(self) -> str:
        """What podman calls the pod's one container."""
        return f"{self.name}-{self.service}"


def render_overlay(overlay: str, folder: Path, files: dict[str, str] | None = None) -> list[Document]:
    """Build an overlay in a copy of k8s/ with passwords of its own; raises CalledProcessError.

    files: texts by name, for an overlay that is not there yet.
    """
    copied = folder / "k8s"
    shutil.copytree(ROOT / "k8s", copied, ignore=shutil.ignore_patterns("secrets"))
    write_cluster_secrets(copied / "overlays" / overlay / "secrets", "postgres", "redis")
    for name, text in (files or {}).items():
        (copied / "overlays" / overlay / name).write_text(text, encoding="utf-8")
    command = [find_kubectl() or "kubectl", "kustomize", str(copied / "overlays" / overlay)]
    built = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [document for document in yaml.safe_load_all(built) if document]


def list_settings(documents: list[Document], prefix: str) -> list[Document]:
    """Return the ConfigMaps, and the Secrets as ConfigMaps; podman makes a volume of each that is mounted."""
    settings = [document for document in documents if document["kind"] == "ConfigMap"]
    for secret in (document for document in documents if document["kind"] == "Secret"):
        texts = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
        settings.append(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": f"{prefix}-{secret['metadata']['name']}"},
                "data": texts,
            }
        )
    return settings


def list_pods(documents: list[Document], prefix: str, images: dict[str, str]) -> dict[str, list[Pod]]:
    """Return each workload's pods. images: what to run for the images of k8s/base."""
    return {
        document["metadata"]["name"]: [
            _build_pod(document, prefix, number, images) for number in range(document["spec"].get("replicas", 1))
        ]
        for document in documents
        if document["kind"] in WORKLOADS
    }


def publish(pod: Pod, port: int) -> None:
    """Let this machine's port lead to the pod, as `kubectl port-forward` does."""
    for each in pod.document["spec"]["containers"][0]["ports"]:
        each |= {"hostPort": port, "hostIP": "127.0.0.1"}


def _build_pod(workload: Document, prefix: str, number: int, images: dict[str, str]) -> Pod:
    service = workload["metadata"]["name"]
    name = f"{prefix}-{service}-{number}"
    template = copy.deepcopy(workload["spec"]["template"])
    spec = template["spec"]
    (container,) = spec["containers"]
    probe = container.get("readinessProbe", {}).get("exec", {}).get("command", ())
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        container.pop(kind, None)
    container["env"] = [each for each in container.get("env", ()) if not _is_own_address(each)]
    container["image"] = images.get(container["image"].split(":")[0], container["image"])
    claims = [claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", ())]
    spec["volumes"] = [_build_volume(volume, prefix, name) for volume in spec["volumes"]]
    spec["volumes"] += [
        {"name": f"{name}-{claim}", "persistentVolumeClaim": {"claimName": f"{name}-{claim}"}} for claim in claims
    ]
    for mount in container["volumeMounts"]:
        mount["name"] = f"{name}-{mount['name']}"
    metadata = {"name": name, "labels": template["metadata"]["labels"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return Pod(name, service, pod, tuple(probe))


def _is_own_address(variable: Document) -> bool:
    return bool(variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath") == "status.podIP")


def _build_volume(volume: Document, prefix: str, pod: str) -> Document:
    named = {**volume, "name": f"{pod}-{volume['name']}"}
    if "secret" in volume:
        named["configMap"] = {"name": f"{prefix}-{named.pop('secret')['secretName']}"}
    return named
