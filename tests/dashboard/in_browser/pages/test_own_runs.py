"""The page of somebody's own loop while it is written, in a real Chromium."""

import pytest
from playwright.sync_api import expect

from tests.support.browser import (
    OpenPage,
    eventually,
    find_violations_in_both_themes,
    open_record,
    read_plot,
    shown_iteration,
)
from tests.support.fake_worker import FakeWorker, OwnRun, make_grid_png

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("shares_service")]
ODD = 'odd "name" <&?#/%'


def test_a_page_that_waited_shows_first_values_of_any_name_and_its_axis_grows(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    run = OwnRun(worker.client, "just begun")
    page = open_page(f"/runs/{run.id}")
    expect(page.locator("live-stream")).to_have_text("Live")
    expect(page.get_by_text("The first values appear here")).to_be_visible()
    # Names that fields of the page have as well, and one of all that must be escaped.
    run.log(10, **{"loss_G": 2.0, "loss_D": 1.0, "progress": 77.0, "time": 88.0, "percent": 99.0, ODD: 0.5})
    expect(page.locator("#chart canvas")).to_be_visible()
    expect(page.locator("#chart tbody dfn")).to_have_text(["loss_G", "loss_D"])
    run.log(500, loss_G=3.0, loss_D=1.0, progress=78.0)
    expect(page.locator("[data-field=progress]").first).to_have_text("500")
    expect(page.locator("#chart [data-metric=loss_G] [data-field=value]")).to_have_text("3.00")
    eventually(page, lambda: read_plot("#chart", page, "plot.length >= 500"), True)
    assert page.locator("progress").count() == 0
    # One of any name can be chosen, and the address names it.
    page.locator("#chart .chooser summary").click()
    page.get_by_role("checkbox", name=ODD).check()
    expect(page.locator("#chart tbody dfn").nth(2)).to_have_text(ODD)
    eventually(page, lambda: read_plot("#chart", page, "plot.lines.length"), 3)
    page.reload()
    expect(page.locator("#chart tbody th")).to_have_count(3)
    page.goto("/")
    row = page.locator(f'[data-run="{run.id}"]')
    expect(row).to_contain_text("own loop")
    run.log(700, loss_G=4.0, progress=79.0)
    expect(row.locator("[data-field=progress]")).to_have_text("700")


def test_pictures_follow_the_timeline_and_cells_of_unknown_latents_cannot_be_followed(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    run = OwnRun(worker.client, "with pictures")
    for iteration in (100, 200, 300):
        run.log(iteration, loss_G=2.0)
        run.save_grid(iteration)
        run.save_file(f"images/real/{iteration:08d}.png", make_grid_png(iteration + 1), iteration)
    page = open_page(f"/runs/{run.id}")
    expect(page.locator("live-stream")).to_have_text("Live")
    expect(page.locator("frame-player input")).to_be_visible()
    series = page.locator("[data-field=series-iteration]")
    expect(series).to_have_text("300")
    page.get_by_role("link", name="Previous").click()
    expect(shown_iteration(page)).to_have_text("200")
    expect(series).to_have_text("200")
    expect(page.locator(".series a[aria-current]")).to_contain_text("200")
    expect(page.locator("cell-cursor")).to_be_hidden()
    expect(page.get_by_text("Cells are not compared one by one")).to_be_visible()
    run.save_file("images/real/00000400.png", make_grid_png(401), 400)
    expect(page.locator(".series li")).to_have_count(4)
    open_record(page, "Files").locator("summary", has_text="images/real/").click()
    expect(page.get_by_role("link", name="00000400.png")).to_be_visible()
    assert find_violations_in_both_themes(page) == []
