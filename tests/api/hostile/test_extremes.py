"""Numbers, times, texts and cursors at the edge of what a field can hold, and beyond."""

import base64
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.api.hostile.attempt import HeldAttempt
from tests.support.services import TINY_SPEC, make_png, make_spec, sha256

LARGEST, SMALLEST = 1.7976931348623157e308, 5e-324
PAGE = {"accept": "text/html"}


@pytest.mark.parametrize(
    "origin", ["http://[", "http://a]b", "http://[::1", "\x00", "//", "http://localhost@evil"]
)
def test_a_malformed_origin_is_another_site(refusing_client: TestClient, origin: str) -> None:
    assert refusing_client.get("/jobs", headers={"origin": origin}).status_code == 403


@pytest.mark.parametrize(
    "host",
    ["[", "[::1", "::1", "localhost:", "localhost:80:80", "localhost@evil", "localhost/", "local\thost", "²"],
)
def test_a_malformed_host_is_refused(refusing_client: TestClient, host: str) -> None:
    headers: Any = [(b"host", host.encode("latin-1"))]
    assert refusing_client.get("/jobs", headers=headers).status_code == 403


@pytest.mark.parametrize("length", ["²", "9" * 5000, "-1", "1_0", "+5", ""])
def test_a_malformed_length_is_too_large(refusing_client: TestClient, length: str) -> None:
    headers: Any = [(b"content-length", length.encode("latin-1"))]
    assert refusing_client.post("/jobs", content=b"x", headers=headers).status_code == 413


def write_cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


FORGED = [2**63, -(2**70), 1.5, True, None, "x", "\ud800", "a\0b", [], {}, "' OR 1=1 --"]


@pytest.mark.parametrize("sort", ["-created_at", "name", "iteration", "state"])
def test_forged_cursors_of_the_list_are_refused_or_lead_nowhere(client: TestClient, sort: str) -> None:
    client.post("/jobs", json=TINY_SPEC)
    for value in [*FORGED, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]:
        query = {"sort": sort, "cursor": write_cursor(sort, value, "x")}
        assert client.get("/jobs", params=query).status_code in (200, 422), value
        assert client.get("/", params=query, headers=PAGE).status_code in (200, 422), value


@pytest.mark.parametrize("part", ["samples", "log", "neighbours", "histograms"])
def test_forged_cursors_of_a_job_are_refused(attempt: HeldAttempt, part: str) -> None:
    keys = [(value,) for value in FORGED] + [("loss/generator", value) for value in FORGED] + [("\ud800", 1)]
    cursors = [write_cursor(*key) for key in keys]
    cursors += [base64.urlsafe_b64encode(raw).decode() for raw in (b"[" * 370, b"[1e999]", b"\xff\xfe", b"")]
    for cursor in (*cursors, "é", "=" * 500, "%00"):
        answer = attempt.client.get(f"/jobs/{attempt.job_id}/{part}", params={"cursor": cursor})
        assert answer.status_code == 422, cursor


def test_event_times_that_no_calendar_holds_are_refused(attempt: HeldAttempt) -> None:
    line = {"kind": "line_logged", "iteration": 1, "text": "x"}
    for at in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", 1e18, "tomorrow", None, "9" * 400):
        assert attempt.send(line, at) == 422, at
    for at in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01"):
        assert attempt.send(line, at) == 200, at
    attempt.read_all()


@pytest.mark.parametrize("value", [LARGEST, -LARGEST, SMALLEST, -0.0, "nan", "-inf"])
def test_every_float_is_stored_and_shown(attempt: HeldAttempt, value: Any) -> None:
    for iteration, logged in enumerate((value, value, -LARGEST, 1.0), 1):
        values = {"loss/generator": logged, "eval/fid": logged, "speed/iterations_per_second": logged}
        assert attempt.send({"kind": "metrics_logged", "iteration": iteration, "values": values}) == 200
        if iteration in (1, 4):
            attempt.read_all()
    assert attempt.client.get(f"/jobs/{attempt.job_id}/metrics?points=5").status_code == 200


@pytest.mark.parametrize(
    ("low", "high"), [(-LARGEST, LARGEST), (0.0, SMALLEST), (1e308, 1.1e308), (-1e308, -9e307), (-1.0, 1.0)]
)
def test_histograms_of_every_range_are_shown(attempt: HeldAttempt, low: float, high: float) -> None:
    histogram = {"low": low, "high": high, "counts": [2**32 - 1] * 64, "not_finite": 2**32 - 1}
    names = {"logits/real": histogram, "logits/fake": histogram, "neighbours/l1": histogram}
    assert attempt.send({"kind": "histograms_logged", "iteration": 1, "histograms": names}) == 200
    attempt.read_all()
    for axes in ((low, high), (-LARGEST, LARGEST), (0, SMALLEST), (1, 1), ("nan", 1), (0, "1e400")):
        query = {"first": 0, "last": 10**30, "low": axes[0], "high": axes[1]}
        answer = attempt.client.get(f"/runs/{attempt.job_id}/logits/real.png", params=query)
        assert answer.status_code in (200, 404, 422), axes


