"""Behind a path prefix: through a real proxy, whatever a page links to stays below it."""

from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx
import pytest

from api.client.client import Client
from api.server.settings import Settings
from dashboard.web import rendering
from tests.conftest import LiveService
from tests.support.fake_worker import FakeWorker, connect, make_spec
from tests.support.servers import Proxy, make_home, serve_proxy
from tests.support.services import QUIET

PREFIX = "/user/ada/ganvas"
BROWSER = {"accept": "text/html,application/xhtml+xml"}
TOKEN = "a-token-of-some-length"
LOOPBACK = (ip_network("127.0.0.1"),)
# A proxy that strips the prefix and names it, one that strips it and names nothing, one that passes it on.
STYLES = {
    "named by the proxy": (True, {"X-Forwarded-Prefix": PREFIX}, {"trusted_proxies": LOOPBACK}),
    "stripped": (True, {}, {"root_path": PREFIX}),
    "passed on": (False, {}, {"root_path": f"{PREFIX}/"}),
}
Start = Callable[[Settings], LiveService]


@pytest.fixture(params=STYLES)
def style(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def proxy(style: str, start_service: Start, tmp_path: Path) -> Iterator[Proxy]:
    """A service that a proxy shows below a prefix."""
    strips, headers, settings = STYLES[style]
    service = start_service(Settings(home=make_home(tmp_path / "home"), port=0, **settings, **QUIET))
    with serve_proxy(service.url, PREFIX, strips=strips, headers=headers) as proxy:
        yield proxy


@pytest.fixture
def browser(proxy: Proxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, headers=BROWSER, timeout=30) as client:
        yield client


class Addresses(HTMLParser):
    """The attributes of a page whose value is a path, but for the way back that a form posts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        for name, value in attrs:
            # The page to go back to, or to share: the service reads both without the prefix.
            is_own = (tag, name) == ("input", "value") and names.get("name") in ("back", "address")
            if value and value.startswith("/") and not is_own:
                self.found.append((tag, name, value))


def train_two_runs(client: httpx.Client) -> list[str]:
    """Record two runs that have everything a page links to."""
    runs = []
    for name in ("first", "second"):
        worker = FakeWorker(client)
        runs.append(worker.submit(name=name, tags=["wide"]))
        worker.claim()
        worker.train(300)
        worker.log_logits(100, 200)
        worker.save_neighbours(100)
        worker.save_checkpoint(300)
        worker.log_line("a line", 300)
        worker.finish("failed", "exception", "It broke.")
    return runs


def crawl(browser: httpx.Client, starts: list[str]) -> tuple[dict[str, int], list[str]]:
    """Follow links from these pages, the first of each kind; return statuses, and what leaves the prefix."""
    waiting = [urljoin(f"{browser.base_url}", start) for start in starts]
    statuses: dict[str, int] = {}
    outside: list[str] = []
    kinds: set[tuple[str, ...]] = set()
    while waiting:
        address = waiting.pop(0)
        parts = urlsplit(address)
        kind = (parts.path, *sorted(pair.partition("=")[0] for pair in parts.query.split("&")))
        if kind in kinds:
            continue
        kinds.add(kind)
        answer = browser.get(address, follow_redirects=False)
        statuses[address] = answer.status_code
        if answer.is_redirect:
            waiting.append(urljoin(address, answer.headers["location"]))
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        for tag, name, value in Addresses(answer.text).found:
            if value != PREFIX and not value.startswith(f"{PREFIX}/"):
                outside.append(f"{parts.path}: <{tag} {name}={value}>")
            elif (tag, name) in FOLLOWED:
                waiting.append(urldefrag(urljoin(address, value)).url)
    return statuses, outside


FOLLOWED = {
    ("a", "href"), ("link", "href"), ("script", "src"), ("img", "src"), ("image", "href"), ("use", "href"),
    ("neighbour-grids", "data-url"), ("tr", "data-url"), ("curve-chart", "data-metrics-url"),
}  # fmt: skip


def test_every_link_of_every_page_stays_below_the_prefix_and_leads_somewhere(
    proxy: Proxy, browser: httpx.Client
) -> None:
    runs = train_two_runs(browser)
    starts = [
        f"{PREFIX}/",
        f"{PREFIX}/login",
        f"{PREFIX}/runs/none",
        f"{PREFIX}/compare?run={runs[0]}&run={runs[1]}",
    ]
    statuses, outside = crawl(browser, [*starts, f"{PREFIX}/?view=gallery", f"{PREFIX}/figures?run={runs[0]}"])
    assert outside == []
    assert len(statuses) > 60
    # A run that there is not, and checkpoints that hold no generator.
    failed = {urlsplit(address).path: status for address, status in statuses.items() if status >= 400}
    generators = {f"{PREFIX}/jobs/{run}/checkpoints/300/generator": 404 for run in runs}
    assert failed == {f"{PREFIX}/runs/none": 404} | generators
    assert [path for path in proxy.asked if not path.startswith(PREFIX)] == []


@pytest.mark.parametrize("style", ["stripped"], indirect=True)
def test_control_without_the_prefix_in_templates_links_leave_it(
    browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "ROOT", "none")
    _, outside = crawl(browser, [f"{PREFIX}/"])
    assert len(outside) > 20


@pytest.mark.parametrize("style", ["named by the proxy", "passed on"], indirect=True)
def test_forms_and_redirects_lead_below_the_prefix(browser: httpx.Client) -> None:
    chosen = browser.post("/theme", data={"theme": "dark", "back": "/compare?x=1"})
    assert (chosen.status_code, chosen.headers["location"]) == (303, f"{PREFIX}/compare?x=1")
    assert f"Path={PREFIX};" in f"{chosen.headers['set-cookie']};"
    assert browser.get("/favicon.ico").headers["location"].startswith(f"{PREFIX}/static/")
    # Routing itself leads an address with a slash too many to the one without.
    assert browser.get("/workers/").headers["location"] == f"{PREFIX}/workers"
    assert browser.get("/openapi.json").json()["servers"] == [{"url": PREFIX}]
    created = browser.post("/new", data={"action": "queue", "spec": ""})
    assert created.status_code in (200, 422)


@pytest.mark.parametrize("style", ["named by the proxy", "passed on"], indirect=True)
def test_the_client_works_with_an_address_that_has_a_path(proxy: Proxy, tmp_path: Path) -> None:
    worker = connect(proxy.url)
    with Client(proxy.url) as client, worker.client:
        job = client.submit(make_spec())
        worker.claim()
        worker.train(100)
        stream = client.stream(job.id)
        assert next(stream).job.id == job.id
        assert client.curves(job.id)["loss/generator"].iterations[-1] == 100
        [grid] = client.samples(job.id)
        assert client.save_sample(grid, tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")
        assert httpx.get(f"{proxy.url}{grid.url}").status_code == 200


def test_the_login_s_cookie_belongs_to_the_prefix(start_service: Start, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"root_path": PREFIX, "token": TOKEN, "trusted_proxies": LOOPBACK}
    service = start_service(Settings(home=make_home(tmp_path / "home"), port=0, **settings, **QUIET))
    with (
        serve_proxy(service.url, PREFIX, strips=True) as proxy,
        httpx.Client(base_url=proxy.url, headers=BROWSER) as browser,
    ):
        led = browser.get("/queue-and-workers")
        assert led.headers["location"] == f"{PREFIX}/login?back=%2Fqueue-and-workers"
        logged_in = browser.post("/login", data={"token": TOKEN, "back": "/queue-and-workers"})
        assert logged_in.headers["location"] == f"{PREFIX}/queue-and-workers"
        assert f"Path={PREFIX};" in f"{logged_in.headers['set-cookie']};"
        # A service above this one has its own login, which the browser sends after the one of the longer path.
        [(name, secret)] = browser.cookies.items()
        both = {"cookie": f"{name}={secret}; {name}=of-another-service"}
        assert httpx.get(f"{proxy.url}/jobs", headers=both).status_code == 200
        browser.post("/logout")
        assert browser.get("/jobs").status_code in (303, 401)


@pytest.mark.parametrize(
    "prefix", ["//evil.example", "/a//b", "/../up", "https://evil.example", '/"><script>', "no"]
)
def test_a_prefix_that_is_no_path_is_not_taken(start_service: Start, tmp_path: Path, prefix: str) -> None:
    service = start_service(Settings(home=make_home(tmp_path / "home"), port=0, trusted_proxies=LOOPBACK, **QUIET))
    html = httpx.get(service.url, headers={**BROWSER, "X-Forwarded-Prefix": prefix}).text
    assert 'data-root=""' in html
    assert "evil" not in html
    with pytest.raises(ValueError, match="root_path"):
        Settings(root_path=prefix)
