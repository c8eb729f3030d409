"""Curves of compared runs as a reader uses them, the cell that is outlined in all, and the address of a view."""

import re
from functools import partial

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.in_browser.compare.test_compare import make_pair, make_run, open_compared, shown, slider
from tests.dashboard.in_browser.test_reading import SCREENS
from tests.support import browser
from tests.support.browser import (
    OpenPage,
    drag_over,
    expect_fit,
    find_box,
    find_violations_in_both_themes,
    hurry,
    open_live,
    open_settings,
    shown_iteration,
)
from tests.support.fake_worker import ROWS, FakeWorker, once

pytestmark = pytest.mark.browser
CHART = "#curves curve-chart"
read_plot = partial(browser.read_plot, CHART)
until = partial(browser.wait_for_plot, CHART)


def open_alive(open_page: OpenPage, query: str) -> Page:
    """Open the comparison and wait until its first chart is drawn by its script."""
    page = open_compared(open_page, query)
    see_chart(page)
    return page


def see_chart(page: Page) -> None:
    """Wait until the first chart is drawn, which it is once it is nearly in sight."""
    page.locator(CHART).first.scroll_into_view_if_needed()
    expect(page.locator(f"{CHART} canvas").first).to_be_visible()


def rows(page: Page) -> Locator:
    return page.locator(CHART).first.locator("tbody tr")


def drag(page: Page, begin: float, end: float) -> None:
    """Drag over these shares of the first chart's width."""
    drag_over(page, page.locator(f"{CHART} .u-over").first, begin, end)


