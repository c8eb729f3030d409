"""A spool without room: what waits stays, the newest is dropped, counted and told; training never hears of it."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from api.events.schemas import EventsPost
from ganlib.events import CheckpointSaved, Event, LineLogged, MetricsLogged, StoredFile, TrainingEnded
from worker.attempt.run_dir import RunDir
from worker.spool import bounded_spool
from worker.spool.bounded_spool import BoundedSpool, DroppedEvents, read_dropped_events
from worker.spool.spool import SpoolReader, SpoolWriter, read_position, write_position

LIMIT = 20_000


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    run_dir = RunDir(tmp_path / "run", "job", 1)
    run_dir.artifacts_dir.mkdir(parents=True)
    return run_dir


def point(iteration: int) -> Event:
    return MetricsLogged(iteration=iteration, values={"loss/generator": 0.5})


def checkpoint(run_dir: RunDir, iteration: int, size: int) -> Event:
    name = f"{iteration}.safetensors"
    (run_dir.artifacts_dir / name).write_bytes(b"x" * size)
    return CheckpointSaved(iteration=iteration, file=StoredFile(path=name, sha256="a" * 64, size=size))


def read_all(run_dir: RunDir) -> list[tuple[int, Event]]:
    reader, found = SpoolReader(run_dir.spool_path), []
    while (batch := reader.find_batch()) is not None:
        found += [(item.seq, item.event) for item in EventsPost.model_validate_json(batch.body).events]
        reader.move_to(batch.next_seq)
    return found


def iterations(run_dir: RunDir) -> list[int]:
    return [event.iteration for _, event in read_all(run_dir) if isinstance(event, MetricsLogged)]


def checkpoints(run_dir: RunDir) -> list[int]:
    return [event.iteration for _, event in read_all(run_dir) if isinstance(event, CheckpointSaved)]


def test_what_waits_stays_and_the_newest_is_dropped_and_counted(run_dir: RunDir) -> None:
    written = BoundedSpool(run_dir, LIMIT)
    for iteration in range(1, 1001):
        written.append(point(iteration))
    kept = iterations(run_dir)
    assert kept == list(range(1, len(kept) + 1))
    assert 100 < len(kept) < 900
    assert len(run_dir.spool_path.read_bytes().rstrip(b"\0")) <= LIMIT + 200
    dropped = read_dropped_events(run_dir.dropped_events_path)
    assert dropped == DroppedEvents(events=1000 - len(kept), first_iteration=len(kept) + 1, last_iteration=1000)
    assert dropped == written.dropped


def test_once_delivered_events_are_taken_again_behind_a_line_that_says_what_is_missing(run_dir: RunDir) -> None:
    written = BoundedSpool(run_dir, LIMIT)
    for iteration in range(1, 1001):
        written.append(point(iteration))
    kept = len(iterations(run_dir))
    write_position(run_dir.position_path, kept)
    written.append(point(1001))
    events = read_all(run_dir)
    assert [seq for seq, _ in events] == list(range(kept + 2))
    line, last = events[-2][1], events[-1][1]
    assert isinstance(line, LineLogged)
    assert (line.level, line.iteration, last) == ("warning", 1000, point(1001))
    assert f"{1000 - kept} events of iterations {kept + 1} to 1,000" in line.text
    assert "GANVAS_SPOOL_MAX_BYTES" in line.text


def test_a_spool_that_is_read_as_fast_as_it_grows_drops_nothing(run_dir: RunDir) -> None:
    written = BoundedSpool(run_dir, LIMIT)
    for iteration in range(1, 2001):
        written.append(point(iteration))
        if iteration % 50 == 0:
            write_position(run_dir.position_path, iteration)
    assert iterations(run_dir) == list(range(1, 2001))
    assert written.dropped == DroppedEvents()


def test_files_stop_before_the_limit_and_numbers_go_on(run_dir: RunDir) -> None:
    written = BoundedSpool(run_dir, LIMIT)
    for iteration in range(1, 6):
        written.append(checkpoint(run_dir, iteration, 6_000))
        written.append(point(iteration))
    assert iterations(run_dir) == [1, 2, 3, 4, 5]
    assert checkpoints(run_dir) == [1, 2, 3]
    assert read_dropped_events(run_dir.dropped_events_path) == DroppedEvents(
        events=1, files=1, first_iteration=4, last_iteration=4
    )


def test_the_newest_checkpoint_without_room_is_held_back_for_the_runs_end(run_dir: RunDir) -> None:
    written = BoundedSpool(run_dir, LIMIT)
    for iteration in range(1, 6):
        written.append(checkpoint(run_dir, iteration, 6_000))
    written.append(TrainingEnded(iteration=5, reason="completed"))
    written.finish()
    assert checkpoints(run_dir) == [1, 2, 3, 5]
    assert sorted(path.stem for path in run_dir.artifacts_dir.iterdir()) == ["1", "2", "3", "5"]
    assert read_all(run_dir)[-1][1] == TrainingEnded(iteration=5, reason="completed")
    assert written.dropped == DroppedEvents(events=1, files=1, first_iteration=4, last_iteration=4)


def test_a_checkpoint_that_was_held_back_is_taken_once_there_is_room(run_dir: RunDir) -> None:
    written = BoundedSpool(run_dir, LIMIT)
    for iteration in range(1, 5):
        written.append(checkpoint(run_dir, iteration, 6_000))
    written.append(point(4))
    write_position(run_dir.position_path, 4)
    written.append(point(5))
    assert checkpoints(run_dir) == [1, 2, 3, 4]
    written.finish()
    assert (checkpoints(run_dir), written.dropped) == ([1, 2, 3, 4], DroppedEvents())


class FullDisk:
    """Gives so many bytes to a spool, as a disk does that fills up, until there is room again."""

    def __init__(self, written: SpoolWriter, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = room
        self._descriptor = written._descriptor
        self._given = os.fstat(self._descriptor).st_size
        self._write, self._allocate = os.pwrite, os.posix_fallocate
        monkeypatch.setattr(os, "pwrite", self.write)
        monkeypatch.setattr(os, "posix_fallocate", self.allocate)
        monkeypatch.setattr(bounded_spool, "free_bytes", lambda _: self.room)

    def write(self, descriptor: int, data: bytes, offset: int) -> int:
        if descriptor == self._descriptor:
            fits = self._give(offset + len(data)) - offset
            if fits <= 0:
                raise OSError(errno.ENOSPC, "no room")
            data = data[:fits]
        return self._write(descriptor, data, offset)

    def allocate(self, descriptor: int, offset: int, length: int) -> None:
        if self._give(offset + length) < offset + length:
            raise OSError(errno.ENOSPC, "no room")
        self._allocate(descriptor, offset, length)

    def _give(self, end: int) -> int:
        """Give room up to this byte of the file, or up to where there is some; returns that."""
        new = min(max(end - self._given, 0), self.room)
        self.room, self._given = self.room - new, self._given + new
        return min(end, self._given)


def fill(written: SpoolWriter, disk: FullDisk) -> int:
    """Write points until the disk takes none; returns the last iteration."""
    for iteration in range(1, 1001):
        written.append(point(iteration))
    assert disk.room == 0
    return 1000


@pytest.mark.parametrize("keeps_room", [True, False], ids=["room", "control"])
def test_a_full_disk_takes_the_newest_checkpoint_and_the_end(
    run_dir: RunDir, monkeypatch: pytest.MonkeyPatch, keeps_room: bool
) -> None:
    if not keeps_room:
        monkeypatch.setattr(BoundedSpool, "reserve_space", SpoolWriter.reserve_space)
    written = BoundedSpool(run_dir, 10**9)
    last = fill(written, FullDisk(written, 1_000, monkeypatch))
    ended = TrainingEnded(iteration=last, reason="completed")
    written.append(checkpoint(run_dir, last - 1, 100))
    written.append(checkpoint(run_dir, last, 100))
    written.append(ended)
    written.finish()
    assert checkpoints(run_dir) == ([last] if keeps_room else [])
    assert written.dropped.last_checkpoint != keeps_room
    assert ("The last checkpoint is among them" in written.dropped.describe()) != keeps_room
    if keeps_room:
        *_, line, saved, end = (event for _, event in read_all(run_dir))
        assert isinstance(line, LineLogged)
        assert line.text == written.dropped.describe()
        assert (saved.kind, end) == ("checkpoint_saved", ended)


def test_a_full_disk_leaves_whole_lines_and_events_go_on_when_there_is_room(
    run_dir: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = BoundedSpool(run_dir, 10**9)
    disk = FullDisk(written, 1_000, monkeypatch)
    last = fill(written, disk)
    kept = len(iterations(run_dir))
    assert 0 < kept < last
    # A little room is not worth a line for every event.
    disk.room = 5_000
    written.append(point(last + 1))
    assert len(iterations(run_dir)) == kept
    disk.room = 10**7
    written.append(point(last + 2))
    assert iterations(run_dir) == [*range(1, kept + 1), last + 2]
    assert written.dropped.events == last + 1 - kept


def test_control_without_a_limit_a_full_disk_is_an_error(run_dir: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    written = SpoolWriter(run_dir.spool_path)
    disk = FullDisk(written, 1_000, monkeypatch)
    with pytest.raises(OSError, match="room"):
        fill(written, disk)
    # Half a line is none, and the next one takes its place.
    kept = iterations(run_dir)
    assert kept == list(range(1, len(kept) + 1))
    disk.room = 1_000
    written.append(point(5))
    assert iterations(run_dir) == [*kept, 5]


def test_a_file_that_could_not_be_written_is_counted(run_dir: RunDir) -> None:
    written = BoundedSpool(run_dir, LIMIT)
    written.record_unsaved_file(OSError(errno.ENOSPC, "no room"), 30)
    written.finish()
    [(_, line)] = read_all(run_dir)
    assert isinstance(line, LineLogged)
    assert line.text.startswith("1 event, 1 of them with a file, of iteration 30 found no room")


def test_the_count_is_written_where_it_took_its_room_at_the_start(run_dir: RunDir) -> None:
    written = BoundedSpool(run_dir, LIMIT)
    before = run_dir.dropped_events_path.stat()
    for iteration in range(10**6, 10**6 + 300):
        written.record_unsaved_file(OSError(errno.ENOSPC, "no room"), iteration)
    after = run_dir.dropped_events_path.stat()
    assert (before.st_ino, before.st_size, before.st_blocks) == (after.st_ino, after.st_size, after.st_blocks)
    assert read_dropped_events(run_dir.dropped_events_path).events == 300


def test_a_position_that_finds_no_room_stays_the_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "position.json"
    write_position(path, 7)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(Path, "write_text", fail)
    write_position(path, 9)
    assert read_position(path) == 7
    assert json.loads(path.read_text())["next_seq"] == 7
