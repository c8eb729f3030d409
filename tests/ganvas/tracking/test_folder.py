import errno
import os
from pathlib import Path

import pytest

from ganvas.tracking import folder as module
from ganvas.tracking.folder import FolderBusy, FolderTaken, FolderUnreadable, RunFolder

OPENING = {"key": "abcdefgh", "name": "my gan", "config": {"lr": 0.1}}


def log(value: float, iteration: int = 1) -> dict[str, object]:
    return {"kind": "metrics_logged", "iteration": iteration, "values": {"loss": value}}


def test_what_was_written_is_read_again_from_at_most_ten_files(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run", OPENING) as run:
        files = [run.add_file(bytes([number]) * 1000) for number in range(30)]
        (tmp_path / "model.pt").write_bytes(b"weights")
        files.append(run.add_file(tmp_path / "model.pt"))
        for number, file in enumerate(files):
            run.append({"kind": "file_saved", "name": f"{number}.bin", "file": file})
        run.end("failed", {"code": "x", "message": "why"})
        run.write_position("http://a", "job", 3)
    read = RunFolder(tmp_path / "run")
    events = list(read.read_events())
    assert read.read_header() == OPENING
    assert [event["seq"] for event in events] == list(range(31))
    assert read.read_file(events[7]["event"]["file"]) == b"\7" * 1000
    assert read.read_file(events[30]["event"]["file"]) == b"weights"
    assert [event["seq"] for event in read.read_events(29)] == [29, 30]
    end = read.read_end()
    assert end is not None
    assert (end["end"], end["reason"]["message"], end["events_count"]) == ("failed", "why", 31)
    assert read.read_positions() == {"http://a": {"job_id": "job", "next_seq": 3}}
    assert len(list(read.path.iterdir())) <= 10


def test_a_second_writer_is_refused_until_the_first_has_closed(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, OPENING)
    with pytest.raises(FolderBusy, match=f"written by process {os.getpid()}; end that one"):
        RunFolder.reopen(tmp_path)
    assert RunFolder(tmp_path).is_written()
    run.close()
    assert not RunFolder(tmp_path).is_written()
    with pytest.raises(FolderTaken, match="resume=True"):
        RunFolder.create(tmp_path, OPENING)
    RunFolder.reopen(tmp_path).close()


def test_a_line_that_was_cut_is_not_there_and_is_overwritten(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path, OPENING) as run:
        run.append(log(1.0))
        run.end("succeeded")
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"seq":1,"at":"2026-' + b"x" * 500)
    assert [event["seq"] for event in RunFolder(tmp_path).read_events()] == [0]
    with RunFolder.reopen(tmp_path) as run:
        assert run.append(log(2.0)) == 1
    again = RunFolder(tmp_path)
    assert [event["event"]["values"]["loss"] for event in again.read_events()] == [1.0, 2.0]
    assert again.read_end() is None


def test_a_full_disk_leaves_no_half_line_and_the_next_number_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunFolder.create(tmp_path, OPENING) as run:
        run.append(log(1.0))
        whole = os.pwrite

        def find_no_room(descriptor: int, content: memoryview, offset: int) -> int:
            if len(content) > 10:
                return whole(descriptor, content[:10], offset)
            raise OSError(errno.ENOSPC, "full")

        with monkeypatch.context() as patch:
            patch.setattr(module.os, "pwrite", find_no_room)
            for _ in range(2):
                with pytest.raises(OSError, match="full"):
                    run.append(log(2.0))
                with pytest.raises(OSError, match="full"):
                    run.add_file(b"y" * 100)
        assert [event["seq"] for event in RunFolder(tmp_path).read_events()] == [0]
        assert run.append(log(3.0)) == 1
        assert run.add_file(b"z")["path"] == "files.bin:0"


def test_a_folder_without_a_run_or_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderUnreadable, match="holds no run"):
        RunFolder(tmp_path).read_header()
    (tmp_path / "run.json").write_text('{"format": 3}')
    with pytest.raises(FolderUnreadable, match="Use a newer one"):
        RunFolder(tmp_path).read_header()


def test_bytes_that_are_not_all_there_and_other_files_are_refused(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path, OPENING) as run:
        stored = run.add_file(b"12345")
    os.truncate(tmp_path / "files.bin", 3)
    with pytest.raises(FolderUnreadable, match="copy the folder once more"):
        run.read_file(stored)
    for path in ("../secret:0", "run.json", "files.bin:x"):
        with pytest.raises(FolderUnreadable, match="no part of files"):
            run.read_file({**stored, "path": path})
