"""The folder of one attempt: GANVAS_HOME/attempts/<job>-<attempt>/, held by one live worker at a time."""

import fcntl
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NAME = re.compile(r"^(?P<job_id>[A-Za-z0-9_]{1,64})-(?P<attempt>[0-9]{1,9})$")


class RunDirBusy(Exception):
    """A live worker holds this folder."""


@dataclass(frozen=True)
class RunDir:
    """Names of the files of one attempt."""

    path: Path
    job_id: str
    attempt: int

    @property
    def spec_path(self) -> Path:
        """The job spec as the service gave it."""
        return self.path / "spec.json"

    @property
    def token_path(self) -> Path:
        """The token that this attempt's writes bring; only the worker's own user may read it."""
        return self.path / "token"

    @property
    def resume_path(self) -> Path:
        """The checkpoint to go on from; absent in a fresh run."""
        return self.path / "resume.safetensors"

    @property
    def spool_path(self) -> Path:
        """The events, one JSON line each."""
        return self.path / "spool.jsonl"

    @property
    def position_path(self) -> Path:
        """How many events the service has taken."""
        return self.path / "position.json"

    @property
    def drops_path(self) -> Path:
        """How many events found no room."""
        return self.path / "drops.json"

    @property
    def result_path(self) -> Path:
        """How the trainer ended, in its own words."""
        return self.path / "result.json"

    def follower_result_path(self, rank: int) -> Path:
        """How another process of a run that several share failed, in its own words."""
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
    """Make the folder of a claimed attempt, empty but for its spec, and hold it."""
    run_dir = RunDir(attempts_dir / f"{job_id}-{attempt}", job_id, attempt)
    hidden = RunDir(attempts_dir / f".new-{run_dir.path.name}", job_id, attempt)
    for old in (run_dir, hidden):
        delete_run_dir(old)
    hidden.artifacts_dir.mkdir(parents=True)
    hidden.spec_path.write_text(json.dumps(spec), encoding="utf-8")
    hidden.token_path.touch(mode=0o600)
    hidden.token_path.write_text(token, encoding="utf-8")
    with hold_run_dir(hidden):
        # It gets its name when it is held: until then another worker would take it for a leftover.
        hidden.path.rename(run_dir.path)
        yield run_dir


def list_run_dirs(attempts_dir: Path) -> list[RunDir]:
    """List the run folders, whoever holds them."""
    return [
        RunDir(path, match["job_id"], int(match["attempt"]))
        for path in sorted(attempts_dir.glob("*"))
        if path.is_dir() and (match := _NAME.match(path.name))
    ]


@contextmanager
def hold_run_dir(run_dir: RunDir) -> Iterator[None]:
    """Hold the folder; raises RunDirBusy when another live worker does. The kernel lets go when a process dies."""
    try:
        lock = (run_dir.path / "lock").open("a")
    except FileNotFoundError:
        raise RunDirBusy from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunDirBusy from None
        yield


def delete_run_dir(run_dir: RunDir) -> None:
    """Delete the folder and all in it."""
    shutil.rmtree(run_dir.path, ignore_errors=True)
