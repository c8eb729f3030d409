"""A run and a comparison as one file, opened from the disk: the slider moves, and nothing is asked of anybody."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import LiveService
from tests.support.browser import expect_fit, find_violations_in_both_themes
from tests.support.fake_worker import FakeWorker, once

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("shares_service")]


def make_two(worker: FakeWorker) -> list[str]:
    jobs = []
    for name, grids in (("first-light", 100), ("second-light", 300)):
        jobs.append(worker.submit(name=name))
        worker.claim()
        worker.train(900, grid_every=grids)
    return jobs


def open_file(browser: Browser, path: Path, requests: list[str], complaints: list[str]) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    return page


def test_the_slider_of_a_run_moves_its_grid_and_its_values(
    browser: Browser, live_service: LiveService, worker: FakeWorker, tmp_path: Path
) -> None:
    job = once(worker, make_two)[0]
    path = tmp_path / "run.html"
    path.write_bytes(httpx.get(f"{live_service.url}/runs/{job}/export.html").content)
    requests: list[str] = []
    complaints: list[str] = []
    page = open_file(browser, path, requests, complaints)
    shown = page.locator("[data-field=iteration]")
    image, value = page.locator("img.grid"), page.locator(".chart [data-field=value]").first
    expect(shown).to_have_text("900")
    newest, newest_value = image.get_attribute("src"), value.text_content()
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("Home")
    expect(shown).to_have_text("100")
    assert image.get_attribute("src") != newest
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 224
    assert value.text_content() != newest_value
    expect(page.locator(".chart [data-field=at]")).to_have_text("at iteration 100")
    page.keyboard.press("ArrowRight")
    expect(shown).to_have_text("200")
    page.keyboard.press("End")
    expect(value).to_have_text(newest_value or "")
    page.get_by_role("button", name="Play").click()
    expect(shown).to_have_text("900")
    assert find_violations_in_both_themes(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    expect_fit(page, 390)
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert complaints == []
    page.context.close()


def test_one_slider_moves_all_runs_of_a_comparison(
    browser: Browser, live_service: LiveService, worker: FakeWorker, tmp_path: Path
) -> None:
    jobs = once(worker, make_two)
    path = tmp_path / "compare.html"
    query = [("run", job) for job in jobs]
    path.write_bytes(httpx.get(f"{live_service.url}/compare/export.html", params=query).content)
    requests: list[str] = []
    complaints: list[str] = []
    page = open_file(browser, path, requests, complaints)
    shown = page.locator("[data-field=iteration]")
    expect(shown).to_have_text(["900", "900"])
    page.get_by_role("slider").fill("4")
    expect(shown).to_have_text(["500", "300"])
    page.get_by_role("slider").fill("0")
    # The other run has no grid so early: none is shown instead of a wrong one.
    expect(shown).to_have_text(["100", "–"])
    expect(page.locator("img.grid").nth(1)).to_be_hidden()
    assert find_violations_in_both_themes(page) == []
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert complaints == []
    page.context.close()


def test_a_file_whose_script_was_changed_does_not_run_it(
    browser: Browser, live_service: LiveService, worker: FakeWorker, tmp_path: Path
) -> None:
    job = once(worker, make_two)[0]
    path = tmp_path / "changed.html"
    html = httpx.get(f"{live_service.url}/runs/{job}/export.html").text
    path.write_text(html.replace('"use strict";', 'fetch("https://example.org/");'))
    requests: list[str] = []
    complaints: list[str] = []
    page = open_file(browser, path, requests, complaints)
    expect(page.locator("img.grid")).to_be_visible()
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert any("Content Security Policy" in complaint for complaint in complaints)
    page.context.close()
