"""Axe finds nothing on any page, in either theme, wide or narrow."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from api.settings import Settings
from tests.conftest import LiveService
from tests.support.browser import OpenPage, find_violations, find_violations_in_both_themes
from tests.support.fake_worker import FakeWorker

pytestmark = pytest.mark.browser
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def some_runs(worker: FakeWorker) -> None:
    """One run of each kind that the list shows differently."""
    for name in ("first-light", "another"):
        worker.submit(name=name, tags=["paper:w", "mnist"])
    worker.claim()
    worker.train(200)
    worker.finish("failed", "training_diverged", "The generator's loss became NaN.")
    worker.claim()
    worker.train(100)
    worker.submit(name="waits")


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.usefixtures("some_runs")
@pytest.mark.parametrize(
    "path", ["/", "/?view=gallery", "/?q=sate:x", "/?q=nothing", "/queue-and-workers", "/docs"]
)
def test_axe_finds_nothing(open_page: OpenPage, path: str, viewport: dict[str, int]) -> None:
    page = open_page(path, viewport=viewport)
    assert find_violations_in_both_themes(page) == []


def test_axe_finds_nothing_where_there_are_no_runs(open_page: OpenPage) -> None:
    assert find_violations_in_both_themes(open_page("/")) == []


def test_axe_finds_nothing_on_the_login_page(
    start_service: Callable[[Settings], LiveService], browser: Browser, tmp_path: Path
) -> None:
    closed = start_service(Settings(home=tmp_path / "closed", port=0, token="a-token-of-some-length"))
    page = browser.new_page(base_url=closed.url)
    page.goto("/login")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert find_violations_in_both_themes(page) == []
    page.context.close()


def test_axe_finds_what_is_wrong(open_page: OpenPage) -> None:
    page = open_page("/")
    page.evaluate("document.querySelector('h1').style.color = 'rgb(200, 200, 200)'")
    page.evaluate("document.querySelector('main').append(new Image())")
    found = " ".join(find_violations(page))
    assert "color-contrast" in found
    assert "image-alt" in found
