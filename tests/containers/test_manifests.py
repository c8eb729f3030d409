"""What the Kubernetes manifests, the compose file and the pipelines promise, read from the files themselves."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import podman_compose
import pytest
import yaml
from fastapi.testclient import TestClient

from api.server.settings import Settings
from ganvas.startup.lazy_app import LazyApp
from tests.containers.engines import find_kubectl, has_docker_compose
from tests.containers.pods import render_overlay

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "k8s"
KUBERNETES = "1.34"
# Kinds of operators that are not Kubernetes' own, and kustomize's: no schema comes with the validator.
FOREIGN_KINDS = {"ScaledObject", "TriggerAuthentication", "Kustomization", "Component"}
WORKLOADS = {"Deployment", "StatefulSet", "Job"}

needs_kubectl = pytest.mark.skipif(not find_kubectl(), reason="kubectl, which builds overlays, is missing")


def read_documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def list_manifests() -> Iterator[Any]:
    for path in sorted(K8S.rglob("*.yaml")):
        for number, document in enumerate(read_documents(path)):
            if document["kind"] not in FOREIGN_KINDS:
                yield pytest.param(document, id=f"{path.relative_to(K8S)}:{number}")


def list_pods() -> Iterator[Any]:
    for parameter in list_manifests():
        document = parameter.values[0]
        if document["kind"] in WORKLOADS:
            yield pytest.param(document["spec"]["template"], id=parameter.id)


@pytest.mark.parametrize("manifest", list(list_manifests()))
def test_every_manifest_fits_the_schema_of_kubernetes(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_a_misspelt_field_would_be_found() -> None:
    deployment = read_documents(K8S / "base" / "worker.yaml")[0]
    deployment["spec"]["template"]["spec"]["terminationGracePeriod"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)


@pytest.mark.parametrize("pod", list(list_pods()))
def test_no_pod_has_more_rights_than_it_needs(pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("pod", list(list_pods()))
def test_every_pod_has_a_rule_of_its_own_for_the_network(pod: dict[str, Any]) -> None:
    policies = [
        document
        for path in K8S.rglob("network.yaml")
        for document in read_documents(path)
        if document["spec"]["podSelector"].get("matchLabels")
    ]
    labels = pod["metadata"]["labels"]
    assert any(p["spec"]["podSelector"]["matchLabels"].items() <= labels.items() for p in policies)


@needs_kubectl
@pytest.mark.parametrize("overlay", ["local", "gpu"])
def test_an_overlay_builds_and_fits_the_schemas(overlay: str, tmp_path: Path) -> None:
    built = [each for each in render_overlay(overlay, tmp_path) if each["kind"] not in FOREIGN_KINDS]
    for document in built:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    mounted = {
        volume["secret"]["secretName"]
        for document in built
        if document["kind"] in WORKLOADS
        for volume in document["spec"]["template"]["spec"]["volumes"]
        if "secret" in volume
    }
    made = {document["metadata"]["name"] for document in built if document["kind"] == "Secret"}
    assert mounted <= (made or {"ganvas-service", "ganvas-worker"})


@needs_kubectl
def test_the_overlay_of_the_readme_builds_and_changes_what_it_says(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", (K8S / "README.md").read_text(), re.DOTALL)
    built = render_overlay("mine", tmp_path, {"kustomization.yaml": text})
    by_name = {(each["kind"], each["metadata"]["name"].partition("-")[0]): each for each in built}
    settings = by_name["ConfigMap", "ganvas"]["data"]
    assert settings["GANVAS_BLOBS_URL"] == "s3://my-bucket"
    assert "gan.example.org" in settings["GANVAS_ALLOWED_HOSTS"].split(",")
    assert by_name["Ingress", "service"]["spec"]["rules"][0]["host"] == "gan.example.org"
    images = {
        container["image"]
        for each in built
        if each["kind"] in WORKLOADS
        for container in each["spec"]["template"]["spec"]["containers"]
    }
    assert images == {f"ghcr.io/me/ganvas-{name}:v1" for name in ("service", "worker", "worker-cpu")}


def test_no_image_is_asked_of_a_registry_that_was_loaded_into_the_node() -> None:
    """Where a tag is `latest`, a node asks a registry each time."""
    images = yaml.safe_load((K8S / "base" / "kustomization.yaml").read_text())["images"]
    assert {image["newTag"] for image in images} == {"local"}


def test_prometheus_may_ask_a_pod_by_its_address() -> None:
    template = read_documents(K8S / "base" / "service.yaml")[0]["spec"]["template"]
    assert template["metadata"]["annotations"]["prometheus.io/scrape"] == "true"
    address = {"name": "GANVAS_OWN_ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    assert address in template["spec"]["containers"][0]["env"]


def test_workers_are_counted_by_all_that_they_may_do() -> None:
    """KEDA takes the largest of several triggers unless a formula over their names says otherwise."""
    scaled = next(
        each
        for each in read_documents(K8S / "components" / "autoscaling" / "keda.yaml")
        if each["kind"] == "ScaledObject"
    )
    names = [trigger["name"] for trigger in scaled["spec"]["triggers"]]
    assert scaled["spec"]["advanced"]["scalingModifiers"]["formula"] == " + ".join(names)
    assert scaled["spec"]["minReplicaCount"] == 0


@needs_kubectl
def test_the_workers_of_a_commit_are_named_after_it_and_run_its_image() -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    command = ["bash", str(K8S / "commit" / "start.sh"), commit, "registry.example/ganvas-worker", "--print"]
    path = f"{Path(find_kubectl() or '').parent}:{os.environ['PATH']}"
    printed = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True)
    job = yaml.safe_load(printed.stdout)
    kubernetes_validate.validate(job, KUBERNETES, strict=True)
    assert job["metadata"]["name"] == "worker-0123456789ab"
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == f"registry.example/ganvas-worker:{commit}"


def test_compose_publishes_the_service_alone_and_only_to_this_machine() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    published = {name: service["ports"] for name, service in services.items() if service.get("ports")}
    assert published == {"service": ["127.0.0.1:${GANVAS_PORT:-8000}:8000"]}


def list_mounts(service: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a service's mounts as podman-compose's own parser reads them, whichever form they have."""
    given = [podman_compose.rec_subs(mount, {}) for mount in service.get("volumes", ())]
    return [
        podman_compose.parse_short_mount(mount, str(ROOT)) if isinstance(mount, str) else mount for mount in given
    ]


