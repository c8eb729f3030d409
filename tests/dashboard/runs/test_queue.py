"""The queue and the workers: what waits and why, about when it starts, who runs what, and what one can do."""

import re
from urllib.parse import urlencode

import pytest
from fastapi.testclient import TestClient

from api.workers import queries as worker_queries
from tests.dashboard.web.test_pages import read, words
from tests.support.fake_worker import FakeWorker

PAGE = "/queue-and-workers"


def waiting(html: str) -> list[tuple[str, str]]:
    """The runs that wait in their order, each with when it starts."""
    rows = re.findall(r"<tr>.*?</tr>", html.split('<table class="waiting">')[1].split("</table>")[0], re.S)
    found = [
        re.search(r'<th scope="row"><a [^>]*>([^<]*)</a>.*data-label="Starts in">([^<]*)<', row, re.S)
        for row in rows
    ]
    return [(match[1], match[2]) for match in found if match]


def act(client: TestClient, action: str, job_id: str) -> str:
    fields = {"back": PAGE, "run": job_id, "action": action}
    answer = client.post("/runs/actions", content=urlencode(fields).encode())
    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    return read(client, PAGE)


def test_starts_follow_from_the_pace_of_what_runs_and_the_order_can_be_changed(
    client: TestClient, worker: FakeWorker
) -> None:
    running = worker.submit(name="runs-now")
    worker.claim()
    second, third = (worker.submit(name=name) for name in ("second", "third"))
    bound = worker.submit(name="bound", queue={"commit": "0123456789"})
    # As long as nobody knows the pace nothing is said.
    assert waiting(read(client, PAGE)) == [("second", "–"), ("third", "–"), ("bound", "–")]
    worker.post({"kind": "metrics_logged", "iteration": 400, "values": {"speed/iterations_per_second": 10.0}})
    html = read(client, PAGE)
    # 600 iterations are left of the one, and 1,000 of the next.
    assert waiting(html) == [("second", "about 1 min 0 s"), ("third", "about 2 min 40 s"), ("bound", "–")]
    assert "at 400 of 1,000, about 1 min 0 s left" in words(html)
    assert html.count('aria-label="Move first: ') == 2
    html = act(client, "first", third)
    assert [name for name, _ in waiting(html)] == ["third", "second", "bound"]
    # A worker takes it first, too; its spec is as it was submitted.
    assert client.get(f"/jobs/{third}").json()["spec"]["queue"]["priority"] == 0
    assert "Moved to the front of the queue." in client.get(f"/jobs/{third}/log").text
    html = act(client, "cancel", second)
    assert [name for name, _ in waiting(html)] == ["third", "bound"]
    worker.finish("succeeded")
    worker.claim()
    assert worker.job_id == third
    refused = client.post(f"/jobs/{running}/first")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "job_state_conflict")
    assert client.post(f"/jobs/{bound}/first").json()["state"] == "queued"


def test_queue_page_shows_what_waits_and_why_and_who_runs_what(client: TestClient, worker: FakeWorker) -> None:
    assert "No worker has been seen in the last day. Runs wait" in words(read(client, "/queue-and-workers"))
    waits = worker.submit(name="waits")
    assert "There is no worker." in words(read(client, "/queue-and-workers"))
    client.post(f"/jobs/{waits}/cancel")
    worker.submit(name="runs-now")
    worker.claim(worker="bench-2:4711")
    worker.submit(name="second")
    worker.submit(name="first", queue={"priority": 5})
    worker.submit(name="needs-card", queue={"gpu_memory_gib": 24})
    worker.submit(name="pinned", queue={"commit": "0123456789", "gpus": 2})
    # It has not described itself yet, but it is there.
    shown = words(read(client, "/queue-and-workers"))
    assert "4 waiting, 1 running, 1 worker" in shown
    assert shown.count("The worker is busy.") == 4
    card = {"index": 0, "name": "A100", "memory_total": 16 * 2**30, "memory_used": 2**30, "utilisation": 0.83}
    cpu = {"cores": 8, "memory_total": 32 * 2**30, "memory_used": 3 * 2**30, "utilisation": 0.352}
    described = {
        "name": "bench-2:4711",
        "device": "cpu",
        "gpus": [card],
        "cpu": cpu,
        "job_id": worker.job_id,
        "attempt": 1,
    }
    assert client.post("/workers/heartbeat", json=described).status_code == 204
    html = read(client, "/queue-and-workers")
    shown = words(html)
    assert "No worker" not in shown.replace("No worker has a card", "").replace("No worker runs commit", "")
    for part in (
        "4 waiting, 1 running, 1 worker",
        "runs runs-now at 0 of 1,000",
        "1.0 of 16 GiB",
        "83 % busy",
        "8 cores",
        "3.0 of 32 GiB",
        "35 % busy",
        "24 GiB of a card",
        "2 cards, commit 0123456",
        "No worker runs commit 0123456.",
        "No worker has a card of 24 GiB; the largest has 16 GiB.",
        "The worker is busy.",
    ):
        assert part in shown, part
    assert html.index(">first</a>") < html.index(">second</a>") < html.index(">needs-card</a>")


def test_workers_that_are_away_are_not_called_missing(
    client: TestClient, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.submit(name="waits")
    client.post("/workers/heartbeat", json={"name": "bench-1:1"})
    shown = words(read(client, "/queue-and-workers"))
    assert "1 waiting, 0 running, 1 worker" in shown
    assert "Runs wait until" not in shown
    monkeypatch.setattr(worker_queries, "ALIVE_SECONDS", -1.0)
    shown = words(read(client, "/queue-and-workers"))
    assert "1 waiting, 0 running, 1 worker away" in shown
    assert "The only worker was last seen 0 s ago. Runs wait until it is back or another connects." in shown
    assert "The only worker is away." in shown
    client.post("/workers/heartbeat", json={"name": "bench-2:1"})
    shown = words(read(client, "/queue-and-workers"))
    assert "All 2 workers are away. Runs wait until one is back or another connects." in shown
    assert "2 workers away" in shown
    assert "No worker" not in shown
