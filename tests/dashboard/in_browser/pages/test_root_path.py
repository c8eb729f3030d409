"""A page below a path prefix, live: its scripts ask for nothing outside."""

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from api.server.settings import Settings
from tests.conftest import LiveService
from tests.support.browser import PATIENCE_SECONDS, Watch
from tests.support.fake_worker import FakeWorker, connect
from tests.support.servers import Proxy, make_home, serve_proxy

pytestmark = pytest.mark.browser
PREFIX = "/user/ada/proxy/8000"


@pytest.fixture
def proxy(tmp_path: Path, start_service: Callable[[Settings], LiveService]) -> Iterator[Proxy]:
    """A service as jupyter-server-proxy shows it."""
    settings = Settings(
        home=make_home(tmp_path / "home"),
        port=0,
        trusted_proxies=(ip_network("127.0.0.1"),),
        stream_poll_seconds=0.02,
    )
    headers = {"X-Forwarded-Prefix": PREFIX}
    with serve_proxy(start_service(settings).url, PREFIX, strips=True, headers=headers) as proxy:
        yield proxy


@pytest.fixture
def worker(proxy: Proxy) -> Iterator[FakeWorker]:
    worker = connect(proxy.url)
    yield worker
    worker.client.close()


def test_live_pages_ask_for_nothing_outside_their_prefix(
    browser: Browser, proxy: Proxy, worker: FakeWorker
) -> None:
    runs = []
    for name in ("first", "second"):
        runs.append(worker.submit(name=name))
        worker.claim()
        worker.train(200)
        worker.save_neighbours(100)
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE_SECONDS)
    watch = Watch(page, proxy.url.removesuffix(PREFIX))
    # The list, a run, and two runs beside each other: each follows what the worker reports.
    page.goto(f"{proxy.url}/")
    expect(page.locator("live-stream")).to_have_attribute("data-status", "live")
    page.get_by_label("Menu", exact=True).click()
    page.locator("theme-choice button[value=dark]").click()
    page.goto(f"{proxy.url}/runs/{runs[1]}")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("live-stream")).to_have_attribute("data-status", "live")
    sha256 = worker.save_grid(300)
    expect(page.locator("img.grid").first).to_have_attribute("src", f"{PREFIX}/artifacts/{sha256}")
    expect(page.locator("img.grid").first).to_have_js_property("naturalWidth", 224)
    page.keyboard.press("Home")
    expect(page.locator("frame-view [data-field=position]")).to_have_text("1 of 3")
    page.goto(f"{proxy.url}/compare?run={runs[0]}&run={runs[1]}")
    expect(page.locator("compare-grid img.grid").first).to_have_js_property("naturalWidth", 224)
    worker.log_metrics(310)
    page.goto(f"{proxy.url}/figures?run={runs[0]}")
    page.locator("figure-form select, figure-form input[type=number]").first.focus()
    context.close()
    assert watch.complaints == []
    assert [path for path in proxy.asked if not path.startswith(PREFIX)] == []
    for asked in ("/jobs/", "/events?after=", "/artifacts/", "/strips/", "timeline.json", "/static/"):
        assert any(asked in path for path in proxy.asked), asked
