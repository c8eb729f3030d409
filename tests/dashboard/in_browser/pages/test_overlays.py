"""What lies over a page goes away again; what is printed is paper; fields show all their digits."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.in_browser.compare.test_compare import make_pair
from tests.dashboard.in_browser.test_reading import LOW_CONTRAST
from tests.support.browser import OpenPage, eventually, expect_fit, open_settings
from tests.support.fake_worker import FakeWorker, make_histograms, once

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("shares_service")]
OVERLAYS = (
    ("run", ".chooser"),
    ("run", ".settings:has([aria-label='Player settings'])"),
    ("run", ".settings:has([aria-label='Chart settings'])"),
    ("run", ".confirm"),
    ("compare", ".compare-chooser:has-text('Group')"),
    ("compare", ".compare-chooser:has-text('Metrics')"),
    ("list", ".menu:has-text('Group')"),
    ("list", ".menu:has([aria-label=Columns])"),
    ("list", ".how"),
    ("list", ".confirm"),
)


def make_runs(worker: FakeWorker) -> dict[str, str]:
    """Two runs that are compared, and a long one with everything; returns the pages' addresses by name."""
    query = make_pair(worker)
    job = worker.submit(name="long", iterations=10_000_000, sample_every=1_000_000, tags=["mnist"])
    worker.claim()
    worker.log_metrics(1_000_000, 2_000_000)
    for at in (1_000_000, 2_000_000):
        names = ("logits/real", "logits/fake", "gradients/generator", "gradients/discriminator")
        worker.post(make_histograms(at, dict.fromkeys(names, (-5.0, 1.0))))
        worker.post({"kind": "metrics_logged", "iteration": at, "values": {"eval/recall": 0.5}})
        worker.save_grid(at)
        worker.save_neighbours(at)
    worker.save_checkpoint(2_000_000)
    worker.log_line("a line of the log\n" * 40)
    figures = f"/figures?kind=curves&run={job}"
    pages = {"run": f"/runs/{job}?cell=1-1", "compare": f"/compare?{query}", "list": "/", "figures": figures}
    return pages | {"gallery": "/?view=gallery", "queue": "/queue-and-workers", "form": "/new?recipe=first-light"}


def unfold(page: Page, selector: str) -> Locator:
    overlay = page.locator(f"details{selector}")
    overlay.locator("summary").click()
    expect(overlay).to_have_attribute("open", "")
    return overlay


@pytest.mark.parametrize("name", ["run", "compare", "list"])
def test_overlays_fold_with_escape_a_click_elsewhere_and_a_lost_focus(
    open_page: OpenPage, worker: FakeWorker, name: str
) -> None:
    page = open_page(once(worker, make_runs)[name])
    if name == "list":
        # Nothing is cancelled unless something is chosen.
        page.locator("input[name=run]").first.check()
    for selector in (each for place, each in OVERLAYS if place == name):
        overlay = unfold(page, selector)
        inside = overlay.locator("input, button").first
        if inside.count():
            # What is inside is used without closing it.
            inside.focus()
            expect(overlay).to_have_attribute("open", "")
        page.keyboard.press("Escape")
        expect(overlay).not_to_have_attribute("open", "")
        if inside.count():
            expect(overlay.locator("summary")).to_be_focused()
        overlay = unfold(page, selector)
        page.locator("h1").click()
        expect(overlay).not_to_have_attribute("open", "")
        overlay = unfold(page, selector)
        page.locator(".wordmark").focus()
        expect(overlay).not_to_have_attribute("open", "")


def test_without_their_script_overlays_stay(open_page: OpenPage, worker: FakeWorker) -> None:
    path = once(worker, make_runs)["run"]
    page = open_page("/queue-and-workers")
    page.route("**/overlays.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.goto(path)
    overlay = unfold(page, ".chooser")
    page.keyboard.press("Escape")
    page.locator("h1").click()
    expect(overlay).to_have_attribute("open", "")


# A page of A4 between usual margins.
PAPER = 718
# The line that unfolds a record is its heading on paper.
CONTROLS = (
    "button, select, summary:not(.record > summary), nav, input:not([type=text], [type=hidden]), "
    "curve-settings, frame-player, .overlay"
)
SEEN = "(all) => all.filter((each) => each.checkVisibility()).map((each) => each.outerHTML.slice(0, 80))"
CUT = """() => [...document.querySelectorAll(".log, .spec, .scroll, .strip, .choices")]
  .filter((box) => box.checkVisibility())
  .filter((box) => box.scrollHeight > box.clientHeight + 1 || box.scrollWidth > box.clientWidth + 1)
  .map((box) => box.className)"""
WIDEST = """() => Math.max(0, ...[...document.querySelectorAll("canvas, img, .drawn")]
  .filter((each) => each.checkVisibility()).map((each) => each.getBoundingClientRect().right))"""
INK = "() => [getComputedStyle(document.documentElement).backgroundColor, getComputedStyle(document.body).color]"


def test_a_printed_page_has_no_controls_and_is_black_on_white_and_whole(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    pages = once(worker, make_runs)
    page = open_page("/", viewport={"width": PAPER, "height": 900}, color_scheme="dark")
    for name, path in pages.items():
        page.goto(path)
        if name in ("run", "compare"):
            page.locator("curve-chart").first.scroll_into_view_if_needed()
            expect(page.locator("curve-chart canvas").first).to_be_visible()
        on_screen = page.locator(CONTROLS).evaluate_all(SEEN)
        assert len(on_screen) >= 3, name
        page.emulate_media(media="print")
        assert page.locator(CONTROLS).evaluate_all(SEEN) == [], name
        # The theme is that of the paper, also in what scripts have drawn.
        eventually(page, lambda: page.evaluate(INK), ["rgb(255, 255, 255)", "rgb(0, 0, 0)"])
        assert page.evaluate(LOW_CONTRAST) == [], name
        eventually(page, lambda: page.evaluate(CUT), [])
        expect_fit(page, PAPER)
        eventually(page, lambda: page.evaluate(WIDEST) <= PAPER, True)
        page.emulate_media(media="screen")
        eventually(page, lambda: page.evaluate(INK)[0] != "rgb(255, 255, 255)", True)


# Fields whose largest number would be cut off, or covered by the arrows that come with the pointer.
TOO_NARROW = """(arrows) => [...document.querySelectorAll("input[type=number]")].filter((box) => {
  const context = document.createElement("canvas").getContext("2d");
  const { fontSize, fontFamily, paddingLeft, paddingRight } = getComputedStyle(box);
  context.font = `${fontSize} ${fontFamily}`;
  const texts = [box.max, box.value].map((text) => context.measureText(text).width);
  return Math.max(...texts) + parseFloat(paddingLeft) + parseFloat(paddingRight) + arrows > box.clientWidth;
}).map((box) => box.ariaLabel ?? box.name)"""
ARROWS = 16


def test_fields_show_all_digits_of_ten_million(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page(once(worker, make_runs)["run"])
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.locator(".bench curve-chart").scroll_into_view_if_needed()
        open_settings(page)
        expect(page.get_by_label("Zoom to iteration")).to_have_value("10000000")
        assert page.evaluate(TOO_NARROW, ARROWS) == []
        expect_fit(page, width)
    page.get_by_label("Zoom to iteration").evaluate("(box) => { box.style.width = '96px'; }")
    assert page.evaluate(TOO_NARROW, ARROWS) == ["Zoom to iteration"]
