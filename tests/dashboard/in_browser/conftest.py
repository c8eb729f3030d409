"""Pages in a real Chromium over the real HTTP routes; a page that complains fails its test."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import LiveService
from tests.support.browser import PATIENCE_SECONDS, OpenPage, Watch, open_browser
from tests.support.fake_worker import FakeWorker, connect

expect.set_options(timeout=1000 * PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


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
