"""Which files travel together to the service."""

from pathlib import Path
from typing import Any

from api.artifacts.bundles import MAX_FILES, BundledFile
from worker.attempt.reporter import BUNDLE_BYTES, SMALL_BYTES, Upload, upload


class Listener:
    """Stands for a worker's client and notes what is sent."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []

    def put_artifact(self, path: Path, name: str, media_type: str) -> None:
        self.sent.append([name])

    def put_artifacts(self, files: list[BundledFile]) -> None:
        assert sum(len(file.content) for file in files) <= BUNDLE_BYTES
        self.sent.append([file.sha256 for file in files])


def send(folder: Path, *sizes: int) -> list[list[str]]:
    files = []
    for index, size in enumerate(sizes):
        path = folder / str(index)
        path.write_bytes(bytes(size))
        files.append(Upload(path, str(index), "application/octet-stream"))
    listener: Any = Listener()
    upload(listener, files)
    return listener.sent


def test_small_neighbours_travel_together_and_in_order(tmp_path: Path) -> None:
    assert send(tmp_path, 10, 20, 0) == [["0", "1", "2"]]


def test_a_large_file_travels_alone(tmp_path: Path) -> None:
    assert send(tmp_path, 10, 20, SMALL_BYTES + 1, 10, 20) == [["0", "1"], ["2"], ["3", "4"]]
    assert send(tmp_path, SMALL_BYTES + 1) == [["0"]]
    assert send(tmp_path, 1, SMALL_BYTES + 1) == [["0"], ["1"]]


def test_a_bundle_is_bounded_in_files_and_bytes(tmp_path: Path) -> None:
    assert [len(group) for group in send(tmp_path, *[1] * (MAX_FILES + 3))] == [MAX_FILES, 3]
    assert [len(group) for group in send(tmp_path, *[SMALL_BYTES] * 9)] == [7, 2]


def test_nothing_is_sent_of_nothing(tmp_path: Path) -> None:
    assert send(tmp_path) == []
