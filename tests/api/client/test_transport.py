"""What the clients make of answers, of silence and of other programs, against a real socket."""

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from api.client import transport
from api.client.client import Client
from api.client.transport import ServiceUnreachable, Transport, UnexpectedAnswer, is_temporary
from api.errors import (
    ERRORS,
    ArtifactRefused,
    JobNotFound,
    ServiceError,
    ServiceUnavailable,
    StorageFull,
    TooManyRequests,
)

Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Start HTTP servers that answer every request with one function; returns their address."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def do_POST(self) -> None:
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_nobody_there_is_a_sentence_that_says_how_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("GANVAS_URL", url)
    with Client() as client, pytest.raises(ServiceUnreachable) as caught:
        client.get("job")
    assert str(caught.value) == (
        f"No Ganvas service answers at {url}. "
        "Start one with `ganvas up`, or name another with --url or GANVAS_URL."
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://[",
        "ftp://127.0.0.1",
        "htp://x",
        "http://",
        "http:/x",
        "http://a b",
        "http://x:port",
        "http://x:99999",
    ],
)
def test_an_address_that_cannot_be_one_is_refused_before_anybody_waits_for_it(url: str) -> None:
    with pytest.raises(ServiceUnreachable) as refused:
        Client(url)
    assert "is not the address of a service; write http://HOST:PORT" in str(refused.value)
    # A worker does not go on asking.
    assert not is_temporary(refused.value)


def test_an_address_without_a_scheme_is_http() -> None:
    assert Client("localhost:9000/").url == "http://localhost:9000"


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_an_error_comes_back_as_its_own_class(serve: Callable[[Answer], str], code: str) -> None:
    # `message` and `text` among the details must not get in the way of the constructor.
    details = {"next_seq": 4, "message": "other"}
    body = json.dumps({"error": {"code": code, "message": "why", "details": details, "id": "7"}}).encode()
    url = serve(lambda handler: reply(handler, ERRORS[code].status, body))
    with pytest.raises(ServiceError) as caught, Client(url) as client:
        client.health()
    assert type(caught.value) is ERRORS[code]
    assert (caught.value.text, caught.value.details["next_seq"], caught.value.details["error_id"]) == (
        "why",
        4,
        "7",
    )


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"error": "no"}', b'{"error": {"code": "new_one"}}'])
def test_another_program_is_told_from_a_service(serve: Callable[[Answer], str], body: bytes) -> None:
    with (
        pytest.raises(UnexpectedAnswer) as caught,
        Client(serve(lambda handler: reply(handler, 418, body))) as client,
    ):
        client.get("job")
    assert caught.value.answered == 418


def test_success_that_is_no_answer_of_ours_is_unexpected(serve: Callable[[Answer], str]) -> None:
    with pytest.raises(UnexpectedAnswer), Client(serve(lambda handler: reply(handler, 200, b"hello"))) as client:
        client.get("job")


def test_the_token_is_sent_as_a_bearer(serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []
    monkeypatch.setenv("GANVAS_TOKEN", "from-the-environment")

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        reply(handler, 200, b"{}")

    url = serve(answer)
    for token in (None, "given", "from-a-terminal\r\n"):
        Transport(url, token).request("GET", "/healthz")
    assert seen == ["Bearer from-the-environment", "Bearer given", "Bearer from-a-terminal"]


def busy(seconds: float) -> bytes:
    error = {
        "code": "too_many_requests",
        "message": "busy",
        "details": {"retry_after_seconds": seconds},
        "id": "7",
    }
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize("opens", ["request", "stream"])
def test_a_read_that_finds_the_service_busy_is_asked_again_when_it_says(
    serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch, opens: str
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(transport.time, "sleep", slept.append)
    answers = iter([(429, busy(2)), (429, busy(3)), (200, b"{}")])
    with Transport(serve(lambda handler: reply(handler, *next(answers)))) as connection:
        if opens == "request":
            assert connection.request("GET", "/healthz").content == b"{}"
        else:
            with connection.stream("/healthz") as response:
                assert response.read() == b"{}"
    assert slept == [2, 3]


@pytest.mark.parametrize(("method", "seconds", "waits"), [("POST", 1, 0), ("GET", 60, 0), ("GET", 1, 5)])
def test_a_service_that_stays_busy_or_counts_submits_is_not_waited_for(
    serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch, method: str, seconds: int, waits: int
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(transport.time, "sleep", slept.append)
    with (
        pytest.raises(TooManyRequests) as refused,
        Transport(serve(lambda handler: reply(handler, 429, busy(seconds)))) as connection,
    ):
        connection.request(method, "/jobs")
    assert len(slept) == waits
    # A worker tries again, in its own time.
    assert is_temporary(refused.value)


def test_submit_tries_again_with_the_same_key_after_a_broken_connection(serve: Callable[[Answer], str]) -> None:
    keys: list[str | None] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        keys.append(handler.headers["Idempotency-Key"])
        handler.rfile.read(int(handler.headers["Content-Length"]))
        if len(keys) < 3:
            handler.connection.close()
        else:
            reply(handler, 404, b'{"error": {"code": "job_not_found", "message": "why"}}')

    with pytest.raises(JobNotFound), Client(serve(answer)) as client:
        client.submit({"name": "x"})
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert keys[0]


def test_an_artifact_that_arrives_damaged_leaves_no_file(serve: Callable[[Answer], str], tmp_path: Path) -> None:
    url = serve(lambda handler: reply(handler, 200, b"damaged"))
    whole, target = hashlib.sha256(b"damaged").hexdigest(), tmp_path / "folder" / "file"
    with Client(url) as client:
        with pytest.raises(ArtifactRefused):
            client.download("0" * 64, target)
        assert list(target.parent.iterdir()) == []
        assert client.download(whole, target).read_bytes() == b"damaged"


def test_an_artifact_that_breaks_off_leaves_no_file(serve: Callable[[Answer], str], tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.connection.close()

    with pytest.raises(ServiceUnreachable), Client(serve(answer)) as client:
        client.download("0" * 64, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_only_silence_and_the_services_own_trouble_may_pass() -> None:
    passing = [ServiceUnreachable("u"), ServiceUnavailable(), StorageFull(), UnexpectedAnswer("u", 502)]
    lasting = [JobNotFound(), ArtifactRefused(), UnexpectedAnswer("u", 403)]
    assert [is_temporary(error) for error in passing + lasting] == [True] * 4 + [False] * 3
