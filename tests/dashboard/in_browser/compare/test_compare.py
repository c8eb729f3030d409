"""Runs compared in a real browser: one slider for all, the wipe, live, in both themes, and without scripts."""

import hashlib
import io
import re

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.in_browser.test_reading import LOW_CONTRAST, SCREENS
from tests.support.browser import (
    OpenPage,
    Watch,
    drag_over,
    eventually,
    expect_fit,
    find_violations_in_both_themes,
    hurry,
)
from tests.support.fake_worker import CELL, ROWS, FakeWorker, make_grid_png, once

pytestmark = pytest.mark.browser
LOSSES = ["Generator loss", "Discriminator loss"]


def make_run(worker: FakeWorker, name: str, *grids: int) -> str:
    job = worker.submit(name=name, seed=len(grids), iterations=2000)
    worker.claim()
    worker.log_metrics(*range(10, max(grids) + 1, 10))
    for iteration in grids:
        worker.save_grid(iteration)
    return job


def plain_png(shade: int) -> bytes:
    """A grid of one shade."""
    file = io.BytesIO()
    Image.new("L", (ROWS * CELL, ROWS * CELL), shade).save(file, "PNG")
    return file.getvalue()


def make_pair(worker: FakeWorker) -> str:
    """Two runs, one with a grid every 100 iterations up to 1,000, the other every 200 up to 1,200; as a query."""
    jobs = [make_run(worker, "often", *range(100, 1001, 100)), make_run(worker, "seldom", *range(200, 1201, 200))]
    return "&".join(f"run={job}" for job in jobs)


def open_compared(open_page: OpenPage, query: str) -> Page:
    """Open the comparison and wait until its scripts have the timelines."""
    page = open_page(f"/compare?{query}")
    expect(slider(page)).to_have_attribute("aria-valuetext", re.compile(" of "))
    return page


def slider(page: Page) -> Locator:
    return page.get_by_label("Place on the axis, for all runs")


def shown(page: Page) -> Locator:
    return page.locator("compare-caption [data-field=iteration]")


def split_of(page: Page) -> float:
    return float(page.locator("clipPath rect").get_attribute("width") or "nan")


@pytest.mark.usefixtures("shares_service")
def test_one_slider_moves_all_runs_and_the_address_says_where(
    open_page: OpenPage, worker: FakeWorker, watches: list[Watch]
) -> None:
    page = open_compared(open_page, once(worker, make_pair))
    expect(shown(page)).to_have_text(["1,000", "1,000"])
    slider(page).focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(shown(page)).to_have_text(["700", "600"])
    expect(page.locator("compare-caption [data-field=note]")).to_have_text(["", "nearest before, by 100"])
    expect(page.locator("#metrics h2")).to_contain_text("at iteration 700")
    expect(page).to_have_url(re.compile("at=700"))
    expect(page.locator("compare-grid img").first).to_have_attribute("src", re.compile("/artifacts/"))
    alts = ["8 × 8 images of often at iteration 700", "8 × 8 images of seldom at iteration 600"]
    for place, alt in enumerate(alts):
        expect(page.locator("compare-grid img").nth(place)).to_have_attribute("alt", alt)
    assert [url for url in watches[-1].requests if "/strips/" in url]
    page.reload()
    expect(shown(page)).to_have_text(["700", "600"])
    expect(page.locator("[data-field=at]").first).to_have_text("At iteration 700")


@pytest.mark.usefixtures("shares_service")
def test_scrubbing_through_many_grids_asks_for_no_image_a_grid(
    open_page: OpenPage, worker: FakeWorker, watches: list[Watch]
) -> None:
    jobs = [make_run(worker, name, *range(10, 401, 10)) for name in ("one", "other")]
    page = open_compared(open_page, "&".join(f"run={job}" for job in jobs))
    pictures = page.locator("compare-grid img")
    for place in range(2):
        expect(pictures.nth(place)).to_have_js_property("complete", True)
    before = sum("/artifacts/" in url for url in watches[-1].requests)
    slider(page).focus()
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    expect(shown(page)).to_have_text(["100", "100"])
    expect(pictures.first).to_have_attribute("alt", re.compile("iteration 100$"))
    # At rest the whole grids come.
    whole = f"/artifacts/{hashlib.sha256(make_grid_png(100)).hexdigest()}"
    for place in range(2):
        expect(pictures.nth(place)).to_have_attribute("src", whole)
    assert sum("/artifacts/" in url for url in watches[-1].requests) - before < 16


