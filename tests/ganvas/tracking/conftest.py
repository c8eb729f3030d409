"""Runs that are written in the test's own process, without a sender."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ganlib.events import event_adapter
from ganvas.tracking.folder import RunFolder
from ganvas.tracking.run import Run
from ganvas.tracking.writer import RunWriter

OPENING = {"key": "abcdefgh", "name": "my gan", "config": {"lr": 0.1}}


class Recorded:
    """A run and what is in its folder. said: what a person was told."""

    def __init__(self, path: Path, key: str = "abcdefgh") -> None:
        self.said: list[str] = []
        self.run = Run("my gan", key, RunWriter(RunFolder.create(path, {**OPENING, "key": key}), self.said.append))
        self.folder = RunFolder(path)

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """Wait until all is drawn and return the events; each must be one that a service takes."""
        if self.run._writer is not None:
            assert self.run._writer.drain(20)
        found = [row["event"] for row in self.folder.read_events()]
        for event in found:
            event_adapter.validate_python(event)
        return [event for event in found if not kinds or event["kind"] in kinds]

    def file(self, event: dict[str, Any]) -> bytes:
        return self.folder.read_file(event["file"])


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Callable[[], Recorded]]:
    """Open runs in folders of their own; they are closed with the test."""
    opened: list[Recorded] = []

    def open_one() -> Recorded:
        own = {"key": f"{OPENING['key']}{len(opened)}"} if opened else {}
        opened.append(Recorded(tmp_path / f"run-{len(opened)}", **own))
        return opened[-1]

    yield open_one
    for each in opened:
        each.run.close()


@pytest.fixture
def recorded(record: Callable[[], Recorded]) -> Recorded:
    return record()
