"""Pages as a reader meets them: without scripts, in each theme and width, in each zone."""

import os
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import LiveService
from tests.dashboard.web.test_pages import SCRIPT, make_hostile_run
from tests.support.browser import OpenPage, Watch, eventually, expect_fit, go_to, open_live, shown_iteration
from tests.support.fake_worker import FakeWorker

pytestmark = pytest.mark.browser

Scheme = Literal["light", "dark"]
SCREENS: list[tuple[Scheme, int]] = [("light", 1440), ("light", 390), ("dark", 1440), ("dark", 390)]


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
    go_to(page, 120)
    expect(shown_iteration(page)).to_have_text("100")
    page.get_by_label("Menu", exact=True).click()
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
    page.get_by_label("Menu", exact=True).click()
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(paper) != light
    page.reload()
    assert page.evaluate(paper) != light
    expect(page.locator("button[value=dark]")).to_have_attribute("aria-pressed", "true")


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
    for name, path in (("runs", "/"), ("run", f"/runs/{job}"), ("docs", "/docs"), ("error", "/runs/none")):
        page.goto(path)
        if name == "run":
            # On the narrow screen of the round before it lies below the fold, and waits until it is seen.
            page.locator(".bench curve-chart").scroll_into_view_if_needed()
            expect(page.locator(".bench curve-chart canvas")).to_be_visible()
        for scheme, width in SCREENS:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            expect_fit(page, width)
            assert page.evaluate(LOW_CONTRAST) == [], (name, scheme)
            folder = os.environ.get("GANVAS_SCREENSHOTS")
            if folder:
                page.screenshot(path=str(Path(folder) / f"{name}-{scheme}-{width}.png"), full_page=True)
    # The browser itself reports the page that is not there.
    assert [complaint for complaint in watches[-1].complaints if "404" not in complaint] == []
    watches[-1].complaints.clear()


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_records_and_large_numbers_are_not_cut_off_on_any_screen(
    open_page: OpenPage, worker: FakeWorker, width: int
) -> None:
    job = worker.submit(iterations=10_000_000, sample_every=1_000_000)
    worker.claim(worker="gpu-node-07.cluster.example.org:worker-0d8f1c:47110")
    worker.log_metrics(7_840_000)
    worker.save_checkpoint(7_840_000)
    worker.finish("failed", "training_diverged", "The generator's loss became NaN. " * 4)
    page = open_page(f"/runs/{job}", viewport={"width": width, "height": 900})
    expect_fit(page, width)
    hidden = "[...document.querySelectorAll('.scroll, .log, .spec')].map(box => box.scrollWidth - box.clientWidth)"
    eventually(page, lambda: page.evaluate(hidden), [0, 0, 0, 0])


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
    parts = ("inline script", "another origin", "trouble")
    eventually(page, lambda: [part for part in parts if part not in " ".join(watch.complaints)], [])
    assert page.evaluate("window.ran") is None
    context.close()
