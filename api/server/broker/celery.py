"""The Celery app that wakes workers, built from a broker address, without the database.

A message has no payload: the worker that receives it claims a job over HTTP, and the claim decides. A lost,
repeated or late message affects only the delay. Workers consume them in a thread (`worker.loop.wake_listener`).
"""

import json
import os
import uuid
from pathlib import Path
from queue import Empty
from time import monotonic_ns
from typing import Any

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES, filesystem, virtual

from api.server.files import written_whole

WORK_TASK = "ganvas.work"
QUEUE = "ganvas"
# A message that no worker took by then is dropped; the reaper sends new ones while a job can be claimed.
WAKE_EXPIRES_SECONDS = 60

FILES_URL = "filesystem://"
_FILES_SCHEME = "ganvas-files"
TRANSPORT_ALIASES[_FILES_SCHEME] = "api.server.broker.celery:AtomicTransport"
_REDIS_OPTIONS = {
    "socket_connect_timeout": 2,
    # A server that hangs must hold up nobody: neither who sends, nor who waits for messages.
    "socket_timeout": 5,
    "health_check_interval": 5,
    # Wake-ups are never acknowledged, so Redis need not keep what is being worked on.
    "ack_emulation": False,
}


def build_broker(broker_url: str | None, home: Path) -> Celery:
    """Build the Celery app for `redis://…`, or for files below `home/broker` when no other address is given."""
    if broker_url in (None, "", FILES_URL):
        url, options = f"{_FILES_SCHEME}://", _prepare_folders(home / "broker")
    else:
        url, options = str(broker_url), dict(_REDIS_OPTIONS)
    app = Celery("ganvas", broker=url, set_as_current=False)
    app.conf.update(
        broker_transport_options=options,
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=2,
        task_publish_retry=False,
        task_default_queue=QUEUE,
        task_create_missing_queues=True,
        task_serializer="json",
        accept_content=["json"],
        result_backend=None,
        task_ignore_result=True,
        enable_utc=True,
    )
    return app


def _prepare_folders(folder: Path) -> dict[str, Any]:
    messages, taken, control = (folder / name for name in ("messages", "taken", "control"))
    for subfolder in (messages, taken, control):
        subfolder.mkdir(parents=True, exist_ok=True)
    _write_exchange(control / f"{QUEUE}.exchange")
    return {
        "data_folder_in": str(messages),
        "data_folder_out": str(messages),
        "processed_folder": str(taken),
        "control_folder": str(control),
        "polling_interval": 0.25,
    }


def _write_exchange(path: Path) -> None:
    # kombu creates this file empty and fills it afterwards; a process that starts in between would read nothing.
    if path.exists():
        return
    with written_whole(path) as file:
        file.write(json.dumps([[QUEUE, "", QUEUE]]).encode())


class AtomicChannel(filesystem.Channel):
    """A channel whose messages are files that appear complete or not at all."""

    # kombu names this argument differently in two of its classes
    def _put(self, queue: str, payload: dict[str, Any], **_: Any) -> None:  # type: ignore[override]
        name = f"{monotonic_ns() // 1_000_000:016d}_{uuid.uuid4()}.{queue}.msg"
        with written_whole(Path(self.data_folder_out) / name) as file:
            file.write(json.dumps(payload).encode())

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        for name in sorted(os.listdir(self.data_folder_in)):
            if name.startswith(".") or name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = Path(self.processed_folder) / name
            try:
                (Path(self.data_folder_in) / name).rename(taken)
            except FileNotFoundError:
                continue  # another worker took it first
            data = taken.read_bytes()
            taken.unlink()
            # Bytes that are no message raise ValueError; whoever waits for messages drops and counts them.
            return json.loads(data)
        raise Empty


class AtomicTransport(filesystem.Transport):
    """The transport that `api.server.broker.celery` registers."""

    Channel = AtomicChannel
    global_state = virtual.BrokerState()  # type: ignore[no-untyped-call]
