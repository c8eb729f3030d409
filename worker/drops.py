"""What found no room in a worker's spool: counted in a file that is made while there is room."""

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ganlib.files import is_no_room

# More than the longest record: it is written over in place, which takes no new room.
_RECORD_BYTES = 256


class Drops(BaseModel):
    """How many events were dropped, how many files with them, and the iterations of the first and the last.

    last_checkpoint: whether the run's last checkpoint is among them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: int = 0
    files: int = 0
    first_iteration: int = 0
    last_iteration: int = 0
    last_checkpoint: bool = False

    def plus(self, iteration: int, *, has_file: bool, is_last_checkpoint: bool = False) -> "Drops":
        """Return the count with one event more."""
        return Drops(
            events=self.events + 1,
            files=self.files + has_file,
            first_iteration=self.first_iteration if self.events else iteration,
            last_iteration=iteration,
            last_checkpoint=self.last_checkpoint or is_last_checkpoint,
        )

    def describe(self) -> str:
        """Say it in a sentence, for the job's log and its attempt."""
        files = f", {self.files:,} of them with a file," if self.files else ""
        where = f"iterations {self.first_iteration:,} to {self.last_iteration:,}"
        if self.first_iteration == self.last_iteration:
            where = f"iteration {self.last_iteration:,}"
        last = " The last checkpoint is among them: the newest one is of an earlier iteration."
        noun = "event" if self.events == 1 else "events"
        return (
            f"{self.events:,} {noun}{files} of {where} found no room in the worker's spool and were not recorded."
            f"{last if self.last_checkpoint else ''} Make room on its disk, or raise GANVAS_SPOOL_MAX_BYTES."
        )


@dataclass
class DropCounter:
    """Keeps the count where it outlives this process."""

    path: Path
    drops: Drops

    @classmethod
    def begin(cls, path: Path) -> "DropCounter":
        """Make the file; on a disk that is full already the count is kept in this process alone."""
        counter = cls(path, Drops())
        try:
            path.touch()
            counter._write()
        except OSError as error:
            if not is_no_room(error):
                raise
        return counter

    def add(self, iteration: int, *, has_file: bool, is_last_checkpoint: bool = False) -> None:
        """Count one event."""
        self.drops = self.drops.plus(iteration, has_file=has_file, is_last_checkpoint=is_last_checkpoint)
        try:
            self._write()
        except OSError as error:
            # A file system that copies what is written over needs room even for this.
            if not is_no_room(error):
                raise

    def _write(self) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(descriptor, self.drops.model_dump_json().encode().ljust(_RECORD_BYTES), 0)
        finally:
            os.close(descriptor)


def read_drops(path: Path) -> Drops:
    """Return what the trainer of an attempt dropped."""
    try:
        return Drops.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return Drops()
