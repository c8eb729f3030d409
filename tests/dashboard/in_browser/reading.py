"""What tests read off an open page."""

import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

OpenPage = Callable[..., Page]


def shown_iteration(page: Page) -> Any:
    return page.locator("frame-view [data-field=iteration]")


def open_live(open_page: OpenPage, job: str) -> Page:
    """Open a run's page and wait until its stream stands and its chart and timeline have their data."""
    page = open_page(f"/runs/{job}")
    expect(page.locator("live-stream")).to_have_text("Live")
    expect(page.locator(".bench curve-chart canvas")).to_be_visible()
    return page


def count_points(page: Page) -> int:
    lines = "document.querySelector('.bench curve-chart').plot?.lines"
    return int(page.evaluate(f"{lines}?.[0].curve.iterations.length ?? 0"))


def expect_points(page: Page, count: int) -> None:
    """Wait until the chart holds this many points; the page's policy forbids Playwright's own waiting for code."""
    end = time.monotonic() + 10
    while count_points(page) != count and time.monotonic() < end:
        page.wait_for_timeout(20)
    assert count_points(page) == count


def read_plot(chart: str, page: Page, code: str) -> Any:
    """Return what the code says of `plot`, that of the chart which this selector finds."""
    return page.evaluate(f"(({{ plot }}) => {code})(document.querySelector('{chart}'))")


def wait_for_plot(chart: str, page: Page, code: str, wanted: Any) -> None:
    """Wait until the plot says so; the page's policy forbids Playwright's own waiting for code."""
    for _ in range(300):
        if (found := read_plot(chart, page, code)) == wanted:
            return
        page.wait_for_timeout(30)
    assert found == wanted