@pytest.mark.usefixtures("shares_service")
def test_steps_keys_and_field_lead_to_places(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_compared(open_page, once(worker, make_pair))
    page.get_by_role("link", name="First").click()
    expect(shown(page)).to_have_text(["100", ""])
    expect(page.locator("compare-caption [data-field=note]").nth(1)).to_have_text(
        "No grid this early; the first is of iteration 200"
    )
    page.get_by_label("Iteration", exact=True).fill("950")
    page.get_by_role("button", name="Go").click()
    expect(shown(page)).to_have_text(["900", "800"])
    page.get_by_role("link", name="Newest of any").click()
    expect(shown(page)).to_have_text(["1,000", "1,200"])
    page.get_by_role("link", name="Latest common").click()
    expect(shown(page)).to_have_text(["1,000", "1,000"])
    expect(page).not_to_have_url(re.compile("at="))
    page.locator("h1").click()
    page.keyboard.press("Home")
    expect(shown(page)).to_have_text(["100", ""])
    page.keyboard.press("ArrowRight")
    expect(shown(page)).to_have_text(["200", "200"])


@pytest.mark.usefixtures("shares_service")
def test_images_and_time_are_axes_too(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_compared(open_page, once(worker, make_pair) + "&axis=images")
    expect(page.locator("[data-field=at]").first).to_have_text("At 64,000 images seen")
    slider(page).focus()
    page.keyboard.press("ArrowLeft")
    expect(shown(page)).to_have_text(["900", "800"])
    expect(page).to_have_url(re.compile("at=57600"))
    page.get_by_role("link", name="Time since the start").click()
    expect(page.locator("[data-field=at]").first).to_contain_text("after the start")
    expect(page).to_have_url(re.compile("axis=time"))


@pytest.mark.usefixtures("shares_service")
def test_the_wipe_follows_pointer_and_keyboard_and_is_in_the_address(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    page = open_compared(open_page, once(worker, make_pair) + "&view=wipe")
    assert split_of(page) == 0.5
    page.get_by_label("Visible part of the left one").focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    eventually(page, lambda: split_of(page), 0.45)
    expect(page).to_have_url(re.compile("split=45"))
    layers = page.locator(".wipe-layers")
    drag_over(page, layers, 0.2, 0.8)
    eventually(page, lambda: split_of(page), pytest.approx(0.8, abs=0.02))
    expect(page).to_have_url(re.compile("split=80|split=79|split=81"))
    slider(page).focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(shown(page)).to_have_text(["200", "200"])
    expect(page).to_have_url(re.compile("at=200"))
    page.reload()
    expect(shown(page)).to_have_text(["200", "200"])
    eventually(page, lambda: split_of(page), pytest.approx(0.8, abs=0.02))


def test_the_wipe_shows_the_left_run_left_of_the_line_also_without_scripts(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    jobs = []
    for name, shade in (("black", 0), ("white", 255)):
        jobs.append(worker.submit(name=name))
        worker.claim()
        worker.save_grid(100, plain_png(shade))
    page = open_page(f"/compare?run={jobs[0]}&run={jobs[1]}&view=wipe&split=30", java_script_enabled=False)
    picture = Image.open(io.BytesIO(page.locator(".wipe-layers").screenshot())).convert("L")
    seen = [
        picture.getpixel((int(share * picture.width), picture.height // 2)) for share in (0.1, 0.25, 0.35, 0.9)
    ]
    assert seen == [0, 0, 255, 255]


@pytest.mark.usefixtures("shares_service")
def test_what_was_chosen_since_stays_with_another_view_and_other_runs(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    page = open_compared(open_page, once(worker, make_pair))
    page.get_by_role("link", name="First").click()
    page.locator(".compare-chooser summary", has_text="Metrics").click()
    page.get_by_label("Discriminator loss", exact=True).uncheck()
    expect(page).to_have_url(re.compile("at=100"))
    page.get_by_role("link", name="Wipe between two").click()
    expect(page.locator("[data-field=at]").first).to_have_text("At iteration 100")
    expect(page.locator(".compare-chart h3")).to_have_text(["Generator loss"], use_inner_text=True)
    page.locator("[name=left]").select_option(label="2 seldom")
    expect(page.locator(".wipe-over compare-grid")).to_have_attribute("data-name", "seldom")
    expect(page.locator("[data-field=at]").first).to_have_text("At iteration 100")


def test_other_latents_are_said_as_the_place_moves(open_page: OpenPage, worker: FakeWorker) -> None:
    query = once(worker, make_pair)
    page = open_compared(open_page, query)
    expect(page.locator("[data-field=all-latents]")).to_contain_text("Same fixed latents")
    worker.latents = b"others"
    page = open_compared(open_page, f"{query}&run={make_run(worker, 'apart', 500, 1000)}")
    expect(page.locator("[data-field=all-latents]")).to_contain_text("Different fixed latents (A: 1, 2; B: 3)")
    expect(page.locator("[data-field=latents]")).to_have_text(["Latents A", "Latents A", "Latents B"])
    slider(page).focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-field=all-latents]")).to_contain_text("Same fixed latents")


@pytest.mark.usefixtures("shares_service")
def test_metrics_are_chosen_at_once_and_said_in_the_address(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_compared(open_page, once(worker, make_pair))
    expect(page.locator(".compare-chart h3")).to_have_text(LOSSES, use_inner_text=True)
    page.locator(".compare-chooser summary", has_text="Metrics").click()
    page.get_by_label("Speed", exact=True).check()
    with_speed = [*LOSSES, "Speed (iterations/s)"]
    expect(page.locator(".compare-chart h3")).to_have_text(with_speed, use_inner_text=True)
    page.get_by_label("Discriminator loss", exact=True).uncheck()
    expect(page.locator(".compare-chart h3")).to_have_text(
        ["Generator loss", "Speed (iterations/s)"], use_inner_text=True
    )
    page.reload()
    expect(page.locator(".compare-chart h3")).to_have_text(
        ["Generator loss", "Speed (iterations/s)"], use_inner_text=True
    )


def test_a_run_that_goes_on_is_followed(open_page: OpenPage, worker: FakeWorker) -> None:
    first = make_run(worker, "done", *range(100, 501, 100))
    second = make_run(worker, "goes-on", 100, 200)
    page = open_page("/")
    page.clock.install()
    page.goto(f"/compare?run={first}&run={second}")
    expect(page.locator("live-stream")).to_have_text("Live")
    expect(shown(page)).to_have_text(["200", "200"])
    worker.log_metrics(300)
    worker.save_grid(300)
    hurry(page, lambda: shown(page).all_inner_texts(), ["300", "300"])
    hurry(page, lambda: page.locator("#metrics h2").inner_text(), "Metrics at iteration 300")
    page.get_by_role("link", name="First").click()
    worker.save_grid(450)
    # The new grid has come, and the place stays.
    hurry(page, lambda: slider(page).get_attribute("aria-valuetext"), "iteration 100, 1 of 6")
    expect(shown(page)).to_have_text(["100", "100"])


@pytest.mark.usefixtures("shares_service")
def test_a_timeline_that_could_not_be_fetched_is_asked_for_again(
    open_page: OpenPage, worker: FakeWorker, watches: list[Watch]
) -> None:
    query = once(worker, make_pair)
    page = open_page("/")
    page.route("**/timeline.json", lambda route: route.fulfill(status=503), times=1)
    page.goto(f"/compare?{query}")
    expect(slider(page)).to_have_attribute("aria-valuetext", "iteration 1,000, 10 of 11")
    # The browser itself reports the answer that was none.
    assert [complaint for complaint in watches[-1].complaints if "503" not in complaint] == []
    watches[-1].complaints.clear()


@pytest.mark.usefixtures("shares_service")
def test_page_is_complete_without_scripts(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page(f"/compare?{once(worker, make_pair)}", java_script_enabled=False)
    expect(page.locator("compare-grid img")).to_have_count(2)
    page.get_by_role("link", name="Previous").click()
    expect(shown(page)).to_have_text(["900", "800"])
    page.get_by_label("Iteration", exact=True).fill("450")
    page.get_by_role("button", name="Go").click()
    expect(shown(page)).to_have_text(["400", "400"])
    page.get_by_role("link", name="Wipe between two").click()
    expect(shown(page)).to_have_text(["400", "400"])
    page.locator("[name=right]").select_option(label="1 often")
    page.locator("[name=left]").select_option(label="2 seldom")
    page.locator(".wipe-form button").click()
    expect(page.locator(".wipe-over compare-grid")).to_have_attribute("data-name", "seldom")
    page.locator(".compare-chooser summary", has_text="Metrics").click()
    page.get_by_label("Discriminator loss", exact=True).uncheck()
    page.locator(".compare-chooser button", has_text="Show").click()
    expect(page.locator(".compare-chart h3")).to_have_text(["Generator loss"], use_inner_text=True)
    expect(page.locator("#spec-difference")).to_contain_text("seed")


def test_the_list_of_runs_leads_to_the_comparison(open_page: OpenPage, worker: FakeWorker) -> None:
    once(worker, make_pair)
    page = open_page("/")
    for name in ("often", "seldom"):
        page.get_by_label(f"Choose {name}").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    expect(shown(page)).to_have_text(["1,000", "1,000"])


@pytest.mark.parametrize("view", ["grids", "wipe"])
@pytest.mark.usefixtures("shares_service")
def test_comparison_fits_every_screen_and_axe_finds_nothing(
    open_page: OpenPage, worker: FakeWorker, view: str
) -> None:
    page = open_compared(open_page, f"{once(worker, make_pair)}&view={view}&at=500")
    for scheme, width in SCREENS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        expect_fit(page, width)
        assert page.evaluate(LOW_CONTRAST) == [], (scheme, width)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert find_violations_in_both_themes(page) == [], width


def test_axe_finds_nothing_where_runs_are_to_be_chosen(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page(f"/compare?run={make_run(worker, 'alone', 100)}&run=nobody")
    expect(page.get_by_text("There is no run nobody")).to_be_visible()
    assert find_violations_in_both_themes(page) == []
