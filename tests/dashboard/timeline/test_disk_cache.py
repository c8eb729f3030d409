"""Sheets that are kept as files: made once, also for whoever comes after a restart, and never served when torn."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.settings import Settings
from dashboard.timeline.disk_cache import KEPT_SECONDS, Shelf
from dashboard.timeline.sheet_cache import Darkroom, Sheet
from ganvas.app import build_app
from tests.dashboard.timeline.test_sheets import make_run, name_of, read_timeline
from tests.support.fake_worker import FakeWorker

NAME = "/runs/a/strips/1-2-2-ab.jpg"


def develop(darkroom: Darkroom, made: list[str], name: str = NAME, is_whole: bool = True) -> Sheet:
    def make() -> Sheet:
        made.append(name)
        return Sheet(b"content of " + name.encode(), "image/jpeg", is_whole)

    return asyncio.run(darkroom.develop(name, make))


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_a_sheet_is_made_once_also_after_a_restart(tmp_path: Path) -> None:
    made: list[str] = []
    first = develop(Darkroom(Shelf(tmp_path / "sheets")), made)
    again = develop(Darkroom(Shelf(tmp_path / "sheets")), made)
    assert (again, made) == (first, [NAME])
    develop(Darkroom(Shelf(tmp_path / "others")), made)
    assert made == [NAME, NAME], "elsewhere it is made anew"


def test_a_sheet_that_memory_has_no_room_for_is_found_all_the_same(tmp_path: Path) -> None:
    made: list[str] = []
    darkroom = Darkroom(Shelf(tmp_path), kept_bytes=0)
    assert develop(darkroom, made) == develop(darkroom, made)
    assert len(made) == 1


def test_a_torn_or_changed_file_is_made_anew(tmp_path: Path) -> None:
    for damage in (b"", b"short", b"\0" * 200):
        made: list[str] = []
        develop(Darkroom(Shelf(tmp_path)), made)
        made.clear()
        (path,) = files_of(tmp_path)
        path.write_bytes(damage)
        sheet = develop(Darkroom(Shelf(tmp_path)), made)
        assert (sheet.content, made) == (b"content of " + NAME.encode(), [NAME]), damage


def test_a_sheet_that_is_not_whole_is_not_kept(tmp_path: Path) -> None:
    develop(Darkroom(Shelf(tmp_path / "sheets")), [], is_whole=False)
    assert not (tmp_path / "sheets").exists()


def test_the_longest_unused_go_beyond_what_may_be_kept_and_after_a_week(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, kept_bytes=3 * 132)
    now = time.time()
    for age, name in enumerate("abcd"):
        shelf.put(name, b"x" * 100)
        os.utime(shelf._path(name), (now - age, now - age))
    assert shelf.find("d") is not None, "it was used just now"
    shelf.tidy()
    assert [name for name in "abcd" if shelf.find(name)] == ["a", "b", "d"]
    os.utime(shelf._path("a"), (now - KEPT_SECONDS - 1, now - KEPT_SECONDS - 1))
    shelf.tidy()
    assert [name for name in "abcd" if shelf.find(name)] == ["b", "d"]


def test_a_folder_that_takes_nothing_harms_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    made: list[str] = []
    assert develop(Darkroom(Shelf(tmp_path / "file")), made).content

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    assert develop(Darkroom(Shelf(tmp_path / "full")), made).content
    assert files_of(tmp_path / "full") == [], "nothing half written is left"


def test_a_strip_outlives_the_service(tmp_path: Path) -> None:
    contents = []
    for _ in range(2):
        app = build_app(Settings(home=tmp_path))
        with TestClient(app, base_url="http://127.0.0.1") as client:
            if not contents:
                job = make_run(FakeWorker(client), 3)
                path = f"/runs/{job}/strips/{name_of(read_timeline(client, job), [0, 1, 2])}.jpg"
            response = client.get(path)
            assert response.headers["content-type"] == "image/jpeg"
            contents.append(response.content)
    assert contents[0] == contents[1]
    assert len(files_of(tmp_path / "sheets")) == 1
