"""Connections: the silent ones of strangers give way, slow ones end, and a worker finds room."""

import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.server.http import connections
from api.server.http.connections import GuardedConnection
from api.server.settings import Settings
from tests.conftest import LiveService
from tests.support.servers import make_home
from tests.support.services import TINY_SPEC

Start = Callable[[Settings], LiveService]
# Far more than anything here takes on an idle machine.
PATIENCE_SECONDS = 60
GET = b"GET /jobs HTTP/1.1\r\nhost: localhost\r\n\r\n"
BODY = b"POST /jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nx"


@pytest.fixture
def start(tmp_path: Path, start_service: Start, monkeypatch: pytest.MonkeyPatch) -> Start:
    monkeypatch.setattr(connections, "SWEEP_SECONDS", 0.02)

    def start(settings: Settings) -> LiveService:
        return start_service(settings)

    return start


@pytest.fixture
def service(start: Start, tmp_path: Path) -> LiveService:
    return start(Settings(home=make_home(tmp_path / "home"), port=0, max_connections=20))


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connect(opened: ExitStack, service: LiveService, sent: bytes = b"") -> socket.socket:
    port = int(service.url.rpartition(":")[2])
    connection = opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS))
    connection.sendall(sent)
    return connection


def is_closed(connection: socket.socket) -> bool:
    """Wait until the service closes the connection."""
    try:
        return connection.recv(65_536) == b""
    except ConnectionResetError:
        return True


def wait_for_another(seen: list[int]) -> None:
    """Wait until the service has looked through its connections once more."""
    before, end = len(seen), time.monotonic() + PATIENCE_SECONDS
    while len(seen) == before:
        assert time.monotonic() < end
        time.sleep(0.001)


def beat(service: LiveService) -> int:
    def post(path: str, json: Any = None) -> httpx.Response:
        return httpx.post(f"{service.url}{path}", json=json, timeout=PATIENCE_SECONDS)

    post("/jobs", TINY_SPEC)
    claim = post("/workers/claim", {"worker": "w"}).json()
    return post(f"/jobs/{claim['job_id']}/attempts/{claim['attempt']}/heartbeat").status_code


@pytest.mark.parametrize("sent", [b"", GET[:20], BODY], ids=["silent", "half a head", "half a body"])
@pytest.mark.parametrize("an_address", [5, 1000], ids=["an address", "in all"])
def test_silent_connections_of_strangers_give_way_to_a_worker(
    service: LiveService, opened: ExitStack, monkeypatch: pytest.MonkeyPatch, sent: bytes, an_address: int
) -> None:
    monkeypatch.setattr(connections, "STRANGERS_AN_ADDRESS", an_address)
    monkeypatch.setattr(GuardedConnection, "is_known", lambda self: False)
    crowd = [connect(opened, service, sent) for _ in range(60)]
    assert beat(service) == 200
    # Those that came first have gone.
    assert is_closed(crowd[0])
    assert is_closed(crowd[30])


def test_control_when_nobody_gives_way_a_worker_is_refused(
    service: LiveService, opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GuardedConnection, "is_silent", lambda self: False)
    for _ in range(30):
        connect(opened, service)
    with pytest.raises((httpx.TransportError, ValueError)):
        beat(service)


def test_a_connection_that_has_shown_a_token_stays(
    service: LiveService, opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "STRANGERS_AN_ADDRESS", 5)
    with httpx.Client(base_url=service.url, timeout=PATIENCE_SECONDS) as worker:
        assert worker.get("/jobs").status_code == 200
        [own] = worker._transport._pool.connections  # type: ignore[attr-defined]
        crowd = [connect(opened, service) for _ in range(15)]
        assert is_closed(crowd[0])
        assert worker.get("/jobs").status_code == 200
        assert worker._transport._pool.connections == [own]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("sent", "limit"),
    [(b"", "HEAD_SECONDS"), (GET[:20], "HEAD_SECONDS"), (BODY, "BODY_SECONDS")],
    ids=["silent", "half a head", "half a body"],
)
def test_a_client_that_keeps_silent_is_let_go(
    service: LiveService, opened: ExitStack, monkeypatch: pytest.MonkeyPatch, sent: bytes, limit: str
) -> None:
    monkeypatch.setattr(connections, limit, 0.05)
    assert is_closed(connect(opened, service, sent))


def test_a_reader_that_takes_nothing_is_let_go(
    service: LiveService, opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = []
    forget = GuardedConnection.connection_lost
    monkeypatch.setattr(connections, "STALLED_SECONDS", 0.05)
    monkeypatch.setattr(
        GuardedConnection,
        "connection_lost",
        lambda self, exc: lost.append(self.stalled_since) or forget(self, exc),
    )
    reader = connect(opened, service)
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    # Answers that nobody takes: the pages of the schema, until the buffers are full.
    schema = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        reader.sendall(schema * 100_000)
    assert any(since is not None for since in lost)


def test_a_slow_client_that_goes_on_is_served(
    service: LiveService, opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, came, looked = time.monotonic(), [], []
    receive, is_late = GuardedConnection.data_received, GuardedConnection.is_late

    def count(self: GuardedConnection, data: bytes) -> None:
        came.append(len(data))
        receive(self, data)

    def look(self: GuardedConnection, _: float) -> bool:
        # Time goes by with each byte that comes: a busy machine sends none for a while.
        looked.append(1)
        return is_late(self, begun + sum(came) - len(BODY))

    monkeypatch.setattr(GuardedConnection, "data_received", count)
    monkeypatch.setattr(GuardedConnection, "is_late", look)
    monkeypatch.setattr(connections, "HEAD_SECONDS", 10_000)
    monkeypatch.setattr(connections, "BODY_BYTES", 1)
    monkeypatch.setattr(connections, "BODY_SECONDS", 5)
    connection = connect(opened, service, BODY)
    for number in range(999):
        connection.sendall(b" ")
        if number % 100 == 0:
            wait_for_another(looked)
    assert connection.recv(65_536).startswith(b"HTTP/1.1 422")


def test_streams_leave_half_of_the_connections_to_others(service: LiveService, opened: ExitStack) -> None:
    stream = b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n"
    said = [connect(opened, service, stream).recv(12) for _ in range(11)]
    assert said == [b"HTTP/1.1 200"] * 10 + [b"HTTP/1.1 429"]
    assert beat(service) == 200


def test_connections_of_a_trusted_proxy_are_not_counted_an_address(
    start: Start, tmp_path: Path, opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "STRANGERS_AN_ADDRESS", 2)
    service = start(Settings(home=make_home(tmp_path / "home"), port=0, trusted_proxies="127.0.0.1"))
    crowd = [connect(opened, service) for _ in range(10)]
    for connection in crowd:
        connection.sendall(GET)
    assert all(connection.recv(12) == b"HTTP/1.1 200" for connection in crowd)


def test_files_are_kept_for_the_database_and_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"now": (1024, 4096)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.update(now=wanted))
    assert connections.raise_file_limit() == 4096
    assert limits["now"] == (4096, 4096)
    assert [connections._connections_for_files(files) for files in (256, 1024, 4096)] == [28, 412, 1948]
