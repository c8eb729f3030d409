"""Pages in a real Chromium over the real HTTP routes; a page that complains fails its test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from api.server.settings import Settings
from tests.conftest import LiveService, run_services
from tests.support.browser import PATIENCE_SECONDS, OpenPage, Watch, open_browser
from tests.support.fake_worker import FakeWorker, connect
from tests.support.servers import make_home

expect.set_options(timeout=1000 * PATIENCE_SECONDS)


# The browser of this process, as long as its tests come one after the other. Not for the session: while Playwright
# is there, no other test could run an event loop.
_opened = ExitStack()
_browsers: list[Browser] = []


@pytest.fixture
def browser() -> Browser:
    """One browser for all tests of this folder; each has contexts of its own."""
    if not _browsers:
        _browsers.append(_opened.enter_context(open_browser()))
    return _browsers[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Iterator[None]:
    """Close the browser after the last of them."""
    yield
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        _browsers.clear()
        _opened.close()


@pytest.fixture(scope="module")
def kept_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """The service that tests of one module share."""
    # It begins with a test that asks for it, whose fixtures have seen to the environment and to SQLite.
    with run_services() as start:
        home = make_home(tmp_path_factory.mktemp("kept") / "home")
        # Nobody renews the leases of its runs.
        yield start(Settings(home=home, port=0, reap_every_seconds=3600.0))


@pytest.fixture
def shares_service() -> None:
    """The test minds only the runs that it makes: it shares its module's service, and what `once` made there."""


@pytest.fixture
def live_service(
    request: pytest.FixtureRequest, tmp_path: Path, start_service: Callable[[Settings], LiveService]
) -> LiveService:
    """A service of the test's own, unless it shares one."""
    if "shares_service" in request.fixturenames:
        kept: LiveService = request.getfixturevalue("kept_service")
        return kept
    return start_service(Settings(home=make_home(tmp_path / "home"), port=0))


@pytest.fixture
def worker(live_service: LiveService) -> Iterator[FakeWorker]:
    worker = connect(live_service.url)
    yield worker
    worker.client.close()


@pytest.fixture
def watches() -> list[Watch]:
    return []


@pytest.fixture
def open_page(browser: Browser, live_service: LiveService, watches: list[Watch]) -> Iterator[OpenPage]:
    """Open a page in a context of its own; no page may have complained when the test ends."""
    contexts = []

    def open_at(path: str, **options: Any) -> Page:
        context = browser.new_context(base_url=live_service.url, timezone_id="Asia/Kolkata", **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE_SECONDS)
        watches.append(Watch(page, live_service.url))
        page.goto(path)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert [watch.complaints for watch in watches if watch.complaints] == []
