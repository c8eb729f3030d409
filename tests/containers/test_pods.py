"""`make kube-test` plays in podman what Kubernetes would run; the tests of clusters say why they skip."""

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.containers import compose_faults, engines, kube_play
from tests.containers.engines import find_kubectl
from tests.containers.pods import list_pods, list_settings, publish, render_overlay

needs_kubectl = pytest.mark.skipif(not find_kubectl(), reason="kubectl, which builds overlays, is missing")


@pytest.fixture
def overlay(tmp_path: Path) -> list[dict[str, Any]]:
    return render_overlay("local", tmp_path)


@needs_kubectl
def test_every_workload_becomes_as_many_pods_as_it_has_replicas(overlay: list[dict[str, Any]]) -> None:
    pods = list_pods(overlay, "try", {})
    counts = {name: len(found) for name, found in pods.items()}
    assert counts == {"service": 2, "worker": 1, "postgres": 1, "redis": 1, "store": 1, "migrate": 1}


@needs_kubectl
def test_a_pod_keeps_what_protects_it_and_what_it_runs(overlay: list[dict[str, Any]]) -> None:
    workloads = {d["metadata"]["name"]: d for d in overlay if d["kind"] in ("Deployment", "StatefulSet", "Job")}
    for name, pods in list_pods(overlay, "try", {}).items():
        wanted = workloads[name]["spec"]["template"]["spec"]
        for pod in pods:
            got = pod.document["spec"]
            assert got["securityContext"] == wanted["securityContext"]
            for key in ("image", "command", "args", "envFrom", "securityContext", "resources"):
                assert got["containers"][0].get(key) == wanted["containers"][0].get(key)
            variables = wanted["containers"][0].get("env", [])
            left_out = [each for each in variables if each not in got["containers"][0]["env"]]
            assert [each["name"] for each in left_out] == (["GANVAS_OWN_ADDRESS"] if name == "service" else [])


@needs_kubectl
def test_no_two_pods_share_a_folder_that_is_theirs_alone(overlay: list[dict[str, Any]]) -> None:
    names = [
        volume["name"]
        for pods in list_pods(overlay, "try", {}).values()
        for pod in pods
        for volume in pod.document["spec"]["volumes"]
        if "emptyDir" in volume or "persistentVolumeClaim" in volume
    ]
    assert len(names) == len(set(names))


@needs_kubectl
def test_a_secret_is_mounted_as_its_bytes(overlay: list[dict[str, Any]]) -> None:
    secret = next(d for d in overlay if d["kind"] == "Secret" and d["metadata"]["name"] == "ganvas-redis")
    (settings,) = (d for d in list_settings(overlay, "try") if d["metadata"]["name"] == "try-ganvas-redis")
    assert settings["data"]["redis.conf"].encode() == base64.b64decode(secret["data"]["redis.conf"])
    (redis,) = list_pods(overlay, "try", {})["redis"]
    assert {"name": "try-ganvas-redis"} in [each.get("configMap") for each in redis.document["spec"]["volumes"]]


@needs_kubectl
def test_only_the_replica_that_is_published_can_be_reached_and_only_from_this_machine(
    overlay: list[dict[str, Any]],
) -> None:
    front, other = list_pods(overlay, "try", {"ganvas-service": "localhost/mine:1"})["service"]
    publish(front, 1234)
    (port,) = front.document["spec"]["containers"][0]["ports"]
    assert (port["hostIP"], port["hostPort"]) == ("127.0.0.1", 1234)
    assert "hostPort" not in other.document["spec"]["containers"][0]["ports"][0]
    assert other.document["spec"]["containers"][0]["image"] == "localhost/mine:1"


def test_without_an_engine_both_tests_skip_and_say_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.argv", ["test"])
    assert isinstance(engines.find_engine(), str)
    assert (compose_faults.main(), kube_play.main()) == (0, 0)
    said = capsys.readouterr().out
    assert "skipped: neither a Docker engine nor podman works here" in said
    assert "skipped: podman does not work here" in said
