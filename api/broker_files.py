"""Celery's filesystem transport with whole messages only.

kombu's own creates a message's file and fills it afterwards, so a reader may take it empty and fail; it also
moves what it reads through the system's temporary folder. Here a message appears and leaves by one rename.
"""

import json
import os
import uuid
from pathlib import Path
from queue import Empty
from time import monotonic_ns
from typing import Any

from kombu.transport import filesystem, virtual


class AtomicChannel(filesystem.Channel):
    """A channel whose messages are files that are never seen half-written."""

    # kombu names this argument differently in two of its classes
    def _put(self, queue: str, payload: dict[str, Any], **_: Any) -> None:  # type: ignore[override]
        name = f"{monotonic_ns() // 1_000_000:016d}_{uuid.uuid4()}.{queue}.msg"
        folder = Path(self.data_folder_out)
        temporary = folder / f".{name}.part"
        temporary.write_text(json.dumps(payload), encoding="utf-8")
        temporary.rename(folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        for name in sorted(os.listdir(self.data_folder_in)):
            if name.startswith(".") or name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = Path(self.processed_folder) / name
            try:
                (Path(self.data_folder_in) / name).rename(taken)
            except FileNotFoundError:
                continue  # another worker was quicker
            text = taken.read_text(encoding="utf-8")
            taken.unlink()
            return json.loads(text)
        raise Empty


class AtomicTransport(filesystem.Transport):
    """The transport that `api.broker` registers."""

    Channel = AtomicChannel
    global_state = virtual.BrokerState()  # type: ignore[no-untyped-call]