@pytest.mark.usefixtures("shares_service")
def test_curves_of_all_runs_are_alive_and_their_cursor_is_the_slider(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    page = open_alive(open_page, once(worker, make_pair) + "&metric=loss/generator")
    expect(rows(page).locator("th")).to_have_text(["1 often", "2 seldom"])
    until(page, "plot.lines.map((line) => line.curve.iterations.at(-1))", [1000, 1200])
    until(page, "new Set(plot.lines.map((line) => line.stroke + line.dash)).size", 2)
    at = page.locator(f"{CHART} [data-field=at]").first
    expect(at).to_have_text("at iteration 1,000")
    slider(page).focus()
    page.keyboard.press("Home")
    expect(at).to_have_text("at iteration 100")
    value = read_plot(page, "plot.lines[0].curve.means[9]")
    expect(rows(page).first.locator("[data-field=value]")).to_have_attribute("title", str(value))
    # The pointer looks elsewhere; a click there moves all runs.
    over = page.locator(f"{CHART} .u-over")
    width = find_box(page, over)["width"]
    over.hover(position={"x": width / 2, "y": 50})
    expect(at).to_have_text(re.compile("at iteration (599|600|601)"))
    over.click(position={"x": 0.502 * width, "y": 50})
    expect(shown(page)).to_have_text(["600", "600"])
    page.locator("h1").hover()
    expect(page.locator("[data-field=at]").first).to_have_text(re.compile("At iteration 60"))


@pytest.mark.usefixtures("shares_service")
def test_the_address_holds_smoothing_axes_and_zoom_of_compared_curves(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    page = open_alive(open_page, once(worker, make_pair))
    drag(page, 0.25, 0.9)
    # Read at the slider, not at the pointer.
    page.locator("h1").hover()
    expect(page).to_have_url(re.compile(r"zoom=(29[89]|30[012])-(107[89]|108[012])(&|$)"))
    page.get_by_label("Smoothing").fill("15")
    expect(page.locator(f"{CHART} [data-field=smoothed]").first).not_to_be_empty()
    page.get_by_label("Values").select_option("log")
    page.locator("curve-settings select").nth(1).select_option("log")
    page.locator("compare-player select").select_option("log")
    slider(page).focus()
    page.keyboard.press("ArrowLeft")
    for part in ("smoothing=15", "values=log", "scale=log", "slider=log", "at=900"):
        expect(page).to_have_url(re.compile(part))
    smoothed = page.locator(f"{CHART} [data-field=smoothed]").first.inner_text()
    with_view = page.url
    # Whoever is sent the address sees the same.
    page = open_alive(open_page, with_view.partition("?")[2])
    until(page, "plot.u.scales.x.distr", 3)
    until(page, "plot.u.scales.y.distr", 3)
    first, last = read_plot(page, "[plot.u.scales.x.min, plot.u.scales.x.max]")
    assert (round(first, -1), round(last, -1)) == (300, 1080)
    expect(page.locator(f"{CHART} [data-field=smoothed]").first).to_have_text(smoothed)
    expect(page.get_by_label("Smoothing")).to_have_value("15")
    expect(page.locator("compare-player select")).to_have_value("log")
    expect(shown(page)).to_have_text(["900", "800"])
    page.get_by_role("button", name="All", exact=True).click()
    expect(page).not_to_have_url(re.compile("zoom="))
    until(page, "plot.u.scales.x.max", 1200)
    # Other runs are shown in the same way.
    page.locator(".compare-choose button").click()
    expect(page).to_have_url(re.compile("smoothing=15"))
    expect(page).not_to_have_url(re.compile("zoom=|at="))
    expect(page.get_by_label("Smoothing")).to_have_value("15")


WRONG = (
    "smoothing=99&scale=x&values=x",
    "zoom=5-1",
    "zoom=a-b&smoothing=-1",
    "zoom=900000000-900000001",
    "cell=x-0-999",
)


@pytest.mark.usefixtures("shares_service")
def test_what_the_address_says_wrongly_of_curves_is_as_usual(open_page: OpenPage, worker: FakeWorker) -> None:
    query = once(worker, make_pair)
    page = open_page("/")
    for wrong in WRONG:
        page.goto(f"/compare?{query}&{wrong}")
        see_chart(page)
        scales = "[plot.u.scales.x.min, plot.u.scales.x.max, plot.u.scales.x.distr, plot.u.scales.y.distr]"
        until(page, scales, [0, 1200, 1, 1])
        expect(page.get_by_label("Smoothing")).to_have_value("0")


@pytest.mark.usefixtures("shares_service")
def test_places_of_curves_are_those_of_the_axis(open_page: OpenPage, worker: FakeWorker) -> None:
    query = once(worker, make_pair)
    page = open_alive(open_page, f"{query}&axis=images&zoom=6400-12800")
    until(page, "plot.lines[0].places.at(0)", 6400)
    until(page, "plot.lines[0].places.at(-1)", 12_800)
    until(page, "plot.lines[0].curve.iterations.length", 11)
    expect(page.locator(f"{CHART} [data-field=at]").first).to_have_text("at 64,000 images seen")
    page.get_by_role("link", name="Time since the start").click()
    # A range of images says nothing of time.
    expect(page).not_to_have_url(re.compile("zoom="))
    see_chart(page)
    clock = "plot.lines.every(({ places }) => places.every((place, at) => at === 0 || place >= places[at - 1]))"
    until(page, clock, True)
    until(page, "plot.lines.every(({ places }) => places.at(-1) <= plot.u.scales.x.max)", True)
    expect(page.locator(f"{CHART} [data-field=at]").first).to_have_text(re.compile("after the start"))


def test_curves_grow_with_a_run_that_goes_on(open_page: OpenPage, worker: FakeWorker) -> None:
    first = make_run(worker, "done", 100, 200)
    page = open_page("/")
    page.clock.install()
    page.goto(f"/compare?run={first}&run={make_run(worker, 'goes-on', 100)}")
    see_chart(page)
    until(page, "plot.lines.at(-1).curve.iterations.at(-1)", 100)
    expect(page.locator("live-stream")).to_have_text("Live")
    worker.log_metrics(300, 400)
    hurry(page, lambda: read_plot(page, "plot.lines.at(-1).curve.iterations.at(-1)"), 400)
    hurry(page, lambda: read_plot(page, "plot.u.scales.x.max"), 400)


def test_a_cell_is_outlined_in_every_run_of_the_same_latents(open_page: OpenPage, worker: FakeWorker) -> None:
    query = once(worker, make_pair)
    worker.latents = b"others"
    page = open_compared(open_page, f"{query}&run={make_run(worker, 'apart', 500, 1000)}")
    marks, said = page.locator("compare-cell .followed"), page.locator("compare-outline")
    for place in range(3):
        expect(marks.nth(place)).to_be_hidden()
    grid = page.locator("compare-grid").first
    box = find_box(page, grid)
    grid.hover(position={"x": box["width"] * 4.5 / ROWS, "y": box["height"] * 2.5 / ROWS})
    expect(said).to_have_text("Row 3, column 5: the same latents in 1, 2. Not outlined in 3: other fixed latents.")
    for place, is_there in enumerate((True, True, False)):
        expect(marks.nth(place)).to_be_visible(visible=is_there)
    assert marks.nth(1).evaluate("({ style }) => [style.top, style.left]") == ["25%", "50%"]
    page.locator("h1").hover()
    expect(marks.first).to_be_hidden()
    expect(said).to_have_text("")
    # With keys alone; Enter keeps it, and whoever is sent the address sees it.
    page.locator("compare-cell button").nth(2).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"cell=\w+-\d+-\d+"))
    page.locator("compare-cell button").nth(2).blur()
    expect(marks.nth(2)).to_be_visible()
    text = said.inner_text()
    assert text.endswith("of 3 alone. Not outlined in 1, 2: other fixed latents.")
    page.reload()
    expect(said).to_have_text(text)
    page.locator("compare-cell button").nth(2).focus()
    assert find_violations_in_both_themes(page) == []


