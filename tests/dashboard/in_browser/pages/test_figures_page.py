"""The page of figures in a real Chromium: with scripts and without, with axe in both themes."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import OpenPage, expect_fit, find_violations_in_both_themes
from tests.support.fake_worker import FakeWorker

pytestmark = pytest.mark.browser


@pytest.fixture
def run(worker: FakeWorker) -> str:
    worker.submit(name="other")
    worker.submit(name="first-light")
    worker.claim()
    worker.train(200)
    worker.finish("succeeded")
    worker.claim()
    worker.train(300)
    return worker.job_id


def expect_preview(page: Page, address: str) -> None:
    """Wait until the preview that is asked for is drawn."""
    preview = page.locator("img.preview")
    expect(preview).to_have_attribute("src", re.compile(address), timeout=30_000)
    expect(preview).to_have_js_property("complete", True, timeout=60_000)
    assert preview.evaluate("image => image.naturalWidth") > 100
    # What stood in its place is gone.
    expect(page.locator(".skeleton-cells")).to_be_hidden()


def test_the_preview_follows_the_form_and_the_address_follows_both(open_page: OpenPage, run: str) -> None:
    page = open_page(f"/figures?run={run}&iteration=100&rows=1&columns=1&width=80")
    expect_preview(page, "iteration=100")
    page.get_by_label("Iterations", exact=True).fill("100, 300")
    page.get_by_label("Iterations", exact=True).press("Tab")
    expect_preview(page, "iteration=100,300")
    expect(page).to_have_url(re.compile(r"iteration=100%2C\+300"))
    save = page.get_by_role("link", name="Save PDF")
    expect(save).to_have_attribute("href", re.compile("iteration=100,300"))
    # Pictures of grids are pressed to add them as columns and to take them away.
    for pressed, left in (
        ("200", "100, 200, 300"),
        ("100", "200, 300"),
        ("100", "100, 200, 300"),
        ("200", "100, 300"),
    ):
        page.locator(f'a[data-iteration="{pressed}"]').click()
        expect(page.get_by_label("Iterations", exact=True)).to_have_value(left)
    expect(save).to_have_attribute("href", re.compile("iteration=100,300"))
    expect(page.locator("#figure pre")).to_contain_text("iterations 100 and 300")
    page.reload()
    expect(page.get_by_label("Iterations", exact=True)).to_have_value("100, 300")


def test_a_movie_is_chosen_and_saved(open_page: OpenPage, run: str) -> None:
    page = open_page(f"/runs/{run}")
    page.get_by_role("link", name="Figures and movie").click()
    page.get_by_role("link", name="Movie", exact=True).click()
    expect_preview(page, f"/runs/{run}/movie.gif")
    with page.expect_download(timeout=60_000) as download:
        page.get_by_role("link", name="Save GIF").click()
    assert download.value.suggested_filename == "first-light-timeline.gif"


def test_without_scripts_a_button_shows_the_preview(open_page: OpenPage, run: str) -> None:
    page = open_page("/figures?rows=1&columns=1", java_script_enabled=False)
    # It was chosen already where nothing else was asked for.
    page.get_by_label("first-light").check()
    page.get_by_label("Iterations", exact=True).fill("200")
    page.get_by_label("Width in mm").fill("80")
    page.get_by_role("button", name="Show preview").click()
    expect(page.locator("img.preview")).to_have_attribute("src", re.compile(f"run={run}.*iteration=200"))
    expect(page.get_by_label("first-light").first).to_be_checked()
    page.get_by_role("link", name="Curves").click()
    expect(page.get_by_role("link", name="Save CSV")).to_be_visible()


@pytest.mark.parametrize("kind", ["timelines", "curves", "heat-maps", "movie"])
def test_axe_finds_nothing(open_page: OpenPage, run: str, kind: str) -> None:
    page = open_page(f"/figures?kind={kind}&run={run}&rows=1&columns=1")
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert find_violations_in_both_themes(page) == []
        expect_fit(page, width)


def test_axe_finds_nothing_where_fields_are_wrong(open_page: OpenPage, run: str) -> None:
    page = open_page(f"/figures?run={run}&cells=9-9&run=gone&dpi=1")
    assert find_violations_in_both_themes(page) == []


def test_what_is_chosen_goes_with_the_reader_to_another_kind(open_page: OpenPage, run: str) -> None:
    page = open_page(f"/figures?kind=curves&run={run}&rows=1&columns=1")
    page.get_by_label("Discriminator loss").uncheck()
    page.get_by_label("Smoothing, 0 to 0.999").fill("0.5")
    # At once, before the address follows.
    page.get_by_role("link", name="Timelines").click()
    expect(page.get_by_role("checkbox", name="first-light")).to_be_checked()
    page.get_by_label("Iterations", exact=True).fill("100")
    page.get_by_role("link", name="Movie", exact=True).click()
    expect(page.get_by_role("radio", name="first-light")).to_be_checked()
    page.get_by_role("link", name="Curves").click()
    expect(page.get_by_label("Smoothing, 0 to 0.999")).to_have_value("0.5")
    expect(page.get_by_label("Generator loss")).to_be_checked()
    expect(page.get_by_label("Discriminator loss")).not_to_be_checked()
    page.get_by_role("link", name="Timelines").click()
    expect(page.get_by_label("Iterations", exact=True)).to_have_value("100")
