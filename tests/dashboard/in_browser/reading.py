"""What tests read off an open page."""

import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

OpenPage = Callable[..., Page]
# Far more than anything here takes on an idle machine; a test that waits for long has failed anyway.
PATIENCE_SECONDS = 30


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


def eventually(page: Page, read: Callable[[], Any], wanted: Any) -> None:
    """Wait until this reads what is wanted; the page's policy forbids Playwright's own waiting for code.

    For what a page does a moment after what a test saw: write its address, fetch a picture, draw.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while (found := read()) != wanted and time.monotonic() < end:
        page.wait_for_timeout(20)
    assert found == wanted, f"{found!r} is not {wanted!r}"


def expect_fit(page: Page, width: int) -> None:
    """Wait until nothing on the page is wider than this; charts take a new width in their next frame."""
    eventually(page, lambda: page.evaluate("document.documentElement.scrollWidth") <= width, True)


def expect_points(page: Page, count: int) -> None:
    """Wait until the chart holds this many points."""
    eventually(page, lambda: count_points(page), count)


def read_plot(chart: str, page: Page, code: str) -> Any:
    """Return what the code says of `plot`, that of the chart which this selector finds."""
    return page.evaluate(f"(({{ plot }}) => {code})(document.querySelector('{chart}'))")


def wait_for_plot(chart: str, page: Page, code: str, wanted: Any) -> None:
    """Wait until the plot says so."""
    eventually(page, lambda: read_plot(chart, page, code), wanted)
