"""The service as `ganvas up` runs it: /healthz answers at once, all else is loaded behind it.

/livez says that the process answers, and looks at nothing else: a probe that restarts the service must not do so
because a database is away.

1. The status of a SQLite database whose tables are up to date is read with the standard library alone.
2. SQLAlchemy and what runs beside the routes (lease expiry, wakes) are loaded and started while the port is open.
3. FastAPI, the routes and the dashboard are loaded with the first request for anything but /healthz.

Any other database goes through the second step before the port opens, as do tables that want a migration.
"""

import asyncio
import gc
import json
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from api import find_version
from api.errors import OriginRefused
from api.server.access.origins import LOOPBACK_HOSTS, SECURITY_HEADERS, check_host, check_origin
from api.server.access.proxies import strip_root
from api.server.database.status import HEAD_REVISION, Status, read_status
from api.server.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from api.server.services import Services

Loaded = TypeVar("Loaded")


class LazyApp:
    """An ASGI application that loads the service piece by piece.

    Both are called in the event loop. on_loaded: with the services, once they run. on_failed: with the error that
    ended a step; the server should stop.
    """

    def __init__(
        self,
        settings: Settings,
        on_loaded: "Callable[[Services], None]",
        on_failed: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._on_loaded = on_loaded
        self._on_failed = on_failed
        self._hosts = LOOPBACK_HOSTS | {
            name.lower() for name in (*settings.allowed_hosts, settings.own_address) if name
        }
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self._services: Services | None = None
        self._app: ASGIApp | None = None
        self._loading: asyncio.Task[ASGIApp] | None = None
        self._starting: asyncio.Task[None] | None = None
        self._has_answered = False

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer /healthz itself until the service is loaded, and hand over all else."""
        if scope["type"] == "lifespan":
            await self._run_beside(receive, send)
            return
        if self._is_plain(scope, "/livez"):
            await _answer_json({"status": "ok"}, send)
            return
        if self._app is None and self._is_plain(scope, "/healthz"):
            status = await asyncio.to_thread(self._read_status)
            if status is not None:
                await self._answer_health(status, send)
                return
        app = self._app or await self._load_app()
        await app(scope, receive, send)

    def end_streams(self) -> None:
        """End every open event stream, from any thread."""
        if self._services is not None:
            self._services.end_streams()

    async def _run_beside(self, receive: "Receive", send: "Send") -> None:
        await receive()
        self._starting = asyncio.create_task(self._start())
        if self._read_status() is None:
            try:
                await self._starting
            except Exception:
                await send({"type": "lifespan.startup.failed", "message": traceback.format_exc()})
                raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.end_streams()
        # A step that fails has been reported.
        await asyncio.gather(self._starting, return_exceptions=True)
        await asyncio.to_thread(self._stop)
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self) -> None:
        services = await self._load(self._start_services)
        if self._has_answered:
            services.availability.record("/healthz", 200)
        self._on_loaded(services)

    def _read_status(self) -> Status | None:
        """Return the status of a database that needs no preparation."""
        path = self._settings.sqlite_path
        status = read_status(path) if path else None
        return status if status and status.revision == HEAD_REVISION else None

    def _is_plain(self, scope: "Scope", path: str) -> bool:
        """Say whether this is a request for that path that nothing is wrong with."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return False
        if strip_root(self._settings.root_path, scope["path"]) != path:
            return False
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if "content-length" in headers or "transfer-encoding" in headers:
            return False
        try:
            check_host(headers.get("host"), self._hosts)
            check_origin("GET", headers)
        except OriginRefused:
            return False
        return True

    async def _answer_health(self, status: Status, send: "Send") -> None:
        self._has_answered = True
        if self._services is not None:
            self._services.availability.record("/healthz", 200)
        counts = {f"jobs_{state}": status.jobs.get(state, 0) for state in ("queued", "running")}
        known = {"status": "ok", "version": find_version(), "public_url": self._settings.public_url}
        await _answer_json(known | counts, send)

    async def _load_app(self) -> "ASGIApp":
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(self._build))
        # A reader that leaves must not take the others' service along.
        return await asyncio.shield(self._loading)

    async def _load(self, step: Callable[[], Loaded]) -> Loaded:
        """Run a step in the loader's thread, one after the other."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._loader, step)
        except Exception as error:
            self._on_failed(error)
            raise

    def _start_services(self) -> "Services":
        with _without_collection():
            from api.server.services import build_services

            services = build_services(self._settings)
            services.start()
        self._services = services
        return services

    def _build(self) -> "ASGIApp":
        with _without_collection():
            from ganvas.app import build_app

            app = build_app(self._settings, self._services)
        self._app = app
        return app

    def _stop(self) -> None:
        self._loader.shutdown()
        if self._services is not None:
            self._services.stop()


async def _answer_json(answer: dict[str, Any], send: "Send") -> None:
    body = json.dumps(answer, separators=(",", ":")).encode()
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": [*headers, *SECURITY_HEADERS]})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def _without_collection() -> Iterator[None]:
    """Load without the garbage collector, and keep what was loaded out of its sight."""
    # What is loaded stays until the end: to look through it for garbage would take a fifth of the start.
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
