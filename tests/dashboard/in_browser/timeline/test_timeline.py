"""The timeline in a real browser: scrubbing by strips, axes, keys and wheel, differences, and a cell's history."""

import hashlib
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import (
    OpenPage,
    Watch,
    eventually,
    find_box,
    find_violations_in_both_themes,
    open_live,
    open_settings,
    shown_iteration,
)
from tests.support.fake_worker import CELL, ROWS, FakeWorker, make_grid_png, once

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("shares_service")]


def make_run(worker: FakeWorker, *iterations: int) -> str:
    job = worker.submit(iterations=2000)
    worker.claim()
    worker.log_metrics(10, 20)
    for iteration in iterations:
        worker.save_grid(iteration)
    return job


def shade(png: bytes, row: int, column: int) -> int:
    """How bright a cell of a made grid is."""
    found: Any = Image.open(io.BytesIO(png)).getpixel((column * CELL + 5, row * CELL + 5))
    return int(found)


def artifact_url(iteration: int) -> str:
    return f"/artifacts/{hashlib.sha256(make_grid_png(iteration)).hexdigest()}"


def read_canvas(page: Page, row: int, column: int) -> list[int]:
    """The colour in the middle of a cell of what the canvas over the grid shows."""
    found: list[int] = page.evaluate(
        """([row, column, rows]) => {
          const shown = document.querySelector("grid-view canvas");
          const at = (place, side) => Math.floor(((place + 0.5) / rows) * side);
          // Another canvas, so that the page's own is not turned into one that is slow to draw on.
          const { width, height } = shown;
          const copy = Object.assign(document.createElement("canvas"), { width, height });
          const context = copy.getContext("2d", { willReadFrequently: true });
          context.drawImage(shown, 0, 0);
          return [...context.getImageData(at(column, width), at(row, height), 1, 1).data];
        }""",
        [row, column, ROWS],
    )
    return found


def expect_drawn(page: Page, row: int, column: int, brightness: int, *, within: int) -> None:
    """Wait until a cell is as bright as this; thumbnails come before whole grids, and are less exact."""
    eventually(page, lambda: abs(read_canvas(page, row, column)[0] - brightness) <= within, True)


def test_scrubbing_draws_from_strips_and_asks_for_no_image_a_grid(
    open_page: OpenPage, worker: FakeWorker, watches: list[Watch]
) -> None:
    job = once(worker, make_run, *range(10, 410, 10))
    page = open_page("/")
    # The page's own clock: however slow the machine is, the keys follow each other quickly.
    page.clock.install()
    page.goto(f"/runs/{job}")
    slider = page.get_by_label("Iteration of the timeline")
    expect(slider).to_have_attribute("aria-valuetext", "Iteration 400, grid 40 of 40")
    page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=5))
    slider.focus()
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
        page.clock.run_for(20)
    expect(shown_iteration(page)).to_have_text("100")
    expect(page.locator("img.grid")).to_have_attribute("alt", "8 × 8 generated images at iteration 100")
    assert [url for url in watches[-1].requests if "/strips/" in url]
    # At rest the whole grid comes, and the few beside it to which a single step leads.
    page.clock.run_for(200)
    page.clock.resume()
    expect(page.locator("img.grid")).to_have_attribute("src", artifact_url(100))
    passed = {artifact_url(iteration) for iteration in range(130, 370, 10)}
    assert not [url for url in watches[-1].requests if url.endswith(tuple(passed))]


def test_a_moving_timeline_shows_the_grid_of_its_caption(
    open_page: OpenPage, worker: FakeWorker, watches: list[Watch]
) -> None:
    job = once(worker, make_run, *range(10, 210, 10))
    page = open_live(open_page, job)
    # Whole grids never come, so that what is seen is from strips.
    page.route("**/artifacts/*", lambda route: route.abort())
    page.get_by_label("Iteration of the timeline").focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    expect(shown_iteration(page)).to_have_text("150")
    expect(page.locator("grid-view canvas")).to_be_visible()
    for row, column in ((0, 0), (2, 6), (7, 7)):
        expect_drawn(page, row, column, shade(make_grid_png(150), row, column), within=6)
    # The browser itself reports what was not let through, also while the page closes.
    page.close()
    assert [complaint for complaint in watches.pop().complaints if "ERR_FAILED" not in complaint] == []


