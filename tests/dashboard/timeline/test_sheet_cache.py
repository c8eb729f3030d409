"""Sheets in memory and on disk: drawn once, also after a restart, and never served from a torn file."""

import asyncio
import os
import time
from functools import partial
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.server.settings import Settings
from dashboard.timeline.sheet_cache import KEPT_SECONDS, AheadDrawer, DiskCache, Sheet, SheetCache
from dashboard.timeline.sheet_layout import STRIP_FRAMES
from ganvas.app import build_app
from tests.dashboard.timeline.test_sheets import make_run, name_of, read_timeline
from tests.support.fake_worker import FakeWorker

NAME = "/runs/a/strips/1-2-2-ab.jpg"


def find_or_draw(cache: SheetCache, drawn: list[str], name: str = NAME, is_whole: bool = True) -> Sheet:
    def draw() -> Sheet:
        drawn.append(name)
        return Sheet(b"content of " + name.encode(), "image/jpeg", is_whole)

    return asyncio.run(cache.find_or_draw(name, draw))


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_a_sheet_is_made_once_also_after_a_restart(tmp_path: Path) -> None:
    drawn: list[str] = []
    first = find_or_draw(SheetCache(DiskCache(tmp_path / "sheets")), drawn)
    again = find_or_draw(SheetCache(DiskCache(tmp_path / "sheets")), drawn)
    assert (again, drawn) == (first, [NAME])
    find_or_draw(SheetCache(DiskCache(tmp_path / "others")), drawn)
    assert drawn == [NAME, NAME], "elsewhere it is drawn anew"


def test_a_sheet_that_memory_has_no_room_for_is_found_all_the_same(tmp_path: Path) -> None:
    drawn: list[str] = []
    cache = SheetCache(DiskCache(tmp_path), kept_bytes=0)
    assert find_or_draw(cache, drawn) == find_or_draw(cache, drawn)
    assert len(drawn) == 1


def test_a_torn_or_changed_file_is_made_anew(tmp_path: Path) -> None:
    for damage in (b"", b"short", b"\0" * 200):
        drawn: list[str] = []
        find_or_draw(SheetCache(DiskCache(tmp_path)), drawn)
        drawn.clear()
        (path,) = files_of(tmp_path)
        path.write_bytes(damage)
        sheet = find_or_draw(SheetCache(DiskCache(tmp_path)), drawn)
        assert (sheet.content, drawn) == (b"content of " + NAME.encode(), [NAME]), damage


def test_a_sheet_that_is_not_whole_is_not_kept(tmp_path: Path) -> None:
    find_or_draw(SheetCache(DiskCache(tmp_path / "sheets")), [], is_whole=False)
    assert not (tmp_path / "sheets").exists()


def test_the_longest_unused_go_beyond_what_may_be_kept_and_after_a_week(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, kept_bytes=3 * 132)
    now = time.time()
    for age, name in enumerate("abcd"):
        cache.put(name, b"x" * 100)
        os.utime(cache._path(name), (now - age, now - age))
    assert cache.find("d") is not None, "it was used just now"
    cache.prune()
    assert [name for name in "abcd" if cache.find(name)] == ["a", "b", "d"]
    os.utime(cache._path("a"), (now - KEPT_SECONDS - 1, now - KEPT_SECONDS - 1))
    cache.prune()
    assert [name for name in "abcd" if cache.find(name)] == ["b", "d"]


def test_a_folder_that_takes_nothing_harms_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    drawn: list[str] = []
    assert find_or_draw(SheetCache(DiskCache(tmp_path / "file")), drawn).content

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    assert find_or_draw(SheetCache(DiskCache(tmp_path / "full")), drawn).content
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


def test_strips_are_drawn_while_a_run_goes_on(client: TestClient, worker: FakeWorker) -> None:
    (drawer,) = client.app.state.services.grid_followers
    job = make_run(worker, 2 * STRIP_FRAMES + 3)
    drawer.wait()
    timeline = read_timeline(client, job)
    disk = DiskCache(client.app.state.services.settings.home / "sheets")
    first, second, rest = ([*range(at, end)] for at, end in ((0, 16), (16, 32), (32, 35)))
    names = [f"/runs/{job}/strips/{name_of(timeline, places)}.jpg" for places in (first, second, rest)]
    # A strip that still grows is left to who asks for it.
    assert [disk.has(name) for name in names] == [True, True, False]
    assert client.get(names[1]).content == disk.find(names[1])


def test_what_cannot_be_drawn_ahead_keeps_nothing_from_being_drawn(tmp_path: Path) -> None:
    def draw(is_whole: bool) -> Sheet:
        return Sheet(b"content", "image/jpeg", is_whole)

    sheets = {
        "good": [("a.jpg", partial(draw, True)), ("b.jpg", partial(draw, False)), ("c.jpg", partial(draw, True))]
    }
    disk = DiskCache(tmp_path / "sheets")
    drawer = AheadDrawer(disk, 4, lambda job, begin: sheets[job][begin:])
    drawer.take("good", 3)
    drawer.wait()
    assert not (tmp_path / "sheets").exists(), "too few grids for a sheet"
    drawer.take("deleted meanwhile", 4)
    drawer.take("good", 1)
    drawer.wait()
    assert [disk.has(name) for name in ("a.jpg", "b.jpg", "c.jpg")] == [True, False, True]
    drawer.close()
    drawer.take("good", 4)
