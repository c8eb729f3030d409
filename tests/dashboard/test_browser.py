"""Pages in a real Chromium, over the real HTTP routes, while a worker reports."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard import formats
from dashboard.views.chart import describe_beyond, usual_range
from dashboard.views.timeline import evenly_spaced, nearest_index
from tests.conftest import LiveService
from tests.dashboard.browser import Watch, open_browser
from tests.dashboard.fake_worker import FakeWorker, connect
from tests.dashboard.test_pages import SCRIPT, make_hostile_run

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]
Scheme = Literal["light", "dark"]
SCREENS: list[tuple[Scheme, int]] = [("light", 1440), ("light", 390), ("dark", 1440), ("dark", 390)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def worker(live_service: LiveService) -> Iterator[FakeWorker]:
    worker = connect(live_service.url)
    yield worker
    worker.client.close()


@pytest.fixture
def watches() -> list[Watch]:
    return []


@pytest.fixture
def open_page(browser: Browser, live_service: LiveService, watches: list[Watch]) -> Iterator[OpenPage]:
    """Open a page in a context of its own; no page may have complained when the test ends."""
    contexts = []

    def open_at(path: str, **options: Any) -> Page:
        context = browser.new_context(base_url=live_service.url, timezone_id="Asia/Kolkata", **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        watches.append(Watch(page, live_service.url))
        page.goto(path)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert [watch.complaints for watch in watches if watch.complaints] == []


def shown_iteration(page: Page) -> Any:
    return page.locator("frame-view [data-field=iteration]")


def open_live(open_page: OpenPage, job: str) -> Page:
    """Open a run's page and wait until its stream stands and its chart and timeline have their data."""
    page = open_page(f"/runs/{job}")
    expect(page.locator("live-stream")).to_have_text("Live")
    expect(page.locator("loss-chart canvas")).to_be_visible()
    return page


def count_points(page: Page) -> int:
    series = "document.querySelector('loss-chart').losses.series"
    return int(page.evaluate(f"{series}?.generator.iterations.length ?? 0"))


def expect_points(page: Page, count: int) -> None:
    """Wait until the chart holds this many points; the page's policy forbids Playwright's own waiting for code."""
    end = time.monotonic() + 10
    while count_points(page) != count and time.monotonic() < end:
        page.wait_for_timeout(20)
    assert count_points(page) == count


