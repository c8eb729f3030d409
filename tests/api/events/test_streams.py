"""Event streams over a real connection: everything once, in order, at once, and an end that nobody waits for."""

import asyncio
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn

from api.events import feed, log
from api.events.feed import LIST_EVERY_SECONDS
from api.main import build_service, end_streams
from api.server.settings import Settings
from tests.support.services import TINY_SPEC

# Far more than anything here takes on an idle machine.
PATIENCE_SECONDS = 60
AT = "2026-01-02T03:04:05Z"


class Live:
    """A service that answers on a real port."""

    def __init__(self, settings: Settings) -> None:
        self.app = build_service(settings)
        config = uvicorn.Config(self.app, port=0, log_level="warning", timeout_graceful_shutdown=600)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive()
            time.sleep(0.005)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS)

    def stop(self) -> None:
        self.http.close()
        end_streams(self.app)
        self.server.should_exit = True
        self.thread.join(PATIENCE_SECONDS)

    def start_job(self) -> str:
        job_id = str(self.http.post("/jobs", json=TINY_SPEC).json()["id"])
        assert self.http.post("/workers/claim", json={"worker": "w"}).status_code == 200
        return job_id

    def log(self, job_id: str, *iterations: int) -> None:
        events = [
            {
                "seq": i,
                "at": AT,
                "event": {"kind": "metrics_logged", "iteration": i, "values": {"loss/generator": i}},
            }
            for i in iterations
        ]
        answer = self.http.post(f"/jobs/{job_id}/attempts/1/events", json={"events": events})
        assert answer.status_code == 200, answer.text


class Listener:
    """Reads one stream in a thread; `next` waits for a message."""

    def __init__(self, live: Live, path: str, **headers: str) -> None:
        self.messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self.comments: queue.Queue[str] = queue.Queue()
        self.ended = threading.Event()
        self._url = f"{live.http.base_url}{path}"
        self._headers = headers
        threading.Thread(target=self._read, daemon=True).start()
        assert self.comments.get(timeout=PATIENCE_SECONDS) == ": connected"

    def next(self) -> dict[str, Any]:
        return self.messages.get(timeout=PATIENCE_SECONDS)

    def _read(self) -> None:
        with (
            httpx.Client(timeout=PATIENCE_SECONDS) as http,
            http.stream("GET", self._url, headers=self._headers) as answer,
        ):
            assert answer.headers["content-type"].startswith("text/event-stream")
            event_id = ""
            for line in answer.iter_lines():
                if line.startswith(":"):
                    self.comments.put(line)
                elif line.startswith("id: "):
                    event_id = line[4:]
                elif line.startswith("data: "):
                    message = json.loads(line[6:])
                    assert str(message["id"]) == event_id
                    self.messages.put(message)
        self.ended.set()


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[..., Live]]:
    running: list[Live] = []

    def start_service(**changes: Any) -> Live:
        running.append(Live(settings.model_copy(update=changes)))
        return running[-1]

    yield start_service
    for live in running:
        live.stop()


def iterations_of(message: dict[str, Any]) -> list[int]:
    return [event["iteration"] for event in message["events"] if event["kind"] == "metrics_logged"]


def kinds_of(message: dict[str, Any]) -> list[str]:
    return [event["kind"] for event in message["events"]]


def test_a_stream_tells_everything_from_the_beginning_and_then_what_happens(start: Callable[..., Live]) -> None:
    live = start()
    job_id = live.start_job()
    live.log(job_id, 0, 1)
    listener = Listener(live, f"/jobs/{job_id}/events")
    told = [listener.next() for _ in range(3)]
    assert [kinds_of(message) for message in told] == [
        ["state_changed"],
        ["state_changed", "attempt_started", "line_logged"],
        ["metrics_logged"] * 2,
    ]
    live.log(job_id, 2)
    message = listener.next()
    assert (iterations_of(message), message["attempt"], message["job"]["iteration"]) == ([2], 1, 2)
    assert message["job"]["latest"]["loss/generator"]["value"] == 2


