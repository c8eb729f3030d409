"""Charts as a reader uses them: any metric, smoothing, axes, zoom, bands, one cursor for all, attempts."""

import math
import re
from functools import partial

import pytest
from playwright.sync_api import Page, expect

from dashboard.web import formats
from tests.support import browser
from tests.support.browser import (
    OpenPage,
    count_points,
    drag_over,
    eventually,
    find_box,
    find_violations_in_both_themes,
    open_live,
    open_settings,
    shown_iteration,
)
from tests.support.fake_worker import FakeWorker, make_histograms

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("shares_service")]
MAIN = ".bench curve-chart"
read_plot = partial(browser.read_plot, MAIN)
until = partial(browser.wait_for_plot, MAIN)
SPIKE, SPIKE_AT = 40.0, 6321


def log(worker: FakeWorker, *points: tuple[int, dict[str, float]]) -> None:
    worker.post(*({"kind": "metrics_logged", "iteration": at, "values": values} for at, values in points))


def make_long_run(worker: FakeWorker) -> str:
    """10,000 iterations, each with a point: noise around 1 and 2, and one spike."""
    job = worker.submit(iterations=10_000, sample_every=5000)
    worker.claim()
    for first in range(1, 10_001, 2000):
        log(worker, *((at, make_noise(at)) for at in range(first, first + 2000)))
    worker.save_grid(5000)
    worker.save_grid(10_000)
    return job


def make_noise(at: int) -> dict[str, float]:
    swing = 0.1 * math.sin(at)
    return {"loss/generator": SPIKE if at == SPIKE_AT else 1 + swing, "loss/discriminator": 2 - swing}