def test_compose_shows_the_password_of_the_database_to_nobody_else() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    readers = {
        name
        for name, service in services.items()
        if any(mount["source"] in ("postgres-secrets", "service-secrets") for mount in list_mounts(service))
    }
    assert readers == {"secrets", "postgres", "migrate", "service"}
    variables = {name for service in services.values() for name in service.get("environment", {})}
    assert not any(name.endswith(("PASSWORD", "TOKEN", "SECRET_KEY")) for name in variables)


def test_podman_compose_reads_every_mount_and_who_reads_secrets_cannot_write_them() -> None:
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    given = {name: list_mounts(service) for name, service in document["services"].items()}
    written = {
        name: [podman_compose.mount_desc_to_mount_args(mount) for mount in mounts]
        for name, mounts in given.items()
    }
    for name in ("postgres", "redis", "store"):
        assert f"type=volume,source={name}-secrets,destination=/secrets,ro" in written[name]
        # For Docker: an empty volume must not take over the owner of the image's folder.
        assert [mount["volume"] for mount in given[name] if mount["target"] == "/secrets"] == [{"nocopy": True}]
    named = {mount["source"] for mounts in given.values() for mount in mounts if mount["source"]}
    assert named == set(document["volumes"])


def test_control_the_short_form_with_nocopy_is_no_mount_of_podman_compose() -> None:
    with pytest.raises(ValueError, match="unknown mount option nocopy"):
        podman_compose.parse_short_mount("redis-secrets:/secrets:ro,nocopy", str(ROOT))


@pytest.mark.skipif(not has_docker_compose(), reason="docker compose is not here")
def test_docker_compose_reads_the_file() -> None:
    for profile in ("gpu", "s3"):
        command = ["docker", "compose", "--profile", profile, "config", "--quiet"]
        assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def test_the_service_is_asked_over_http_whether_it_lives_and_not_for_its_database(tmp_path: Path) -> None:
    """The very request that the kubelet sends, without a token, to a service that wants one."""
    [deployment] = [each for each in read_documents(K8S / "base" / "service.yaml") if each["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    probe = container["livenessProbe"]["httpGet"]
    assert probe["port"] in {port["name"] for port in container["ports"]}
    app = LazyApp(Settings(home=tmp_path, token="a-token-of-some-length"), lambda _: None, lambda _: None)
    with TestClient(app, base_url="http://10.1.2.3:8000") as client:
        assert client.get(probe["path"]).status_code == 403, "the kubelet's own Host is not known"
        headers = {header["name"]: header["value"] for header in probe["httpHeaders"]}
        assert client.get(probe["path"], headers=headers).status_code == 200