def test_new_grid_and_points_arrive_without_a_reload(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(200)
    page = open_live(open_page, job)
    page.evaluate("window.neverReloaded = true")
    expect_points(page, 20)
    worker.log_metrics(210, 220)
    sha256 = worker.save_grid(300)
    worker.log_line("a new line", 300)
    expect(shown_iteration(page)).to_have_text("300")
    expect(page.locator("img.grid")).to_have_attribute("src", f"/artifacts/{sha256}")
    expect(page.locator("frame-strip a[aria-current]")).to_have_text("Iteration 300")
    expect(page.locator(".log")).to_contain_text("a new line")
    expect(page.locator("run-vitals [data-field=progress]")).to_have_text("300 / 1,000")
    expect(page.locator("run-vitals [data-field=time]")).to_have_text("2 min 31 s")
    expect(page).to_have_title("30 % · first-light · Ganvas")
    expect_points(page, 22)
    assert page.evaluate("window.neverReloaded")
    assert page.evaluate("document.querySelector('img.grid').naturalWidth") == 224


def test_nothing_is_missed_or_doubled_between_the_first_paint_and_the_stream(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(200)
    page = open_page("/")
    # The page is drawn, then the run goes on, and only then do the page's scripts begin.
    html = page.request.get(f"/runs/{job}").body()
    worker.log_metrics(*range(210, 310, 10))
    worker.save_grid(300)
    page.route(f"**/runs/{job}", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"/runs/{job}")
    expect(shown_iteration(page)).to_have_text("300")
    expect(page.locator("frame-view [data-field=position]")).to_have_text("3 of 3")
    expect_points(page, 30)
    worker.log_metrics(310)
    expect_points(page, 31)


def test_slider_keys_and_player_move_through_the_timeline(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(400)
    page = open_live(open_page, job)
    expect(page.locator("frame-player input")).to_have_attribute("max", "3")
    iteration = shown_iteration(page)
    for key, expected in (
        ("ArrowLeft", 300),
        ("ArrowLeft", 200),
        ("ArrowRight", 300),
        ("Home", 100),
        ("End", 400),
    ):
        page.keyboard.press(key)
        expect(iteration).to_have_text(str(expected))
    slider = page.get_by_label("Iteration of the timeline")
    slider.fill("1")
    expect(iteration).to_have_text("200")
    assert slider.get_attribute("aria-valuetext") == "Iteration 200, grid 2 of 4"
    page.get_by_role("link", name="Next").click()
    expect(iteration).to_have_text("300")
    page.locator("frame-strip a").first.click()
    expect(iteration).to_have_text("100")
    page.get_by_label("Iteration", exact=True).fill("290")
    page.get_by_role("button", name="Go").click()
    expect(iteration).to_have_text("300")
    page.get_by_label("Speed").select_option("20")
    page.locator("h1").click()
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(iteration).to_have_text("400")
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_curves_and_timeline_share_one_cursor(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(400)
    page = open_live(open_page, job)
    curves = worker.client.get(f"/jobs/{job}/metrics", params={"name": "loss/generator"}).json()["curves"][0]
    by_iteration = dict(zip(curves["iterations"], curves["values"], strict=True))
    legend = page.locator("loss-chart [data-field=generator]")
    for key, iteration in (("Home", 100), ("ArrowRight", 200)):
        page.keyboard.press(key)
        expect(legend).to_have_text(formats.show_number(by_iteration[iteration]))
    over = page.locator("loss-chart .u-over")
    box = over.bounding_box()
    assert box is not None
    over.click(position={"x": box["width"] * 0.31, "y": box["height"] / 2})
    expect(shown_iteration(page)).to_have_text("300")


def test_timeline_away_from_the_newest_grid_stays_and_counts_what_is_new(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(300)
    page = open_live(open_page, job)
    page.keyboard.press("ArrowLeft")
    worker.save_grid(400)
    worker.save_grid(500)
    newest = page.locator("[data-step=newest]")
    expect(newest).to_have_text("Newest (2 new)")
    expect(shown_iteration(page)).to_have_text("200")
    newest.click()
    expect(shown_iteration(page)).to_have_text("500")
    expect(newest).to_have_text("Newest")


def test_first_grid_of_a_run_appears_on_the_empty_film(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    page = open_live(open_page, job)
    expect(page.locator("h1")).to_contain_text("Queued")
    worker.claim()
    expect(page.locator("h1")).to_contain_text("Running")
    worker.save_grid(100)
    expect(shown_iteration(page)).to_have_text("100")
    worker.save_grid(200)
    expect(shown_iteration(page)).to_have_text("200")
    expect(page.get_by_role("button", name="Play")).to_be_enabled()


def test_next_attempt_drops_what_the_lost_one_reported_after_its_checkpoint(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(200)
    worker.save_checkpoint(200)
    worker.log_metrics(*range(210, 410, 10))
    worker.save_grid(300)
    worker.save_grid(400)
    page = open_live(open_page, job)
    expect(page.locator("frame-view [data-field=position]")).to_have_text("4 of 4")
    worker.finish("preempted")
    worker.claim("bench-3:1")
    expect(page.locator("frame-view [data-field=position]")).to_have_text("2 of 2")
    expect(shown_iteration(page)).to_have_text("200")
    expect(page.locator("#attempts")).to_contain_text("bench-3:1")
    expect_points(page, 20)
    worker.log_metrics(210)
    expect_points(page, 21)


def test_failure_arrives_at_the_top_of_an_open_page(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(100)
    page = open_live(open_page, job)
    worker.finish("failed", "training_diverged", "The loss became NaN.")
    expect(page.locator("#notice")).to_contain_text("The loss became NaN.")
    expect(page.locator("#notice")).to_contain_text("What to try.")
    expect(page.locator("h1")).to_contain_text("Failed")
    expect(page.locator("run-vitals")).to_contain_text("Time taken")
    expect(page.get_by_text("Cancel run")).to_have_count(0)


def test_list_moves_and_takes_in_new_runs(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page("/")
    expect(page.locator("live-stream")).to_have_text("Live")
    expect(page.locator("h2")).to_have_text("No runs yet")
    job = worker.submit()
    row = page.locator(f"tr[data-run='{job}']")
    expect(row).to_contain_text("Queued")
    worker.claim()
    expect(row).to_contain_text("Running")
    worker.log_metrics(500)
    sha256 = worker.save_grid(500)
    expect(row.locator("[data-field=progress]")).to_have_text("500 / 1,000")
    expect(row.locator("[data-field=time]")).to_have_text("1 min 48 s")
    expect(row.locator("image")).to_have_attribute("href", f"/artifacts/{sha256}")
    later = worker.save_grid(600)
    expect(row.locator("image")).to_have_attribute("href", f"/artifacts/{later}")


def test_cancel_button_asks_and_then_cancels(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    page = open_page(f"/runs/{job}")
    page.get_by_text("Cancel run").click()
    page.get_by_role("button", name="Yes, cancel this run").click()
    expect(page.locator("h1")).to_contain_text("Cancelled")
    assert worker.client.get(f"/jobs/{job}").json()["state"] == "cancelled"


def test_page_is_complete_without_scripts(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit(description="Without scripts.")
    worker.claim()
    worker.train(300)
    worker.log_line("a line of the log")
    page = open_page(f"/runs/{job}", java_script_enabled=False)
    expect(page.locator("img.grid")).to_be_visible()
    expect(page.locator("path.curve").first).to_be_visible()
    expect(page.locator(".log")).to_contain_text("a line of the log")
    expect(page.locator(".spec")).to_contain_text("batch_size: 64")
    expect(page.locator("frame-strip a")).to_have_count(3)
    page.get_by_role("link", name="Previous").click()
    expect(shown_iteration(page)).to_have_text("200")
    page.get_by_label("Iteration", exact=True).fill("120")
    page.get_by_role("button", name="Go").click()
    expect(shown_iteration(page)).to_have_text("100")
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(shown_iteration(page)).to_have_text("100")
    page.get_by_text("Cancel run").click()
    page.get_by_role("button", name="Yes, cancel this run").click()
    expect(page.locator("#actions")).to_contain_text("Cancel requested")


def test_script_strings_stay_text_also_when_they_arrive_live(open_page: OpenPage, worker: FakeWorker) -> None:
    hostile = make_hostile_run(worker)
    page = open_page(f"/runs/{hostile}")
    expect(page.locator(".description")).to_contain_text(SCRIPT)
    expect(page.locator("#notice")).to_contain_text(SCRIPT)
    job = worker.submit()
    worker.claim(worker=SCRIPT)
    page = open_live(open_page, job)
    worker.log_line(f"live {SCRIPT}")
    worker.log_line("<img src=x onerror=alert(2)>", level="error")
    expect(page.locator(".log")).to_contain_text(f"live {SCRIPT}")
    expect(page.locator(".log")).to_contain_text("<img src=x")
    expect(page.locator(".log img, main script")).to_have_count(0)


def test_theme_changes_at_once_and_is_remembered(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(100)
    page = open_live(open_page, job)
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(paper) != light
    page.reload()
    assert page.evaluate(paper) != light
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")


def test_times_stand_in_the_readers_zone_and_in_utc_without_scripts(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    claimed = worker.client.get(f"/jobs/{job}").json()["attempts"][0]["claimed_at"]
    hour = f"{claimed[11:13]}"
    expect(open_page(f"/runs/{job}", java_script_enabled=False).locator("#attempts time")).to_contain_text("UTC")
    local = open_page(f"/runs/{job}").locator("#attempts time")
    expect(local).not_to_contain_text("UTC")
    # India is five and a half hours ahead.
    half_past = (int(hour) * 60 + int(claimed[14:16]) + 330) % 1440
    expect(local).to_contain_text(f"{half_past // 60:02}:{half_past % 60:02}")


def test_every_page_fits_its_screen_and_can_be_read(
    open_page: OpenPage, worker: FakeWorker, watches: list[Watch]
) -> None:
    job = worker.submit(description="The final networks of the thesis.", tags=["mnist", "baseline"])
    worker.claim()
    worker.train(800, grid_every=50)
    worker.log_line("training on " + "x" * 300)
    page = open_page("/")
    for name, path in (("runs", "/"), ("run", f"/runs/{job}"), ("error", "/runs/none")):
        page.goto(path)
        if name == "run":
            expect(page.locator("loss-chart canvas")).to_be_visible()
        for scheme, width in SCREENS:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            assert page.evaluate(LOW_CONTRAST) == [], (name, scheme)
            folder = os.environ.get("GANVAS_SCREENSHOTS")
            if folder:
                page.screenshot(path=str(Path(folder) / f"{name}-{scheme}-{width}.png"), full_page=True)
    # The browser itself reports the page that is not there.
    assert [complaint for complaint in watches[-1].complaints if "404" not in complaint] == []
    watches[-1].complaints.clear()


# Text whose contrast with the nearest painted background is below WCAG's AA (4.5 to 1), as [text, ratio].
LOW_CONTRAST = """() => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parse = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const linear = (part) => (part / 255 <= 0.04045 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const low = [];
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility() || node.closest("svg, option")) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push([walker.currentNode.data.trim(), ratio]);
  }
  return low;
}"""


def test_contrast_check_finds_text_that_is_too_faint(open_page: OpenPage) -> None:
    page = open_page("/")
    page.evaluate("document.querySelector('h1').style.color = 'rgb(190, 190, 190)'")
    assert [text for text, _ in page.evaluate(LOW_CONTRAST)] == ["Runs"]


def test_watch_hears_inline_scripts_other_origins_and_errors(browser: Browser, live_service: LiveService) -> None:
    context = browser.new_context()
    page = context.new_page()
    watch = Watch(page, live_service.url)
    page.goto(live_service.url)
    assert watch.complaints == []
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
    )
    page.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))")
    page.evaluate("console.error('trouble')")
    page.wait_for_timeout(200)
    assert page.evaluate("window.ran") is None
    heard = " ".join(watch.complaints)
    for part in ("inline script", "another origin", "trouble"):
        assert part in heard, heard
    context.close()


NUMBERS = [
    0,
    1,
    -1,
    0.1,
    0.02134,
    1.38629,
    9.996,
    12.345,
    123.456,
    999.7,
    1204.4,
    999_999,
    1e6,
    3.14e-5,
    -2.5,
    2.5e12,
]
SECONDS = [0, 0.4, 0.5, 42, 59.6, 60, 185, 3599, 3600, 8000, 86_399, 86_400, 273_000]


def test_scripts_write_numbers_as_the_server_does(open_page: OpenPage) -> None:
    page = open_page("/")
    shown = page.evaluate(
        """async ([numbers, seconds]) => {
          const base = document.querySelector("script[type=module]").src;
          const format = await import(new URL("format.js", base));
          const { showCount, showDuration, showNumber, showPercent, readValue } = format;
          return {
            number: numbers.map((value) => showNumber(value)),
            words: ["nan", "inf", "-inf"].map((word) => showNumber(readValue(word))).concat(showNumber(undefined)),
            duration: seconds.map(showDuration).concat(showDuration(null)),
            count: [0, 999, 1000, 1234567].map(showCount),
            percent: [0, 0.414, 0.999, 1].map(showPercent),
          };
        }""",
        [NUMBERS, SECONDS],
    )
    nan, inf = float("nan"), float("inf")
    assert shown == {
        "number": [formats.show_number(value) for value in NUMBERS],
        "words": [formats.show_number(value) for value in (nan, inf, -inf, None)],
        "duration": [formats.show_duration(value) for value in (*SECONDS, None)],
        "count": [formats.show_count(value) for value in (0, 999, 1000, 1_234_567)],
        "percent": [formats.show_percent(value) for value in (0, 0.414, 0.999, 1)],
    }


VALUES = [[], [1.0], [0.0, 0.0], [1.0, 1.1, 0.9, 1.2, 18.2], [5.0, 5.1, 5.2, 5.05, -9.0], [-3.0, -2.0, -1.0, 0.5]]
TIMELINES = [(1, 24), (24, 24), (25, 24), (40, 24), (1000, 24)]


def test_scripts_place_axis_and_frames_as_the_server_does(open_page: OpenPage) -> None:
    page = open_page("/")
    iterations = [100, 200, 400]
    wanted = [0, 149, 150, 151, 299, 301, 9999]
    shown = page.evaluate(
        """async ([values, timelines, iterations, wanted]) => {
          const base = document.querySelector("script[type=module]").src;
          const { describeBeyond, usualRange } = await import(new URL("series.js", base));
          const { evenlySpaced, nearestFrame } = await import(new URL("frames.js", base));
          const frames = iterations.map((iteration) => ({ iteration }));
          return [
            values.map(usualRange),
            values.map((each) => describeBeyond(each, ...usualRange(each))),
            timelines.map(([count, most]) => evenlySpaced(count, most)),
            wanted.map((iteration) => nearestFrame(frames, iteration)),
          ];
        }""",
        [VALUES, TIMELINES, iterations, wanted],
    )
    ranges, beyond, strips, nearest = json.loads(json.dumps(shown))
    assert ranges == [pytest.approx(usual_range(values)) for values in VALUES]
    assert beyond == [describe_beyond(values, *usual_range(values)) for values in VALUES]
    assert strips == [evenly_spaced(*timeline) for timeline in TIMELINES]
    assert nearest == [nearest_index(iterations, each) for each in wanted]
