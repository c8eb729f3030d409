"""Axe finds nothing on any page, in either theme, wide or narrow."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from api.server.settings import Settings
from tests.conftest import LiveService
from tests.dashboard.in_browser.test_reading import LOW_CONTRAST
from tests.support.browser import THEMES, OpenPage, find_violations, find_violations_in_both_themes
from tests.support.fake_worker import FakeWorker, once

pytestmark = pytest.mark.browser
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def make_runs(worker: FakeWorker) -> None:
    """Make one run of each kind that the list shows differently."""
    for name in ("first-light", "another"):
        worker.submit(name=name, tags=["paper:w", "mnist"])
    worker.claim()
    worker.train(200)
    worker.finish("failed", "training_diverged", "The generator's loss became NaN.")
    worker.claim()
    worker.train(100)
    worker.submit(name="waits")


@pytest.mark.usefixtures("shares_service")
@pytest.mark.parametrize(
    "path", ["/", "/?view=gallery", "/?q=sate:x", "/?q=nothing", "/queue-and-workers", "/faults"]
)
def test_axe_finds_nothing(open_page: OpenPage, worker: FakeWorker, path: str) -> None:
    once(worker, make_runs)
    page = open_page(path, viewport=WIDE)
    for viewport in (WIDE, NARROW):
        page.set_viewport_size(viewport)  # type: ignore[arg-type]
        assert find_violations_in_both_themes(page) == []


def find_a_collapse(worker: FakeWorker) -> str:
    """Make a run in which two faults were found, one of which has ended."""
    job = worker.submit(name="collapsed")
    # The queue may hold runs of other tests.
    while worker.claim() != job:
        continue
    worker.train(200)
    worker.post(
        {
            "kind": "metrics_logged",
            "iteration": 200,
            "values": {"signals/diversity": 0.01, "signals/real_distance": 0.5},
        }
    )
    found = {
        "kind": "finding_reported",
        "iteration": 200,
        "severity": "serious",
        "text": "Collapsed: 64 cells, 1 kind",
    }
    evidence = {"evidence": {"signals/diversity": 0.01}}
    worker.post({"rule": "mode_collapse", "since": 100, **found, **evidence})
    worker.post({"rule": "no_progress", "since": 50, "ended": 150, **found, **evidence, "severity": "warning"})
    worker.finish("succeeded")
    return job


@pytest.mark.usefixtures("shares_service")
def test_axe_finds_nothing_on_a_run_with_faults(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page(f"/runs/{once(worker, find_a_collapse)}", viewport=NARROW)
    expect(page.locator("#marks-timeline .mark")).to_have_count(3)
    assert find_violations_in_both_themes(page) == []


@pytest.mark.usefixtures("shares_service")
def test_axe_finds_nothing_on_the_page_of_routes(open_page: OpenPage) -> None:
    page = open_page("/docs", viewport=WIDE)
    for viewport in (WIDE, NARROW):
        page.set_viewport_size(viewport)  # type: ignore[arg-type]
        assert find_violations(page, left_out=["color-contrast"]) == []
        # Axe takes seconds for the colours of so many words.
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            assert page.evaluate(LOW_CONTRAST) == []


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


def test_axe_finds_what_is_wrong_in_one_theme_alone(open_page: OpenPage) -> None:
    page = open_page("/")
    for colours, theme in (("rgb(190, 190, 190), white", "light"), ("black, rgb(60, 60, 60)", "dark")):
        page.evaluate(f"document.querySelector('h1').style.color = 'light-dark({colours})'")
        (found,) = find_violations_in_both_themes(page)
        assert found.startswith(f"{theme}: color-contrast: <h1")
