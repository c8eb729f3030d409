"""Heat maps and neighbour grids in a real browser: in each theme and width, without scripts, and live."""

import io
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.dashboard.in_browser.test_reading import LOW_CONTRAST, SCREENS
from tests.support.browser import OpenPage, eventually, expect_fit, open_live
from tests.support.fake_worker import FakeWorker

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("shares_service")]


def make_run(worker: FakeWorker) -> str:
    job = worker.submit()
    worker.claim()
    worker.log_metrics(*range(10, 301, 10))
    worker.log_logits(*range(10, 301, 10))
    for iteration in (100, 200, 300):
        worker.save_grid(iteration)
    worker.save_neighbours(200)
    return job


def colour_of(plot: Locator) -> str:
    """Return what colour a part of the page is drawn in: blue, orange, neither or both."""
    image = Image.open(io.BytesIO(plot.screenshot())).convert("RGB")
    found: Any = image.getcolors(image.width * image.height)
    blue, orange = (max(sign * (b - r) for _, (r, _, b) in found) for sign in (1, -1))
    shown = {"blue": blue, "orange": orange}
    return next((name for name in shown if shown[name] > 60 and sum(shown.values()) < shown[name] + 30), "neither")


def test_figures_fit_every_screen_in_their_players_hues(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page(f"/runs/{make_run(worker)}")
    plots = page.locator("#logits .plot")
    expect(plots).to_have_count(2)
    expect(page.locator("#neighbours img")).to_have_count(2)
    for scheme, width in SCREENS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        expect_fit(page, width)
        assert page.evaluate(LOW_CONTRAST) == [], scheme
        # Blue for real, orange for generated: the mask is loaded, and coloured by the theme.
        eventually(page, lambda: [colour_of(plots.nth(place)) for place in (0, 1)], ["blue", "orange"])


def test_figures_are_complete_without_scripts(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page(f"/runs/{make_run(worker)}", java_script_enabled=False)
    real = page.get_by_role("img", name="Logits of real images over the iterations")
    eventually(page, lambda: colour_of(real), "blue")
    expect(page.locator("#neighbours")).to_contain_text("Iteration 200, 1 of 1.")
    page.get_by_label("From iteration", exact=True).fill("100")
    page.get_by_label("To iteration", exact=True).fill("200")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#logits .axis").first).to_have_text("100 iteration 200")
    page.get_by_role("link", name="All").click()
    expect(page.locator("#logits .axis").first).to_have_text("0 iteration 300")


def test_figures_appear_and_grow_with_the_next_grid(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(100)
    page = open_live(open_page, job)
    expect(page.locator("#logits .plot")).to_have_count(0)
    worker.log_logits(10, 20)
    worker.save_grid(200)
    expect(page.locator("#logits .axis").first).to_have_text("0 iteration 20")
    worker.save_neighbours(200)
    expect(page.locator("#neighbours")).to_contain_text("Iteration 200, 1 of 1.")
    worker.log_logits(30)
    worker.save_grid(300)
    expect(page.locator("#logits .axis").first).to_have_text("0 iteration 30")
    expect(page.locator("#neighbours img")).to_have_count(2)