def test_thinned_curve_keeps_its_spike_in_a_band_and_zoom_fetches_every_point(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    page = open_live(open_page, make_long_run(worker))
    until(page, "plot.lines[0].curve.iterations.length", 500)
    line = "plot.lines[0].curve"
    assert read_plot(page, f"Math.max(...{line}.highs)") == SPIKE
    assert read_plot(page, f"Math.max(...{line}.means)") < 4
    expect(page.locator(f"{MAIN} [data-field=beyond]")).to_have_text(
        "at least 1 point beyond the axis, up to 40.0"
    )
    over = page.locator(f"{MAIN} .u-over")
    drag_over(page, over, 0.625, 0.64)
    # Of the window every point is there, and the grid that was selected still is.
    until(page, f"{line}.isThinned", False)
    first, last = read_plot(page, "[plot.u.scales.x.min, plot.u.scales.x.max]")
    assert (round(first, -2), round(last, -2)) == (6200, 6400)
    assert read_plot(page, f"{line}.means.includes({SPIKE})")
    expect(shown_iteration(page)).to_have_text("10,000")
    # The pointer rests where the drag ended: at another place of the axis now.
    expect(page.locator(f"{MAIN} [data-field=at]")).to_have_text(re.compile("at iteration 6,3[34].$"))
    expect(page.get_by_label("Zoom from iteration")).to_have_value(re.compile("62.."))
    over.dblclick(position={"x": 50, "y": 50})
    until(page, "plot.u.scales.x.max", 10_000)
    until(page, f"{line}.isThinned", True)
    # The same without a drag.
    open_settings(page)
    page.get_by_label("Zoom from iteration").fill("100")
    page.get_by_label("Zoom to iteration").fill("120")
    page.get_by_role("button", name="Zoom").click()
    until(page, f"{line}.iterations", list(range(100, 121)))
    page.get_by_role("button", name="All", exact=True).click()
    until(page, f"{line}.isThinned", True)


def test_smoothing_fades_within_its_half_life_and_leaves_the_noise_behind(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    # Unevenly spaced: a step from 0 to 1 at iteration 100.
    points = [*range(10, 100, 10), 100, 150, 200, 400]
    log(worker, *((at, {"loss/generator": float(at >= 100), "loss/discriminator": 1.0}) for at in points))
    page = open_live(open_page, job)
    open_settings(page)
    slider = page.get_by_label("Smoothing")
    slider.fill("20")
    # A quarter of 1,000 iterations.
    expect(page.locator("curve-settings output")).to_have_text("half-life 250 iterations")
    expected, before, average = [], 0, 0.0
    for index, at in enumerate(points):
        kept = 2 ** (-(at - before) / 250) if index else 0
        average, before = kept * average + (1 - kept) * float(at >= 100), at
        expected.append(average)
    until(page, "plot.lines[0].smoothed", pytest.approx(expected))
    assert read_plot(page, "plot.lines[0].curve.means") == [float(at >= 100) for at in points]
    cell = page.locator(f"{MAIN} [data-metric='loss/generator'] [data-field=smoothed]")
    expect(cell).to_have_text(formats.show_number(expected[-1]))
    slider.fill("0")
    expect(cell).to_have_text("")


def test_axes_are_logarithmic_where_that_is_wanted(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    log(
        worker,
        *((at, {"loss/generator": 10.0 ** (at / 250), "loss/discriminator": 1.0}) for at in (0, 1, 10, 500)),
    )
    page = open_live(open_page, job)
    open_settings(page)
    page.get_by_label("Values").select_option("log")
    until(page, "plot.u.scales.y.distr", 3)
    page.locator("curve-settings").get_by_label("Iterations").select_option("log")
    until(page, "plot.u.scales.x.distr", 3)
    # Iteration 0 stands at 1, and the decades are equally wide.
    places = "[1, 10, 100, 1000].map((at) => plot.u.valToPos(at, 'x'))"
    until(page, f"{places}[0]", pytest.approx(0, abs=1))
    at = read_plot(page, places)
    assert at[1] - at[0] == pytest.approx(at[3] - at[2], rel=0.01)
    worker.log_metrics(600)
    # A loss below 0 has no logarithm: the axis then bends around 0.
    log(worker, (610, {"loss/generator": -3.0, "loss/discriminator": 1.0}))
    until(page, "plot.lines[0].curve.means.at(-1)", -3)
    page.get_by_label("Values").select_option("usual")
    page.get_by_label("Values").select_option("log")
    until(page, "plot.u.scales.y.distr", 4)


def test_any_metric_can_be_chosen_and_the_address_says_which(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    log(
        worker,
        *((at, {**make_noise(at), "speed/iterations_per_second": 4.0, "logits/real": 0.5}) for at in (10, 20)),
    )
    page = open_live(open_page, job)
    page.get_by_text("Metrics", exact=True).click()
    page.get_by_label("Speed", exact=True).check()
    row = page.locator(f"{MAIN} tr[data-metric='speed/iterations_per_second']")
    expect(row.locator("[data-field=value]")).to_have_text("4.00")
    page.get_by_label("Discriminator loss", exact=True).uncheck()
    expect(page.locator(f"{MAIN} tbody tr")).to_have_count(2)
    until(page, "plot.lines.length", 2)
    worker.log_metrics(30)
    expect(row.locator("[data-field=value]")).to_have_text("4.63")
    expect(page).to_have_url(re.compile(r"\?metric=loss%2Fgenerator&metric=speed%2Fiterations_per_second$"))
    page.reload()
    expect(page.locator(f"{MAIN} tbody tr")).to_have_count(2)
    expect(page.locator(f"{MAIN} h2")).to_have_text("Curves")
    # Dashes tell lines apart without colour.
    dashes = page.locator(f"{MAIN} tbody line").evaluate_all(
        "lines => lines.map((line) => getComputedStyle(line).strokeDasharray + getComputedStyle(line).stroke)"
    )
    assert len(set(dashes)) == 2


def test_metrics_are_chosen_without_scripts_too(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    log(worker, *((at, {**make_noise(at), "logits/real": at / 10}) for at in (10, 20)))
    page = open_page(f"/runs/{job}", java_script_enabled=False)
    page.get_by_text("Metrics", exact=True).click()
    page.get_by_label("Discriminator loss", exact=True).uncheck()
    page.get_by_label("Mean logit of real images", exact=True).check()
    page.get_by_role("button", name="Show").first.click()
    expect(page.locator(f"{MAIN} path.curve")).to_have_count(2)
    expect(page.locator(f"{MAIN} [data-metric='logits/real'] [data-field=value]")).to_have_text("2.00")


def test_one_cursor_goes_through_all_charts_and_heat_maps(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    for at in range(100, 1001, 100):
        log(worker, (at, {**make_noise(at), "loss/log_ratio": at / 1000}))
        names = ("logits/real", "logits/fake", "gradients/generator", "gradients/discriminator")
        worker.post(make_histograms(at, dict.fromkeys(names, (-5.0, 1.0))))
        worker.save_grid(at)
        worker.save_neighbours(at)
    page = open_live(open_page, job)
    small = page.locator("#measures curve-chart").first
    small.scroll_into_view_if_needed()
    expect(small.locator("canvas")).to_be_visible()
    value = small.locator("[data-field=value]")
    expect(value).to_have_text("1.00")
    heat = page.locator("#gradients heat-map").first
    box = find_box(page, heat)
    heat.hover(position={"x": box["width"] * 0.3, "y": 40})
    expect(value).to_have_text("0.300")
    page.locator("h1").hover()
    expect(value).to_have_text("1.00")
    heat.click(position={"x": box["width"] * 0.3, "y": 40})
    expect(shown_iteration(page)).to_have_text("300")
    lefts = "lines => [...new Set(lines.map((line) => line.style.left))]"
    eventually(page, lambda: page.locator("heat-map .plot-selected").evaluate_all(lefts), ["30%"])
    # Generated images and their neighbours follow.
    expect(page.locator("neighbour-grids [data-field=iteration]")).to_have_text("300")
    shown = worker.client.get(f"/jobs/{job}/neighbours").json()["items"][2]["url"]
    expect(page.locator("neighbour-grids [data-field=nearest]")).to_have_attribute("src", shown)


def test_attempts_stand_on_the_axis_with_their_reason(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(200)
    worker.save_checkpoint(200)
    worker.finish("preempted", "preempted", "The machine was wanted for something else.")
    worker.claim()
    page = open_live(open_page, job)
    said = "Attempt 2 resumed from iteration 200: The machine was wanted for something else."
    expect(page.locator(".attempt-marks li")).to_have_text(said)
    tick = page.locator(f"{MAIN} .attempt-tick")
    expect(tick).to_have_attribute("title", re.compile(re.escape(said)))
    find_place = "tick => new DOMMatrix(getComputedStyle(tick).transform).m41"
    away = lambda: abs(tick.evaluate(find_place) - read_plot(page, "plot.u.valToPos(200, 'x')"))  # noqa: E731
    eventually(page, lambda: away() <= 1, True)


def test_a_chart_of_a_metric_that_comes_later_appears_by_itself(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(100)
    page = open_live(open_page, job)
    expect(page.locator("#measures h3")).to_have_count(0)
    log(worker, (110, {"eval/classifier_score": 3.5}))
    expect(page.locator("#measures h3")).to_have_text("Classifier score", use_inner_text=True)
    worker.log_metrics(120)
    assert count_points(page) >= 10


def test_axe_finds_nothing_on_a_run_with_everything(open_page: OpenPage, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    for at in range(100, 601, 100):
        log(worker, (at, {**make_noise(at), "loss/log_ratio": 0.1, "eval/recall": 0.5}))
        names = ("logits/real", "logits/fake", "gradients/generator", "gradients/discriminator")
        worker.post(make_histograms(at, dict.fromkeys(names, (-5.0, 1.0))))
        worker.save_grid(at)
        worker.save_neighbours(at)
    worker.save_checkpoint(600)
    worker.finish("failed", "out_of_memory", "CUDA ran out of memory.")
    page = open_live_ended(open_page, job)
    page.get_by_text("Metrics", exact=True).click()
    assert find_violations_in_both_themes(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert find_violations_in_both_themes(page) == []


def open_live_ended(open_page: OpenPage, job: str) -> Page:
    page = open_page(f"/runs/{job}")
    expect(page.locator(f"{MAIN} canvas")).to_be_visible()
    return page
