"""Thumbnails and their sheets: placed as the server draws them, fetched in order, and given back."""

import random
import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from api.samples.queries import GridRow
from dashboard.timeline.sheet_layout import cut_corners, cut_strip, digest_of
from tests.support.browser import OpenPage, Watch, eventually
from tests.support.fake_worker import FakeWorker, make_grid_png, once

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("shares_service")]


def make_rows(chance: random.Random) -> list[list[GridRow]]:
    """Timelines of all kinds of layout."""

    def row(layout: list[int]) -> GridRow:
        return GridRow(chance.randrange(10**6), chance.randbytes(32).hex(), datetime.now(UTC), *layout, "0" * 64)

    layouts = [[8, 8, 28, 28], [10, 10, 32, 32], [1, 1, 16, 8], [3, 5, 192, 150], [64, 64, 4, 4], [2, 9, 97, 33]]
    return [[row(layout) for _ in range(count)] for layout in layouts for count in (1, 3, 16)]


def test_scripts_find_sheets_where_the_server_draws_them(open_page: OpenPage) -> None:
    page = open_page("/")
    grids = make_rows(random.Random(3))
    shown = page.evaluate(
        """async (runs) => {
          const base = document.querySelector("script[type=module]").src;
          const address = new URL("../../timeline/scripts/thumbnails.js", base);
          const { digestOf, placeCorners, placeThumbnails } = await import(address);
          const list = ({ places }) => places.map(({ x, y, width, height }) => [x, y, width, height]);
          const size = ({ width, height }) => [width, height];
          return runs.map((run) => [placeThumbnails(run), placeCorners(run)]
            .flatMap((sheet) => [list(sheet), size(sheet)]).concat(digestOf(run)));
        }""",
        [[row._asdict() | {"created_at": ""} for row in run] for run in grids],
    )
    for run, (thumbnails, strip, corners, sheet, digest) in zip(grids, shown, strict=True):
        for cutouts, places, size in ((cut_strip(run), thumbnails, strip), (cut_corners(run), corners, sheet)):
            assert [[at.left, at.top, at.size.width, at.size.height] for at in cutouts] == places
            assert [cutouts[0].sheet.width, cutouts[0].sheet.height] == size
        assert digest == digest_of([row.sha256 for row in run])


def make_seven_strips(worker: FakeWorker) -> str:
    """Make a run whose timeline takes seven strips of sixteen grids."""
    job = worker.submit(iterations=2000)
    worker.claim()
    same = make_grid_png(1)
    for iteration in range(1, 7 * 16 + 1):
        worker.save_grid(iteration, same)
    return job


def test_strips_far_from_the_cursor_are_given_back(open_page: OpenPage, worker: FakeWorker) -> None:
    job = once(worker, make_seven_strips)
    page = open_page(f"/runs/{job}")
    kept = page.evaluate(
        """async (run) => {
          const base = document.querySelector("script[type=module]").src;
          const { ThumbnailStore } = await import(new URL("../../timeline/scripts/thumbnails.js", base));
          const { readTimeline } = await import(new URL("../../timeline/scripts/frames.js", base));
          const frames = readTimeline(await (await fetch(`${run}/timeline.json`)).json());
          let ready;
          const stores = Array.from({ length: 12 }, () => new ThumbnailStore(run, () => ready()));
          const [store] = stores;
          store.take(frames);
          const visit = async (index) => {
            const come = new Promise((resolve) => { ready = () => store.find(index) && resolve(); });
            store.want(index);
            if (!store.find(index)) await come;
          };
          for (let index = 0; index < frames.length; index += 16) await visit(index);
          const there = [...store.sheets.keys()].toSorted();
          // What was given back comes again when the cursor does.
          await visit(0);
          const canvas = document.createElement("canvas");
          const isGlimpsed = store.draw(canvas, 1);
          while (!store.find(3)) await new Promise((resolve) => setTimeout(resolve, 10));
          const isBack = isGlimpsed && store.draw(canvas, 3);
          for (const each of stores) each.close();
          return [there, isBack, store.sheets.size];
        }""",
        f"/runs/{job}",
    )
    assert kept == [[2, 3, 4, 5, 6], True, 0]


def test_after_a_jump_two_grids_come_first_then_their_strip_then_the_one_beside_it(
    open_page: OpenPage, worker: FakeWorker, watches: list[Watch]
) -> None:
    job = once(worker, make_seven_strips)
    page = open_page(f"/runs/{job}")
    expect(page.get_by_label("Iteration of the timeline")).to_have_attribute(
        "aria-valuetext", re.compile(" of 112")
    )

    def find_asked() -> list[str]:
        return re.findall(r"/strips/(\d+-\d+)-", " ".join(watches[-1].requests))

    # What the newest grid needs has been asked for.
    eventually(page, find_asked, ["97-112", "81-96"])
    page.get_by_label("Iteration of the timeline").focus()
    page.keyboard.press("Home")
    eventually(page, find_asked, ["97-112", "81-96", "1-2", "1-16", "17-32"])
