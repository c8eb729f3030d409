"""What is saved from a run's page, and that looking at it otherwise moves nothing, in a real Chromium."""

import pytest
from playwright.sync_api import expect

from tests.support.browser import OpenPage, find_box, open_live
from tests.support.fake_worker import FakeWorker

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("shares_service")]


def make_run(worker: FakeWorker) -> str:
    job = worker.submit(iterations=2000)
    worker.claim()
    worker.log_metrics(10, 20)
    for iteration in (1100, 1200):
        worker.save_grid(iteration)
    return job


def test_nothing_below_the_grid_jumps_when_its_difference_is_shown(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    page = open_live(open_page, make_run(worker))
    player = page.locator("frame-player")
    before = find_box(page, player)
    page.keyboard.press("d")
    expect(page.locator("[data-field=against]")).to_have_text("4 × difference from iteration 1,100")
    assert find_box(page, player) == before


def test_grids_and_checkpoints_are_saved_under_the_runs_name(open_page: OpenPage, worker: FakeWorker) -> None:
    job = make_run(worker)
    worker.save_checkpoint(1200)
    page = open_live(open_page, job)
    for link, name in (
        ("Save PNG", "first-light-1200.png"),
        ("everything", "first-light-1200.checkpoint.safetensors"),
    ):
        if link == "everything":
            page.locator("#checkpoints summary").first.click()
        with page.expect_download() as download:
            page.get_by_role("link", name=link).click()
        assert download.value.suggested_filename == name