def test_slider_goes_by_iterations_on_both_axes(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_live(open_page, once(worker, make_run, 1, 10, 100, 1000))
    slider = page.get_by_label("Iteration of the timeline")
    iteration = shown_iteration(page)
    # The axis of the curves goes to the planned 2,000.
    slider.fill("0.25")
    expect(iteration).to_have_text("100")
    slider.fill("0.005")
    expect(iteration).to_have_text("10")
    open_settings(page)
    page.locator("curve-settings").get_by_label("Iterations").select_option("log")
    expect(slider).to_have_value(re.compile(r"0\.30"))
    slider.fill("0.62")
    expect(iteration).to_have_text("100")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(iteration).to_have_text("1,000")
    page.keyboard.press("Home")
    expect(iteration).to_have_text("1")


def test_wheel_over_the_grid_goes_through_the_timeline_and_scrolls_at_its_end(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    page = open_live(open_page, once(worker, make_run, *range(100, 1300, 100)))
    page.locator("grid-view").hover()
    before = page.evaluate("scrollY")
    page.mouse.wheel(0, -300)
    expect(shown_iteration(page)).to_have_text("900")
    assert page.evaluate("scrollY") == before
    page.mouse.wheel(0, 300)
    expect(shown_iteration(page)).to_have_text("1,200")
    page.mouse.wheel(0, 300)
    eventually(page, lambda: page.evaluate("scrollY") > before, True)


def test_difference_shows_what_changed_since_the_grid_before(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_live(open_page, once(worker, make_run, 100, 200))
    legend = page.locator(".difference-scale")
    expect(legend).to_be_hidden()
    page.keyboard.press("d")
    open_settings(page, "Player settings")
    expect(page.get_by_label("Show")).to_have_value("difference")
    page.keyboard.press("Escape")
    expect(legend).to_be_visible()
    against = page.locator("[data-field=against]")
    expect(against).to_have_text("4 × difference from iteration 100")
    expect(page.locator("grid-view canvas")).to_be_visible()
    for row, column in ((0, 0), (3, 1), (7, 5)):
        change = shade(make_grid_png(200), row, column) - shade(make_grid_png(100), row, column)
        # Brighter is orange, darker blue; four times as much, up to the full colour.
        full = (255, 150, 30) if change > 0 else (50, 140, 255)
        wanted = [min(1, 4 * abs(change) / 255) * part for part in full]
        eventually(page, lambda: read_canvas(page, row, column)[:3], pytest.approx(wanted, abs=2))  # noqa: B023
    page.keyboard.press("Home")
    expect(against).to_have_text("No grid comes before this one")
    page.keyboard.press("d")
    expect(against).to_have_text("")
    expect(page.locator("grid-view canvas")).to_be_hidden()


def test_flicker_turns_by_itself_unless_the_reader_wants_no_motion(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    job = once(worker, make_run, 100, 200)
    page = open_live(open_page, job)
    page.keyboard.press("f")
    against = page.locator("[data-field=against]")
    expect(against).to_have_text("Shown: iteration 100")
    expect(against).to_have_text("In turn with iteration 100")
    calm = open_page(f"/runs/{job}", reduced_motion="reduce")
    expect(calm.get_by_role("button", name="Play")).to_be_enabled()
    calm.clock.install()
    calm.keyboard.press("f")
    against = calm.locator("[data-field=against]")
    expect(against).to_have_text("In turn with iteration 100")
    calm.clock.run_for(900)
    expect(against).to_have_text("In turn with iteration 100")
    calm.keyboard.press("b")
    expect(against).to_have_text("Shown: iteration 100")
    expect_drawn(calm, 1, 1, shade(make_grid_png(100), 1, 1), within=1)


# Pictures that were decoded, by their addresses; the one of this address waits until it is let go.
HOLD = """(url) => {
  const { decode } = HTMLImageElement.prototype;
  const held = new Promise((release) => { window.release = release; });
  window.decoded = [];
  window.isAsked = false;
  HTMLImageElement.prototype.decode = async function () {
    if (this.src.endsWith(url)) {
      window.isAsked = true;
      await held;
    }
    await decode.call(this);
    // Whoever waits for it has had their turn by then.
    setTimeout(() => window.decoded.push(new URL(this.src).pathname));
  };
}"""


def test_a_grid_that_comes_late_does_not_take_the_place_of_the_one_turned_to(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    page = open_page(f"/runs/{once(worker, make_run, 100, 200)}", reduced_motion="reduce")
    expect(page.get_by_role("button", name="Play")).to_be_enabled()
    page.evaluate(HOLD, artifact_url(200))
    page.keyboard.press("f")
    eventually(page, lambda: page.evaluate("window.isAsked"), True)
    page.keyboard.press("b")
    expect(page.locator("[data-field=against]")).to_have_text("Shown: iteration 100")
    eventually(page, lambda: page.evaluate("window.decoded"), [artifact_url(100)])
    page.evaluate("window.release()")
    eventually(page, lambda: page.evaluate("window.decoded"), [artifact_url(100), artifact_url(200)])
    expect_drawn(page, 1, 1, shade(make_grid_png(100), 1, 1), within=1)


def read_middle(drawn: Locator) -> int:
    """How bright the middle of what the browser drew is."""
    picture = Image.open(io.BytesIO(drawn.screenshot())).convert("L")
    found: Any = picture.getpixel((picture.width // 2, picture.height // 2))
    return int(found)


def history_frames(page: Page) -> Locator:
    return page.locator("cell-history li a")


def test_click_on_a_cell_shows_its_history_and_a_click_there_jumps(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    job = once(worker, make_run, 100, 200, 300)
    page = open_live(open_page, job)
    grid = page.locator("grid-view")
    box = find_box(page, grid)
    grid.click(position={"x": box["width"] * 4.5 / ROWS, "y": box["height"] * 2.5 / ROWS})
    expect(page.locator("cell-history h2")).to_have_text("Cell in row 3, column 5")
    expect(history_frames(page)).to_have_count(3)
    expect(page).to_have_url(re.compile(r"\?cell=3-5$"))
    expect(page.locator("cell-history a[aria-current]")).to_have_text("Iteration 300")
    history_frames(page).nth(1).click()
    expect(shown_iteration(page)).to_have_text("200")
    expect(page.locator("cell-history a[aria-current]")).to_have_text("Iteration 200")
    # What is drawn there is that cell.
    eventually(
        page, lambda: read_middle(history_frames(page).nth(1).locator("svg")), shade(make_grid_png(200), 2, 4)
    )
    page.get_by_role("link", name="Stop following").click()
    # Then it is that of a cell in the middle.
    expect(page.locator("cell-history h2")).to_have_text("Cell in row 4, column 4")
    expect(page.locator(".followed")).to_be_hidden()
    expect(page).to_have_url(re.compile(rf"{job}\?iteration=200$"))


def test_a_cell_is_chosen_and_followed_with_keys_alone(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_live(open_page, once(worker, make_run, 100, 200))
    cell = page.get_by_role("button", name=re.compile("Follow the cell"))
    cell.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    expect(cell).to_have_accessible_name("Follow the cell in row 2, column 1")
    expect(shown_iteration(page)).to_have_text("200")
    page.keyboard.press("Enter")
    expect(page.locator("cell-history h2")).to_have_text("Cell in row 2, column 1")


def test_a_followed_cell_is_a_state_of_the_page_without_scripts(open_page: OpenPage, worker: FakeWorker) -> None:
    job = once(worker, make_run, 100, 200, 300)
    page = open_page(f"/runs/{job}", java_script_enabled=False)
    page.get_by_label("Row").fill("2")
    page.get_by_label("Column").fill("7")
    page.get_by_role("button", name="Follow").click()
    expect(page.locator("cell-history h2")).to_have_text("Cell in row 2, column 7")
    expect(history_frames(page)).to_have_count(3)
    page.get_by_role("link", name="Previous").click()
    expect(shown_iteration(page)).to_have_text("200")
    expect(page.locator("cell-history a[aria-current]")).to_have_text("Iteration 200")
    page.get_by_role("link", name="Stop following").click()
    expect(page.locator("cell-history h2")).to_have_text("Cell in row 4, column 4")
    expect(shown_iteration(page)).to_have_text("200")


def test_history_leaves_out_other_latents_and_says_so(open_page: OpenPage, worker: FakeWorker) -> None:
    job = make_run(worker, 100, 200)
    worker.latents = b"others"
    for iteration in (300, 400, 500):
        worker.save_grid(iteration)
    page = open_page(f"/runs/{job}?cell=1-1")
    expect(history_frames(page)).to_have_count(3)
    expect(page.locator("cell-history")).to_contain_text("The fixed latents changed: 2 grids show other latents")
    page = open_page(f"/runs/{job}?cell=1-1&iteration=100")
    expect(history_frames(page)).to_have_count(2)
    expect(page.locator("cell-history")).to_contain_text("these are from 100 to 200")
    page = open_page(f"/runs/{job}")
    expect(page.locator("cell-history")).to_contain_text("The same latents in 3 of 5 grids.")


def test_timeline_and_history_are_accessible_in_both_themes(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page(f"/runs/{once(worker, make_run, 100, 200)}?cell=2-2")
    expect(page.locator("frame-player input")).to_be_visible()
    expect(history_frames(page)).to_have_count(2)
    assert find_violations_in_both_themes(page) == []


def test_a_timeline_that_could_not_be_fetched_is_asked_for_again(
    open_page: OpenPage, worker: FakeWorker, watches: list[Watch]
) -> None:
    job = once(worker, make_run, 100, 200)
    page = open_page("/")
    page.route("**/timeline.json", lambda route: route.abort(), times=1)
    page.goto(f"/runs/{job}")
    slider = page.get_by_label("Iteration of the timeline")
    expect(slider).to_have_attribute("aria-valuetext", "Iteration 200, grid 2 of 2")
    # The browser itself reports what was not let through, also while the page closes.
    page.close()
    assert [complaint for complaint in watches.pop().complaints if "ERR_FAILED" not in complaint] == []
