"""Shows folders of runs on a dashboard of their own, and follows them while they grow; nobody can change anything.

The service keeps its data in a folder that goes with it. It is filled as by `ganvas sync`, through an address that
this process alone knows; every other request may only read.
"""

import json
import logging
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.client.transport import Transport, is_temporary
from api.errors import MethodRefused, ServiceError
from api.server.access.grants import GRANTS, LIMIT
from api.server.http.connections import build_config
from api.server.operations.logging import set_up_logs
from api.server.settings import Settings
from ganlib.errors import GanlibError
from ganvas.startup.lazy_app import LazyApp
from ganvas.startup.local import LocalServer
from ganvas.tracking.commands import find_runs
from ganvas.tracking.folder import RunFolder
from ganvas.tracking.sender.delivery import Delivery
from ganvas.tracking.sender.position import DeliveryRefused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

FOLLOW_SECONDS = 0.5
# What a person posts that changes nothing but a cookie.
_OWN_VIEW = {"/theme", "/runs/columns", "/runs/view", "/login", "/logout"}
# The service's own state, and nobody else's: what the environment says of a database or a bucket is not meant.
_OWN = {"database_url": None, "broker_url": None, "blobs_url": None, "webhook_url": None, "read_only": False}


def show_folders(folders: Iterable[Path], **settings: Any) -> None:
    """Serve the runs in these folders until a signal comes. settings: of the service, such as host and port."""
    with tempfile.TemporaryDirectory(prefix="ganvas-open-") as home:
        chosen = Settings(**{**settings, **_OWN, "home": Path(home), "submits_per_minute": 1_000_000})
        _serve(list(folders), chosen)


def _serve(folders: list[Path], settings: Settings) -> None:
    failures: list[BaseException] = []
    secret = secrets.token_urlsafe(24)
    set_up_logs(logging.WARNING)

    def on_failed(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    def on_ready(port: int) -> None:
        url = f"http://127.0.0.1:{port}"
        click.echo(f"Ganvas shows {', '.join(map(str, folders))} at {url}, read-only")
        follower.start(f"{url}/{secret}")

    def on_stop() -> None:
        follower.stop()
        app.end_streams()

    follower = Follower(folders, settings.token)
    app = LazyApp(settings, lambda _: None, on_failed)
    server = LocalServer(build_config(ReadOnlyApp(app, secret), settings), on_ready, on_stop)
    server.run()
    if failures:
        raise failures[0]


class ReadOnlyApp:
    """An ASGI application that lets requests read alone, but for those below the secret's path.

    Pages know that, and show no control that could not be used.
    """

    def __init__(self, app: "ASGIApp", secret: str) -> None:
        self._app = app
        self._prefix = f"/{secret}"

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            if scope["path"].startswith(f"{self._prefix}/"):
                path = scope["path"].removeprefix(self._prefix)
                scope = {**scope, "path": path, "raw_path": path.encode()}
            elif scope["method"] not in ("GET", "HEAD") and scope["path"] not in _OWN_VIEW:
                await _refuse(send)
                return
            else:
                scope = {**scope, LIMIT: GRANTS["read"]}
        await self._app(scope, receive, send)


async def _refuse(send: "Send") -> None:
    message = (
        "These runs are shown from their folders and can only be read; `ganvas sync` sends them to a service."
    )
    body = json.dumps(
        {"error": {"code": MethodRefused.code, "message": message, "details": {}, "id": ""}}
    ).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": MethodRefused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Follower:
    """Delivers what is in the folders, and what comes, on a thread of its own."""

    def __init__(
        self, folders: list[Path], token: str | None = None, tell: Callable[[str], None] = click.echo
    ) -> None:
        self._folders = folders
        self._token = token
        self._tell = tell
        self._deliveries: dict[Path, Delivery] = {}
        # Runs of which all is shown, or nothing can be.
        self._done: set[Path] = set()
        self._told: set[str] = set()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, url: str) -> None:
        """Begin to fill the service at this address."""
        self._thread = threading.Thread(target=self._follow, args=(url,), name="follower", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(10)

    def _follow(self, url: str) -> None:
        with Transport(url, self._token) as transport:
            while not self._stopping.is_set():
                for path in [path for folder in self._folders for path in find_runs(folder)]:
                    if path not in self._done and not self._stopping.is_set():
                        self._look_at(path, transport)
                self._stopping.wait(FOLLOW_SECONDS)
        for delivery in self._deliveries.values():
            delivery.close()

    def _look_at(self, path: Path, transport: Transport) -> None:
        try:
            delivery = self._deliveries.get(path)
            if delivery is None:
                delivery = self._deliveries[path] = Delivery(RunFolder(path), transport, keeps_position=False)
            # Read before the events, so that none is missed.
            end = delivery.folder.read_end()
            while delivery.deliver_some() and not self._stopping.is_set():
                pass
            if end is not None and delivery.next_seq >= end["events_count"]:
                delivery.finish(end)
                self._forget(path)
        except (ServiceError, DeliveryRefused, GanlibError) as error:
            if isinstance(error, ServiceError) and is_temporary(error):
                return
            # A folder that is being copied may be whole the next time.
            if not isinstance(error, GanlibError):
                self._forget(path)
            self._tell_once(path, error)

    def _forget(self, path: Path) -> None:
        self._done.add(path)
        with suppress(KeyError):
            self._deliveries.pop(path).close()

    def _tell_once(self, path: Path, error: Exception) -> None:
        line = f"{path.name}: {error}"
        if line not in self._told:
            self._told.add(line)
            self._tell(line)
