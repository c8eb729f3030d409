"""The run folder of one attempt, GANVAS_HOME/attempts/<job>-<attempt>/, locked by the worker that runs it."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

_NAME = re.compile(r"^(?P<job_id>[A-Za-z0-9_]{1,64})-(?P<attempt>[0-9]{1,9})$")


class RunDirBusy(Exception):
    """A live worker has locked this folder."""


@dataclass(frozen=True)
class RunDir:
    """The paths of one attempt's files."""

    path: Path
    job_id: str
    attempt: int

    @property
    def spec_path(self) -> Path:
        """The job spec from the service."""
        return self.path / "spec.json"

    @property
    def token_path(self) -> Path:
        """The token for this attempt's requests; only the worker's own user may read it."""
        return self.path / "token"

    @property
    def resume_path(self) -> Path:
        """The checkpoint to resume from; absent in a fresh run."""
        return self.path / "resume.safetensors"

    @property
    def spool_path(self) -> Path:
        """The events, one JSON line each."""
        return self.path / "spool.jsonl"

    @property
    def position_path(self) -> Path:
        """The number of the next event to deliver."""
        return self.path / "position.json"

    @property
    def dropped_events_path(self) -> Path:
        """The count of events that found no room."""
        return self.path / "drops.json"

    @property
    def result_path(self) -> Path:
        """The trainer's result."""
        return self.path / "result.json"

    def follower_result_path(self, rank: int) -> Path:
        """The result of another process of the same run, if that one failed."""
        return self.path / f"result-{rank}.json"

    @property
    def log_path(self) -> Path:
        """The trainer's standard output and error."""
        return self.path / "trainer.log"

    @property
    def artifacts_dir(self) -> Path:
        """The trainer's out_dir; events name files relative to it."""
        return self.path / "artifacts"


@contextmanager
def open_run_dir(
    attempts_dir: Path, job_id: str, attempt: int, spec: dict[str, Any], token: str = ""
) -> Iterator[RunDir]:
    """Make and lock the folder of a claimed attempt; it holds the spec and the token."""
    run_dir = RunDir(attempts_dir / f"{job_id}-{attempt}", job_id, attempt)
    hidden = RunDir(attempts_dir / f".new-{run_dir.path.name}", job_id, attempt)
    for old in (run_dir, hidden):
        delete_run_dir(old)
    hidden.artifacts_dir.mkdir(parents=True)
    hidden.spec_path.write_text(json.dumps(spec), encoding="utf-8")
    hidden.token_path.touch(mode=0o600)
    hidden.token_path.write_text(token, encoding="utf-8")
    with hold_run_dir(hidden):
        # Renamed only when it is locked: an unlocked folder looks like one of a dead worker.
        hidden.path.rename(run_dir.path)
        yield run_dir


def list_run_dirs(attempts_dir: Path) -> list[RunDir]:
    """List all run folders, locked or not."""
    return [
        RunDir(path, match["job_id"], int(match["attempt"]))
        for path in sorted(attempts_dir.glob("*"))
        if path.is_dir() and (match := _NAME.match(path.name))
    ]


@contextmanager
def hold_run_dir(run_dir: RunDir) -> Iterator[None]:
    """Lock the folder; raises RunDirBusy when a live worker has it. The kernel frees locks of dead processes."""
    # Its worker may have just deleted it, and FileLock would make it anew.
    if not run_dir.path.is_dir():
        raise RunDirBusy
    try:
        lock = FileLock(run_dir.path / "lock").acquire(blocking=False)
    except Timeout:
        raise RunDirBusy from None
    with lock:
        yield


def delete_run_dir(run_dir: RunDir) -> None:
    """Delete the folder and all in it."""
    shutil.rmtree(run_dir.path, ignore_errors=True)
