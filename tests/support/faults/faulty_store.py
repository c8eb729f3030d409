"""An S3 server behind a proxy that fails as stores and networks do: cut, late, overloaded, broken."""

import http.client
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3

from tests.support.servers import serve_s3

BUCKET = "grids"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
FAULTS = ("cut in mid-request", "answer lost", "late", "500 InternalError", "503 SlowDown")


class FaultyStore:
    """One bucket of moto's server behind the proxy.

    share: how many of the requests meet a fault, 0 to 1. happened: how often each kind of fault came.
    """

    def __init__(self, seed: int, upstream_url: str) -> None:
        self.share = 0.0
        self.happened = dict.fromkeys(FAULTS, 0)
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.upstream = upstream_url.removeprefix("http://")
        store = self
        self._proxy = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"store": store}))
        self._proxy.daemon_threads = True
        threading.Thread(target=self._proxy.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._proxy.server_port}"
        session = boto3.Session("any", "any", region_name="us-east-1")
        self.direct = session.client("s3", endpoint_url=upstream_url)
        self.direct.create_bucket(Bucket=BUCKET)

    def choose_fault(self) -> str | None:
        """Return what the next request meets."""
        with self._lock:
            if self._random.random() >= self.share:
                return None
            fault = self._random.choice(FAULTS)
            self.happened[fault] += 1
            return fault

    def read_all(self) -> dict[str, bytes]:
        """Return every object's bytes by the last part of its name, asked past the proxy."""
        pages = self.direct.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        bodies = {key: self.direct.get_object(Bucket=BUCKET, Key=key)["Body"] for key in keys}
        return {key.rpartition("/")[2]: body.read() for key, body in bodies.items()}

    def close(self) -> None:
        """Stop the proxy."""
        self.direct.close()
        self._proxy.shutdown()
        self._proxy.server_close()


class _Handler(BaseHTTPRequestHandler):
    store: FaultyStore
    protocol_version = "HTTP/1.1"

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        match self.store.choose_fault():
            case "cut in mid-request":
                self._forward(body, body[: len(body) // 2])
                self.close_connection = True
            case "answer lost":
                self._forward(body, body)
                self.close_connection = True
            case "late":
                time.sleep(0.3)
                self._answer(*self._forward(body, body))
            case "500 InternalError":
                self._answer(500, [], _error("InternalError"))
            case "503 SlowDown":
                self._answer(503, [], _error("SlowDown"))
            case None:
                self._answer(*self._forward(body, body))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass  # noqa: N815 (names that the library looks for)

    def _forward(self, body: bytes, sent: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """Send the request on, with the length of `body`; an answer is waited for only if all of it is sent."""
        connection = http.client.HTTPConnection(self.store.upstream, timeout=30)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("expect", "connection"):
                    connection.putheader(name, value)
            connection.endheaders(sent)
            if len(sent) < len(body):
                return 0, [], b""
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        lengths = [value for name, value in headers if name.lower() == "content-length"]
        self.send_header("content-length", lengths[0] if self.command == "HEAD" and lengths else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _error(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()


@contextmanager
def run_faulty_store(seed: int) -> Iterator[FaultyStore]:
    """Start both servers; they stop with the block."""
    with serve_s3() as upstream_url:
        store = FaultyStore(seed, upstream_url)
        try:
            yield store
        finally:
            store.close()
