"""What Prometheus reads."""

from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from tests.support.services import TINY_SPEC, make_png, sha256

AT = "2026-01-02T03:04:05Z"
GPU = {"index": 0, "name": "H200", "memory_total": 1000, "memory_used": 250, "utilisation": 0.5}


def read(client: TestClient) -> dict[tuple[str, str], float]:
    """Return each sample's value by its name and its labels' values."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, " ".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_queue_attempts_and_what_arrives_are_counted(client: TestClient) -> None:
    before = read(client)
    assert (before["ganvas_jobs", "queued"], before["ganvas_attempts", "failed"]) == (0, 0)
    job_id, _, _ = [client.post("/jobs", json=TINY_SPEC).json()["id"] for _ in range(3)]
    client.post("/workers/claim", json={"worker": "w"})
    values = {"loss/generator": 1.0, "loss/discriminator": 2.0}
    events = [
        {"seq": 0, "at": AT, "event": {"kind": "metrics_logged", "iteration": 1, "values": values}},
        {"seq": 1, "at": AT, "event": {"kind": "line_logged", "iteration": 1, "text": "x"}},
    ]
    for _ in range(2):  # what comes again is not counted again
        assert client.post(f"/jobs/{job_id}/attempts/1/events", json={"events": events}).status_code == 200
    png = make_png()
    client.put(f"/artifacts/{sha256(png)}", content=png, headers={"content-type": "image/png"})
    finish = {"end": "failed", "reason": {"code": "any", "message": "Because."}, "events_count": 2}
    assert client.post(f"/jobs/{job_id}/attempts/1/finish", json=finish).status_code == 200
    after = read(client)
    assert after["ganvas_attempts", "failed"] == 1
    assert after["ganvas_jobs", "running"] == 0
    assert (after["ganvas_events_total", ""], after["ganvas_points_total", ""]) == (2, 2)
    assert after["ganvas_artifact_bytes_total", ""] == len(png)


def test_requests_are_timed_by_route_and_not_by_path(client: TestClient) -> None:
    for name in ("one", "two", "three"):
        client.get(f"/jobs/{name}")
    found = read(client)
    assert found["ganvas_request_seconds_count", "GET /jobs/{job_id} 404"] == 3
    client.get("/nowhere")
    assert read(client)["ganvas_request_seconds_count", "GET none 404"] == 1


def test_the_cards_of_workers_that_are_alive_are_shown(client: TestClient) -> None:
    assert client.post("/workers/heartbeat", json={"name": "gpu-1", "gpus": [GPU]}).status_code == 204
    found = read(client)
    assert found["ganvas_workers", "idle"] == 1
    assert found["ganvas_gpu_memory_used_bytes", "0 H200 gpu-1"] == 250
    assert found["ganvas_gpu_utilisation", "0 H200 gpu-1"] == 0.5
