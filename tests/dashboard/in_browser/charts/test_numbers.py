"""Every number on a page is the API's number for the iteration that stands beside it."""

import csv
import io
import math
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from api.curves import queries as curve_queries
from dashboard.web import formats
from tests.support.browser import OpenPage, Watch, eventually, find_box, open_settings
from tests.support.fake_worker import FakeWorker, once

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("shares_service")]

LOSSES = ("loss/generator", "loss/discriminator")
# Logged every 3 iterations, drawn every 500, measured every 700; it began to end at 5,401 of 9,000.
LOG_EVERY, GRID_EVERY, END, PLANNED = 3, 500, 5400, 9000
RESUMED = 3000
NOT_A_NUMBER = (2499, 5001)
Points = dict[str, dict[int, float]]


def make_values(at: int, attempt: int) -> dict[str, float | str]:
    """Losses that differ at every iteration and in every attempt."""
    wave = math.sin(at * (1 + attempt))
    generator: float | str = "nan" if at in NOT_A_NUMBER else 1.5 + wave
    return {"loss/generator": generator, "loss/discriminator": 3 - wave + at / PLANNED}


def train(worker: FakeWorker, first: int, last: int, attempt: int) -> None:
    points = range(first, last + 1, LOG_EVERY)
    worker.post(
        *({"kind": "metrics_logged", "iteration": at, "values": make_values(at, attempt)} for at in points)
    )
    for at in range(-(-first // 700) * 700, last + 1, 700):
        worker.post(
            {"kind": "metrics_logged", "iteration": at, "values": {"eval/recall": at / (PLANNED * attempt)}}
        )
    for at in range(-(-first // GRID_EVERY) * GRID_EVERY, last + 1, GRID_EVERY):
        worker.save_grid(at)


def make_run(worker: FakeWorker, name: str = "odd") -> str:
    """A run that lost what its first attempt did after 3,000, and failed at 5,400 of 9,000."""
    job = worker.submit(name=name, iterations=PLANNED, sample_every=GRID_EVERY, log_every=LOG_EVERY)
    worker.claim()
    train(worker, LOG_EVERY, 3000, 1)
    worker.save_checkpoint(RESUMED)
    train(worker, 3000 + LOG_EVERY, 3900, 1)
    worker.finish("preempted")
    worker.claim()
    train(worker, RESUMED + LOG_EVERY, END, 2)
    worker.finish("failed", "out_of_memory", "Too large.")
    return job


def read_points(worker: FakeWorker, job: str) -> Points:
    curves = worker.client.get(f"/jobs/{job}/metrics").json()["curves"]
    return {
        curve["name"]: dict(zip(curve["iterations"], map(float, curve["values"]), strict=True)) for curve in curves
    }


def number_at(points: dict[int, float], at: float) -> str:
    """What a page has to say: the value of the last point up to an iteration."""
    known = [iteration for iteration in points if iteration <= at]
    return formats.show_number(points[max(known)] if known else None)


def read_place(text: str) -> float:
    """The iteration that a heading names."""
    found = re.search(r"iteration ([\d,]+)", text)
    return float(found[1].replace(",", "")) if found else math.inf


def read_legend(page: Page, chart: str) -> tuple[float, list[tuple[str, str]]]:
    """Return the iteration that a chart names, and each curve's metric and value."""
    heading, rows = page.evaluate(
        """(chart) => {
          const host = document.querySelector(chart);
          const rows = [...host.querySelectorAll("tr[data-metric]")];
          const said = host.querySelector("[data-field=at]") ?? document.querySelector(".bench [data-field=at]");
          const value = (row) => row.querySelector("[data-field=value]").textContent;
          const name = ({ dataset: { url, metric } }) => `${url ?? ""} ${metric}`;
          return [said.textContent, rows.map((row) => [name(row), value(row)])];
        }""",
        chart,
    )
    return read_place(heading), [(name, value) for name, value in rows]


def expect_truth(page: Page, chart: str, find_points: Callable[[str], dict[int, float]]) -> float:
    """Wait until the legend says the API's numbers for the iteration that it names; returns that iteration."""

    def is_true() -> bool:
        at, rows = read_legend(page, chart)
        return bool(rows) and all(value == number_at(find_points(name), at) for name, value in rows)

    eventually(page, is_true, True)
    return read_legend(page, chart)[0]


def test_every_number_of_a_run_is_the_api_s(open_page: OpenPage, worker: FakeWorker) -> None:
    job = once(worker, make_run)
    points = read_points(worker, job)
    assert max(points["loss/generator"]) == END
    find_points = lambda name: points[name.split()[-1]]  # noqa: E731 (the run's own, by the row's name)
    chart, small = ".bench curve-chart", "#measures curve-chart"

    # Without scripts, at grids whose iterations were logged and at some that were not.
    plain = open_page(f"/runs/{job}", java_script_enabled=False)
    for at in ("", "?iteration=500", "?iteration=1500", "?iteration=2500", "?iteration=5000"):
        plain.goto(f"/runs/{job}{at}")
        for each in (chart, small):
            shown, rows = read_legend(plain, each)
            assert shown == (int(at[11:]) if at else 5000)
            assert [value for _, value in rows] == [number_at(find_points(name), shown) for name, _ in rows]
    latest = {name: max(curve) for name, curve in points.items()}
    told = plain.locator("#metrics tbody tr").all()
    assert len(told) == len(latest)
    for row, name in zip(told, sorted(latest), strict=True):
        iteration = latest[name]
        expect(row.locator(".figure")).to_have_text(formats.show_number(points[name][iteration]))
        expect(row.locator("td").last).to_have_text(f"{iteration:,}")

    page = open_ended(open_page, job)
    assert expect_truth(page, chart, find_points) == 5000
    slider = page.get_by_label("Iteration of the timeline")
    slider.focus()
    for key, wanted in (("Home", 500), ("ArrowRight", 1000), ("End", 5000), ("ArrowLeft", 4500)):
        page.keyboard.press(key)
        eventually(page, lambda: read_legend(page, chart)[0], wanted)
        assert expect_truth(page, chart, find_points) == wanted
    # The axis ends where the run did.
    eventually(page, lambda: page.evaluate(f"document.querySelector('{chart}').plot.u.scales.x.max"), END)

    # A zoom that holds neither the selected grid nor every point, and one that is empty at its beginning.
    open_settings(page)
    for first, last in ((100, 3100), (4000, 4030), (1, 2)):
        page.get_by_label("Zoom from iteration").fill(str(first))
        page.get_by_label("Zoom to iteration").fill(str(last))
        page.get_by_role("button", name="Zoom").click()
        eventually(page, lambda: page.evaluate(f"document.querySelector('{chart}').plot.u.scales.x.min"), first)
        assert expect_truth(page, chart, find_points) == 4500
    page.get_by_label("Zoom from iteration").fill("1000")
    page.get_by_label("Zoom to iteration").fill("2000")
    page.get_by_role("button", name="Zoom").click()
    eventually(page, lambda: page.evaluate(f"document.querySelector('{chart}').plot.u.scales.x.max"), 2000)
    over = page.locator(f"{chart} .u-over")
    # The chart is drawn anew when the window's points arrive.
    width = find_box(page, over)["width"]
    for share in (0.0, 0.3, 0.77):
        over.hover(position={"x": share * width, "y": 40})
        eventually(page, lambda: 1000 <= read_legend(page, chart)[0] <= 2000, True)
        expect_truth(page, chart, find_points)
    page.locator("#measures").scroll_into_view_if_needed()
    expect(page.locator(f"{small} canvas")).to_be_visible()
    page.locator("h1").hover()
    assert expect_truth(page, small, find_points) == 4500


def open_ended(open_page: OpenPage, job: str) -> Page:
    page = open_page(f"/runs/{job}")
    expect(page.locator(".bench curve-chart canvas")).to_be_visible()
    expect(page.get_by_label("Iteration of the timeline")).to_have_attribute("aria-valuetext", re.compile(" of "))
    return page


def test_every_number_of_compared_runs_is_the_api_s(open_page: OpenPage, worker: FakeWorker) -> None:
    # The same seed and name: told apart by the beginning of their ids.
    jobs = [once(worker, make_run), make_run(worker)]
    points = {job: read_points(worker, job) for job in jobs}

    def find_points(name: str) -> dict[int, float]:
        url, metric = name.split()
        return points[url.split("/")[2]][metric]

    query = "&".join(f"run={job}" for job in jobs)
    chart = "#curves curve-chart"
    page = open_page(f"/compare?{query}")
    page.locator(chart).first.scroll_into_view_if_needed()
    expect(page.locator(f"{chart} canvas").first).to_be_visible()
    expect(page.locator(".compare-table thead th")).to_have_text(
        [f"{place} odd ({job[:8]})" for place, job in enumerate(jobs, 1)]
    )
    for at in (5000, 1500, 2501, 6000):
        page.get_by_label("Iteration", exact=True).fill(str(at))
        page.get_by_role("button", name="Go").click()
        expect(page.locator("#metrics h2")).to_contain_text(f"at iteration {at:,}")
        assert expect_truth(page, chart, find_points) == at
        rows = page.locator("#metrics tr").all()[1:]
        assert [row.locator("th dfn").inner_text() for row in rows] == [
            "Recall",
            *("Generator loss", "Discriminator loss"),
        ]
        for row, metric in zip(rows, ("eval/recall", *LOSSES), strict=True):
            cells = row.locator("td > span:first-child").all()
            for cell, job in zip(cells, jobs, strict=True):
                said = re.sub(r" best here$", "", cell.inner_text())
                assert said == number_at(points[job][metric], at), (metric, at)


def test_every_number_of_lists_and_files_is_the_api_s(open_page: OpenPage, worker: FakeWorker) -> None:
    job = once(worker, make_run)
    points = read_points(worker, job)
    page = open_page("/?columns=progress,generator,discriminator,eval/recall")
    for name in (*LOSSES, "eval/recall"):
        cell = page.locator(f"tr[data-run='{job}'] [data-field='{name}']")
        expect(cell).to_have_text(number_at(points[name], math.inf))
    expect(page.locator(f"tr[data-run='{job}'] [data-field=progress]")).to_have_text(f"{END:,} / {PLANNED:,}")
    table = csv.DictReader(io.StringIO(worker.client.get(f"/figures/curves.csv?run={job}").text))
    found: Points = {}
    for row in table:
        found.setdefault(row["metric"], {})[int(row["iteration"])] = float(row["value"])
    assert {name: list(curve) for name, curve in found.items()} == {n: list(c) for n, c in points.items()}
    for name, curve in points.items():
        assert list(found[name].values()) == pytest.approx(list(curve.values()), nan_ok=True, rel=0, abs=0)


def test_a_page_that_takes_thinned_curves_for_points_is_found_out(
    open_page: OpenPage, worker: FakeWorker, watches: list[Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = once(worker, make_run)
    points = read_points(worker, job)

    def read_thinned(session: object, job_id: str, names: list[str], at: float | None = None) -> dict[str, object]:
        curves = curve_queries.read_curves(session, job_id, names, 600).curves  # type: ignore[arg-type]
        before = {
            c.name: [p for p in zip(c.iterations, c.values, strict=True) if at is None or p[0] <= at]
            for c in curves
        }
        return {name: pairs[-1] for name, pairs in before.items() if pairs}

    monkeypatch.setattr(curve_queries, "read_values_at", read_thinned)
    page = open_page(f"/runs/{job}?iteration=1500", java_script_enabled=False)
    at, rows = read_legend(page, ".bench curve-chart")
    assert [value for _, value in rows] != [number_at(points[name.split()[-1]], at) for name, _ in rows]
    # And a script that never learns the points themselves says that it does not know them.
    page = open_page("/")
    page.route(re.compile(r"points=5(&|$)"), lambda route: route.abort())
    page.goto(f"/runs/{job}?iteration=1500")
    expect(page.locator(".bench [data-metric='loss/generator'] [data-field=value]")).to_contain_text("≈")
    page.close()
    # The request that was kept from it.
    assert [complaint for complaint in watches.pop().complaints if "ERR_FAILED" not in complaint] == []