@pytest.mark.parametrize("by_header", [True, False])
def test_a_stream_goes_on_after_the_last_id_without_gap_or_double(
    start: Callable[..., Live], by_header: bool
) -> None:
    live = start()
    job_id = live.start_job()
    for iteration in range(30):
        live.log(job_id, iteration)
    whole = Listener(live, f"/jobs/{job_id}/events")
    told = [whole.next() for _ in range(32)]
    assert [message["id"] for message in told] == sorted({message["id"] for message in told})
    last = str(told[20]["id"])
    query, headers = ("?after=0", {"last-event-id": last}) if by_header else (f"?after={last}", {})
    rest = Listener(live, f"/jobs/{job_id}/events{query}", **headers)
    assert [rest.next() for _ in range(11)] == told[21:]


def test_what_is_logged_while_a_stream_opens_is_told_once(start: Callable[..., Live]) -> None:
    live = start()
    job_id = live.start_job()
    after = live.http.get(f"/jobs/{job_id}").json()["last_event_id"]
    writer = threading.Thread(target=lambda: [live.log(job_id, iteration) for iteration in range(60)])
    writer.start()
    listeners = [Listener(live, f"/jobs/{job_id}/events?after={after}") for _ in range(5)]
    for listener in listeners:
        told: list[int] = []
        while len(told) < 60:
            told += iterations_of(listener.next())
        assert told == list(range(60))
    writer.join()


def test_streams_see_what_another_process_commits(start: Callable[..., Live], settings: Settings) -> None:
    first, second = start(), start()
    job_id = first.start_job()
    after = first.http.get(f"/jobs/{job_id}").json()["last_event_id"]
    listener = Listener(second, f"/jobs/{job_id}/events?after={after}")
    first.log(job_id, 0)
    assert iterations_of(listener.next()) == [0]


def test_a_stream_hears_of_its_own_job_only(start: Callable[..., Live]) -> None:
    live = start()
    first, second = live.start_job(), live.start_job()
    after = live.http.get(f"/jobs/{second}").json()["last_event_id"]
    listener = Listener(live, f"/jobs/{first}/events?after={after}")
    live.log(second, 0)
    live.log(first, 0)
    assert listener.next()["job"]["id"] == first
    assert listener.messages.empty()


def test_the_stream_of_all_jobs_begins_now_and_tells_each_summary(
    start: Callable[..., Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    is_over = threading.Event()

    async def wait(seconds: float) -> None:
        waited.append(seconds)
        while not is_over.is_set():
            await asyncio.sleep(0.005)

    monkeypatch.setattr(feed, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": wait}))
    live = start()
    job_id = live.start_job()
    listener = Listener(live, "/events")
    live.log(job_id, 0)
    messages = [listener.next()]
    # A quick job comes a few times a second only: the next message holds what came meanwhile.
    for iteration in range(1, 20):
        live.log(job_id, iteration)
    is_over.set()
    messages.append(listener.next())
    assert [message["job"]["iteration"] for message in messages] == [0, 19]
    assert waited[0] == LIST_EVERY_SECONDS
    assert all(message["events"] == [] and message["job"]["id"] == job_id for message in messages)


def test_a_quiet_stream_says_now_and_then_that_it_is_there(start: Callable[..., Live]) -> None:
    live = start(stream_keepalive_seconds=0.05)
    listener = Listener(live, f"/jobs/{live.start_job()}/events")
    assert listener.comments.get(timeout=PATIENCE_SECONDS) == ": keepalive"


def test_a_service_that_stops_ends_its_streams_first(start: Callable[..., Live]) -> None:
    live = start()
    job_id = live.start_job()
    listeners = [Listener(live, path) for path in (f"/jobs/{job_id}/events", "/events")]
    # The server itself would wait ten minutes for open streams, so an end in time is the streams' own.
    live.stop()
    assert not live.thread.is_alive()
    assert all(listener.ended.wait(PATIENCE_SECONDS) for listener in listeners)


def test_nobody_asks_the_database_while_no_stream_is_open(
    start: Callable[..., Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = log.list_batch_ids

    def list_batch_ids(*arguments: Any) -> list[tuple[int, str]]:
        asked.append(1)
        return real(*arguments)

    monkeypatch.setattr(log, "list_batch_ids", list_batch_ids)
    live = start()
    live.log(live.start_job(), 0)
    assert asked == []


def test_a_position_that_is_no_number_is_refused(start: Callable[..., Live]) -> None:
    live = start()
    job_id = live.start_job()
    answer = live.http.get(f"/jobs/{job_id}/events", headers={"last-event-id": "yesterday"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "request_invalid")
    assert live.http.get(f"/jobs/{job_id}/events?after=-1").status_code == 422
