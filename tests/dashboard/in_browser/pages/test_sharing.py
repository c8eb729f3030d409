"""A shared link in a real Chromium: made on a page, opened by somebody without an account, ended."""

import httpx
import pytest
from playwright.sync_api import expect

from tests.conftest import LiveService
from tests.support.browser import OpenPage, expect_fit, find_violations_in_both_themes, shown_iteration
from tests.support.fake_worker import FakeWorker, once

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("shares_service")]


def make_two(worker: FakeWorker) -> list[str]:
    jobs = []
    for name in ("first-light", "second-light"):
        jobs.append(worker.submit(name=name))
        worker.claim()
        worker.train(400)
    return jobs


def test_a_link_is_made_on_the_page_and_shows_it_live_with_its_timeline(
    open_page: OpenPage, worker: FakeWorker
) -> None:
    job = once(worker, make_two)[0]
    page = open_page(f"/runs/{job}", viewport={"width": 390, "height": 844})
    page.get_by_text("Share", exact=True).click()
    expect_fit(page, 390)
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_label("The link").text_content() or ""
    expect_fit(page, 390)
    assert find_violations_in_both_themes(page) == []
    shared = open_page(link)
    expect(shared.locator("live-stream")).to_have_text("Live")
    expect(shared.locator(".bench curve-chart canvas")).to_be_visible()
    expect(shown_iteration(shared)).to_have_text("400")
    shared.get_by_role("link", name="Previous").click()
    expect(shown_iteration(shared)).to_have_text("300")
    shared.locator("grid-view").click(position={"x": 4, "y": 4})
    expect(shared.get_by_role("heading", name="Cell in row 1, column 1")).to_be_visible()
    assert shared.url.startswith(link)
    assert find_violations_in_both_themes(shared) == []
    page.get_by_role("button", name="End").first.click()
    expect(page.get_by_role("cell", name="Ended")).to_be_visible()
    assert httpx.get(link).status_code == 404


def test_a_shared_comparison_moves_along_its_axis(
    open_page: OpenPage, worker: FakeWorker, live_service: LiveService
) -> None:
    jobs = once(worker, make_two)
    made = httpx.post(f"{live_service.url}/shares", json={"kind": "compare", "targets": jobs}).json()
    page = open_page(made["url"])
    page.locator("#curves curve-chart").first.scroll_into_view_if_needed()
    expect(page.locator("#curves canvas").first).to_be_visible()
    page.get_by_role("link", name="Previous").click()
    expect(page.locator("compare-caption [data-field=iteration]")).to_have_text(["300", "300"])
    assert page.url.startswith(live_service.url + made["url"])
    assert find_violations_in_both_themes(page) == []
