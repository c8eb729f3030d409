"""Guards switched off and moments of death, applied inside a service's process before it starts.

`off:<guard>` is what a control needs: without the guard, the harm must be seen. `die:<step>` kills the process at
one step of an upload. `power:<step>` takes the machine's power there: what was not fsynced is gone as well, and a
renamed file is gone unless its folder was fsynced.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from api.artifacts import routes as artifact_routes
from api.artifacts.storage import LocalWriter
from api.attempts import leases, outcomes
from api.attempts.lease_watch import HeldLease, LeaseWatch
from api.events import ingest

# In the order in which an upload passes them.
UPLOAD_STEPS = ("opened", "written", "file_synced", "renamed", "folder_synced", "row_written", "committed")


def apply(name: str) -> None:
    """Apply one of them by its name."""
    kind, _, which = name.partition(":")
    if kind in ("die", "power"):
        UploadWatch(which, with_power=kind == "power").start()
    else:
        _CHANGES[name]()


def switch_off_fence() -> None:
    """Let any attempt write."""
    leases.LEASE_UPDATE = leases.build_lease_update(leases.FENCE[:1])


def switch_off_grace() -> None:
    """Let a lease end by the clock on the wall, as if the service had listened all the time."""
    LeaseWatch.list_ended = list_overdue  # type: ignore[method-assign]


def list_overdue(watch: LeaseWatch) -> list[HeldLease]:
    """Return the attempts whose lease is over by this machine's clock."""
    leases = [watched.lease for watched in watch._watched.values()]
    return [lease for lease in leases if lease.lease_ends_at and lease.lease_ends_at < datetime.now(UTC)]


def switch_off_idempotency() -> None:
    """Take every event that comes, whatever its number."""
    ingest.SEQUENCE_UPDATE = ingest.build_sequence_update([])


def switch_off_fsync() -> None:
    """Trust the kernel to write files some day."""
    os.fsync = lambda descriptor: None


def shorten_backoff() -> None:
    """Try again at once: fifty deaths cannot wait a minute after each."""
    outcomes.FIRST_BACKOFF_SECONDS = outcomes.MAX_BACKOFF_SECONDS = 0.1


_CHANGES: dict[str, Callable[[], None]] = {
    "off:fence": switch_off_fence,
    "off:grace": switch_off_grace,
    "off:idempotency": switch_off_idempotency,
    "off:fsync": switch_off_fsync,
    "quick": shorten_backoff,
}


class UploadWatch:
    """Follows uploads through their system calls and ends the process at one step."""

    def __init__(self, step: str, *, with_power: bool) -> None:
        assert step in UPLOAD_STEPS
        self._step = step
        self._with_power = with_power
        # Files and names that a loss of power would take, as far as this process wrote them.
        self._unsynced_files: set[Path] = set()
        self._unsynced_names: set[Path] = set()

    def start(self) -> None:
        """Put itself between the upload and the system."""
        self._watch(LocalWriter, "__init__", self._after_open)
        self._watch(LocalWriter, "write", lambda *_: self._pass("written"))
        self._watch(os, "fsync", self._after_fsync)
        self._watch(Path, "replace", self._after_rename)
        self._watch(artifact_routes.artifact_queries, "insert_artifact", lambda *_: self._pass("row_written"))
        self._watch(artifact_routes, "ArtifactRead", lambda *_: self._pass("committed"))

    def _watch(self, owner: Any, name: str, then: Callable[..., None]) -> None:
        call = getattr(owner, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            answer = call(*arguments, **named)
            then(*arguments)
            return answer

        setattr(owner, name, watched)

    def _after_open(self, writer: LocalWriter, *_: Any) -> None:
        self._unsynced_files.add(writer._temporary)
        self._pass("opened")

    def _after_fsync(self, descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path in self._unsynced_files:
            self._unsynced_files.discard(path)
            self._pass("file_synced")
        elif in_folder := {name for name in list(self._unsynced_names) if name.parent == path}:
            # Changed in place: files of one bundle are stored by several threads.
            self._unsynced_names -= in_folder
            self._pass("folder_synced")

    def _after_rename(self, source: Path, target: Path) -> None:
        if not source.name.endswith(".part") or "blobs" not in source.parts:
            return
        if source in self._unsynced_files:
            self._unsynced_files.discard(source)
            self._unsynced_files.add(Path(target))
        self._unsynced_names.add(Path(target))
        self._pass("renamed")

    def _pass(self, step: str) -> None:
        if step != self._step:
            return
        if self._with_power:
            for path in list(self._unsynced_files):
                # Another thread may be about to rename it.
                with suppress(FileNotFoundError):
                    os.truncate(path, path.stat().st_size // 2)
            for path in list(self._unsynced_names):
                path.unlink(missing_ok=True)
        os.kill(os.getpid(), signal.SIGKILL)
