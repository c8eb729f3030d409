"""Pictures that are bombs or something else, checkpoints that are pickles, bodies without end, slow senders."""

import pickle
import socket
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from tests.api.hostile.attempt import HeldAttempt
from tests.conftest import LiveService
from tests.support.services import make_png, sha256

BYTES, PNG = "application/octet-stream", "image/png"
GIB = 1_073_741_824


def make_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def make_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + make_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))


END = make_chunk(b"IEND", b"")
REFUSED = [
    make_header(65_535, 65_535) + END,
    make_header(2**31 - 1, 1) + END,
    make_header(2**32 - 1, 2**32 - 1) + END,
    make_header(0, 0) + END,
    make_header(8, 8) + make_chunk(b"IDAT", b"\0" * 9_000_000) + END,
    b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    b"<html><script>alert(1)</script></html>",
    b"GIF89a" + b"\0" * 40,
    b"\x89PNG\r\n\x1a\n",
    b"\n" + make_png(),
    b"",
]
# Real headers, and what a decoder or a browser that guesses might fall for.
INERT = [
    make_header(4000, 4000) + make_chunk(b"IDAT", zlib.compress(b"\0" * 60_000_000, 9)) + END,
    make_header(8, 8) + make_chunk(b"tEXt", b"a\0b") * 50_000 + END,
    make_png() + b"<html><script>alert(1)</script></html>",
    make_header(8, 8) + make_chunk(b"tEXt", b"x\0<script>alert(1)</script>") + END,
    make_png() + b"*/=1;alert(1)//",
    make_header(8, 8) + struct.pack(">I", 2**31 - 1) + b"IDAT",
]


def put(client: TestClient, content: bytes, media_type: str) -> httpx.Response:
    return client.put(f"/artifacts/{sha256(content)}", content=content, headers={"content-type": media_type})  # type: ignore[return-value]


@pytest.mark.parametrize("index", range(len(REFUSED)))
def test_what_is_no_picture_or_too_large_a_one_is_refused(refusing_client: TestClient, index: int) -> None:
    content = REFUSED[index]
    assert put(refusing_client, content, PNG).status_code in (413, 422)
    assert refusing_client.get(f"/artifacts/{sha256(content)}").status_code == 404


@pytest.mark.parametrize("index", range(len(INERT)))
def test_a_picture_that_is_more_than_one_is_served_as_a_picture_alone(client: TestClient, index: int) -> None:
    content = INERT[index]
    assert put(client, content, PNG).status_code == 200
    answer = client.get(f"/artifacts/{sha256(content)}", headers={"accept": "text/html"})
    assert answer.content == content
    assert answer.headers["content-type"] == PNG
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "kind", ["text/html", "image/svg+xml", "text/javascript", "image/png, text/html", "", "x" * 5000]
)
def test_other_types_are_refused(refusing_client: TestClient, kind: str) -> None:
    assert put(refusing_client, make_png(), kind).status_code == 422


class Evil:
    """Leaves a file behind wherever it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.path), "w")


def test_an_evil_pickle_is_bytes_to_the_service_and_no_checkpoint_to_the_trainer(
    attempt: HeldAttempt, tmp_path: Path
) -> None:
    from ganlib.errors import CheckpointInvalid
    from ganlib.training.checkpoint import _read

    trace = tmp_path / "was here"
    content = pickle.dumps(Evil(trace))
    assert put(attempt.client, content, BYTES).status_code == 200
    file = {"path": "checkpoint.safetensors", "sha256": sha256(content), "size": len(content)}
    assert attempt.send({"kind": "checkpoint_saved", "iteration": 1, "file": file}) == 200
    attempt.read_all()
    answer = attempt.client.get(f"/artifacts/{sha256(content)}")
    assert answer.content == content
    assert answer.headers["content-disposition"].startswith("attachment")
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointInvalid):
        _read(path)
    assert not trace.exists()
    pickle.loads(content).close()  # noqa: S301  (the control: this is what must not happen)
    assert trace.exists()


def read_memory() -> int:
    """This process's resident bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def send(url: str, head: str, parts: Iterable[bytes] = ()) -> tuple[bytes, int]:
    """Send a request byte by byte as told; returns the answer and how much of the body was taken."""
    address = httpx.URL(url)
    sent = 0
    with socket.create_connection((address.host, address.port or 80), timeout=10) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        try:
            for part in parts:
                connection.sendall(part)
                sent += len(part)
        except OSError:
            pass
        try:
            return connection.recv(65_536), sent
        except OSError:
            return b"", sent


def test_a_body_of_a_gigabyte_is_refused_before_it_is_read(live_service: LiveService) -> None:
    head = f"POST /jobs HTTP/1.1\nHost: 127.0.0.1\nContent-Length: {GIB}"
    answer, _ = send(live_service.url, head)
    assert answer.startswith(b"HTTP/1.1 413")
    answer, _ = send(
        live_service.url, head.replace("POST /jobs", f"PUT /artifacts/{'a' * 64}") + f"\nContent-Type: {PNG}"
    )
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_body_in_chunks_without_end_is_refused_at_the_limit(live_service: LiveService) -> None:
    head = "POST /jobs HTTP/1.1\nHost: 127.0.0.1\nTransfer-Encoding: chunked"
    part = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    before = read_memory()
    answer, sent = send(live_service.url, head, (part for _ in range(GIB // 65_536)))
    assert answer.startswith(b"HTTP/1.1 413") or sent < GIB // 4
    assert read_memory() - before < 128 * 1_048_576


def test_who_sends_half_a_request_holds_up_nobody(live_service: LiveService) -> None:
    address = httpx.URL(live_service.url)
    halves = [socket.create_connection((address.host, address.port or 80), timeout=10) for _ in range(100)]
    try:
        for number, half in enumerate(halves):
            whole = b"POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{"
            half.sendall(whole if number % 2 else whole[:30])
        assert httpx.get(f"{live_service.url}/jobs", timeout=10).status_code == 200
    finally:
        for half in halves:
            half.close()


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
FOREIGN = [
    {"host": "evil.example"},
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"sec-fetch-site": "cross-site"},
]


@pytest.mark.parametrize("method", METHODS)
def test_no_route_answers_a_foreign_host_or_origin(refusing_client: TestClient, method: str) -> None:
    paths = {str(getattr(context, "path", "")) for context in iter_route_contexts(refusing_client.app.routes)}  # type: ignore[attr-defined]
    assert len(paths) > 20
    for path in paths:
        for name in ("job_id", "sha256", "attempt", "which", "digest", "name:path"):
            path = path.replace(f"{{{name}}}", "1")
        for headers in FOREIGN:
            assert refusing_client.request(method, path, headers=headers).status_code == 403, (path, headers)


def test_a_million_points_are_refused(attempt: HeldAttempt) -> None:
    values = ",".join(f'"a/b{index}":0' for index in range(250))
    event = f'{{"kind":"metrics_logged","iteration":1,"values":{{{values}}}}}'
    numbered = ",".join(f'{{"seq":{seq},"at":"2026-01-02T03:04:05Z","event":{event}}}' for seq in range(4000))
    path = f"{attempt.path}/events"
    assert attempt.client.post(path, content=f'{{"events":[{numbered}]}}').status_code == 413
    few = ",".join(f'{{"seq":{seq},"at":"2026-01-02T03:04:05Z","event":{event}}}' for seq in range(100))
    assert attempt.client.post(path, content=f'{{"events":[{few}]}}').status_code == 422