@pytest.mark.usefixtures("shares_service")
def test_curves_stay_as_the_server_drew_them_without_scripts(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page(f"/compare?{once(worker, make_pair)}&smoothing=9&zoom=1-2", java_script_enabled=False)
    expect(page.locator(f"{CHART} path.curve")).to_have_count(4)
    expect(rows(page).first.locator("[data-field=value]")).not_to_be_empty()
    expect(page.locator("compare-cell button")).to_have_count(0)


@pytest.mark.usefixtures("shares_service")
def test_live_curves_fit_every_screen_and_axe_finds_nothing(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_alive(open_page, f"{once(worker, make_pair)}&smoothing=14&zoom=100-900&values=full")
    for _, width in SCREENS:
        page.set_viewport_size({"width": width, "height": 900})
        expect_fit(page, width)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert find_violations_in_both_themes(page) == [], width


def test_the_address_of_a_run_holds_its_view(open_page: OpenPage, worker: FakeWorker) -> None:
    job = make_run(worker, "alone", *range(100, 1001, 100))
    page = open_live(open_page, job)
    open_settings(page)
    page.get_by_label("Smoothing").fill("12")
    page.get_by_label("Values").select_option("full")
    page.locator("curve-settings").get_by_label(re.compile("^Iterations")).select_option("log")
    page.get_by_label("Zoom from iteration").fill("100")
    page.get_by_label("Zoom to iteration").fill("500")
    page.get_by_role("button", name="Zoom").click()
    page.get_by_label("Iteration of the timeline").focus()
    page.keyboard.press("ArrowLeft")
    for part in ("smoothing=12", "values=full", "scale=log", "zoom=100-500", "iteration=900"):
        expect(page).to_have_url(re.compile(part))
    page.reload()
    expect(shown_iteration(page)).to_have_text("900")
    expect(page.get_by_label("Smoothing")).to_have_value("12")
    expect(page.get_by_label("Values")).to_have_value("full")
    expect(page.get_by_label("Zoom to iteration")).to_have_value("500")
    # Who stands at the newest grid follows the run, and so does whoever opens that address.
    page.get_by_label("Iteration of the timeline").focus()
    page.keyboard.press("End")
    expect(page).not_to_have_url(re.compile("[?&]iteration="))


def test_a_group_of_runs_is_a_band_that_says_its_mean(open_page: OpenPage, worker: FakeWorker) -> None:
    jobs = []
    for value in (1.0, 3.0):
        jobs.append(worker.submit(seed=int(value)))
        worker.claim()
        worker.post(*(
            {"kind": "metrics_logged", "iteration": at, "values": {"loss/generator": value + at / 100}}
            for at in (100, 200)
        ))  # fmt: skip
        worker.finish("succeeded")
    page = open_page(f"/compare?run={jobs[0]}&run={jobs[1]}&metric=loss/generator&group=dataset")
    # Live, as the server drew it: the mean of 3 and 5, a deviation of sqrt(2) to either side.
    expect(page.locator("curve-chart.alive")).to_have_count(1)
    row = page.locator("curve-chart tr[data-metric]")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("mean of 2 runs")
    expect(row.locator('[data-field="value"]')).to_have_text("4.00")
    expect(row.locator('[data-field="range"]')).to_have_text("2.59 … 5.41")
    page.get_by_role("link", name="Show single runs").click()
    expect(row).to_have_count(2)