def test_huge_counts_in_events_are_stored_or_refused(attempt: HeldAttempt) -> None:
    png = make_png()
    attempt.client.put(f"/artifacts/{sha256(png)}", content=png, headers={"content-type": "image/png"})
    file = {"path": "x.png", "sha256": sha256(png), "size": 10**40}
    sizes = {"rows": 256, "columns": 256, "cell_width": 4096, "cell_height": 4096}
    grid = {"iteration": 1, "file": file, **sizes, "latents_sha256": "a" * 64}
    counts = {"image_count": 10**30, "generator_parameters": 10**300, "discriminator_parameters": 1}
    started = {"iteration": 0, "iterations": 5, "device": "\0", "precision": "x"}
    assert attempt.send({"kind": "training_started", **started, **counts}) in (200, 422)
    assert attempt.send({"kind": "sample_grid_saved", **grid}) == 200
    assert attempt.send({"kind": "neighbour_grid_saved", **grid}) == 200
    assert attempt.send({"kind": "checkpoint_saved", "iteration": 1, "file": file}) == 200
    assert attempt.send({"kind": "latents_fixed", "file": file, "count": 10**30, "latent_size": 10**30}) == 200
    assert attempt.send({"kind": "line_logged", "iteration": 10**30, "text": ""}) == 422
    attempt.read_all()


def test_numbers_beyond_any_range_in_addresses_are_refused(attempt: HeldAttempt) -> None:
    many = "9" * 5000
    job = f"/jobs/{attempt.job_id}"
    for query in (f"samples?limit={many}", f"metrics?points={many}", f"log?tail={many}", "log?tail=1e3"):
        assert attempt.client.get(f"{job}/{query}").status_code == 422
    for after in (many, "-1", "x", "²"):
        assert attempt.client.get(f"{job}/events?after={after}").status_code == 422
    assert attempt.client.post(f"{job}/attempts/{many}/heartbeat").status_code == 422
    assert attempt.client.get(f"/runs/{attempt.job_id}?iteration={many}&from={many}&to=-1").status_code == 200


TEXTS = [
    "a\0b",
    "\x1b[2J",
    "\u202e\u200f",
    "\ufffe\uffff",
    "\U0001f4a5" * 50,
    "'; DROP TABLE jobs; --",
    "%s%n{0}{{7*7}}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_stored_or_refused_and_shown(attempt: HeldAttempt, text: str) -> None:
    client = attempt.client
    assert client.post("/jobs", json=make_spec(description=text)).status_code in (201, 422)
    for field in ("name", "tags", "dataset"):
        given = [text] if field == "tags" else text
        assert client.post("/jobs", json=make_spec(**{field: given})).status_code == 422
    assert attempt.send({"kind": "line_logged", "iteration": 1, "text": text}) == 200
    provenance = {"branch": text, "uncommitted_diff": text, "versions": {text: text[:100]}, "hostname": text}
    claim = {"worker": text, "provenance": provenance}
    assert client.post("/workers/claim", json=claim).status_code in (200, 204, 422)
    assert client.post("/workers/claim", json=claim | {"worker": "w"}).status_code in (200, 204, 422)
    heartbeat = {"name": text, "device": text, "version": text[:50], "job_id": text[:32], "attempt": 1}
    assert client.post("/workers/heartbeat", json=heartbeat).status_code in (204, 422)
    assert client.post("/workers/heartbeat", json=heartbeat | {"name": "w"}).status_code in (204, 422)
    reason = {"code": "any", "message": text, "log_tail": text}
    finish = {"end": "failed", "events_count": attempt.seq, "reason": reason}
    assert client.post(f"{attempt.path}/finish", json=finish).status_code in (200, 422)
    attempt.read_all()


@pytest.mark.parametrize("half", ["description", "name"])
def test_half_a_character_is_no_text(client: TestClient, half: str) -> None:
    body = json.dumps(make_spec(**{half: "HERE"})).replace("HERE", "\\ud800")
    assert client.post("/jobs", content=body).status_code == 422
    assert client.post("/jobs", content=body.replace(f'"{half}"', '"\\ud800"')).status_code == 422
    assert client.post("/workers/heartbeat", content=b'{"name":"\\ud800"}').status_code == 422


def test_a_field_that_is_given_twice_is_refused(client: TestClient) -> None:
    once = json.dumps(TINY_SPEC)
    for twice in ('"name": "other"', '"latents": {"size": 2, "size": 3}', '"\\ud800": 1, "\\ud800": 2'):
        answer = client.post("/jobs", content=f"{once[:-1]}, {twice}}}")
        assert answer.status_code == 422
        assert "given twice" in answer.json()["error"]["message"]
    assert client.post("/jobs", content=once).status_code == 201


def test_methods_that_nobody_knows_are_counted_together(client: TestClient) -> None:
    for number in range(30):
        assert client.request(f"HOSTILE{number}", "/jobs").status_code == 405
    counted = client.get("/metrics").text
    assert 'method="other"' in counted
    assert "HOSTILE" not in counted
