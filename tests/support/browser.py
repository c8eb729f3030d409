"""A real Chromium for tests: the system's, else Playwright's own, else a loud skip that CI refuses."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    FloatRect,
    Locator,
    Page,
    Playwright,
    Position,
    Request,
    expect,
    sync_playwright,
)

# The headless shell first: the same engine without the rest of a browser, and half the work for each page.
SYSTEM_BROWSERS = (
    "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
)  # fmt: skip
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start a headless Chromium; skips, or fails where CI is set, when there is none."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        try:
            yield browser
        finally:
            browser.close()


def launch(playwright: Playwright) -> Browser:
    """Start the first Chromium that there is."""
    path = next(filter(None, map(shutil.which, SYSTEM_BROWSERS)), None)
    try:
        return playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
    except Error as error:
        reason = "NO BROWSER: the dashboard's browser tests did not run; install Chromium or Chrome"
        if os.environ.get("CI"):
            pytest.fail(f"{reason} ({error.message.splitlines()[0]})")
        pytest.skip(reason)


class Watch:
    """What a page must not do: write errors to its console, break its policy, or leave its own origin."""

    def __init__(self, page: Page, origin: str) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._origin = origin
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("request", self._see)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _see(self, request: Request) -> None:
        self.requests.append(request.url)
        if not request.url.startswith((f"{self._origin}/", "data:", "blob:")):
            self.complaints.append(f"request to another origin: {request.url}")


THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
COLOUR_RULES = ("color-contrast", "link-in-text-block")
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@cache
def read_axe() -> str:
    """Return axe's source, as the package that carries it has it."""
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def find_violations(page: Page, rules: Sequence[str] = (), left_out: Sequence[str] = ()) -> list[str]:
    """Return what axe finds wrong with the page as it stands: the rule, and where; nothing for a good page.

    rules: the only ones to try; all without it, but for those that are left out.
    """
    # Evaluated by the browser's debugger, so that the page's policy, which allows no such script, stays as it is.
    if not page.evaluate("'axe' in window"):
        page.evaluate(read_axe())
    tried = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": list(TAGS)}
    found: dict[str, Any] = page.evaluate(
        "([runOnly, rules]) => axe.run(document, { runOnly, rules, resultTypes: ['violations'] })",
        [tried, {rule: {"enabled": False} for rule in left_out}],
    )
    return [
        f"{violation['id']}: {node['html'][:200]} ({node['failureSummary']})"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def find_violations_in_both_themes(page: Page) -> list[str]:
    """Return what axe finds in the light and in the dark theme, each finding with its theme before it.

    Themes differ in colours alone: in the dark one only the rules about them are tried.
    """
    found = []
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        rules = COLOUR_RULES if theme == "dark" else ()
        found += [f"{theme}: {violation}" for violation in find_violations(page, rules)]
    return found


OpenPage = Callable[..., Page]
# Far more than anything here takes on an idle machine; a test that waits for long has failed anyway.
PATIENCE_SECONDS = 30


def shown_iteration(page: Page) -> Any:
    return page.locator("frame-view [data-field=iteration]")


def open_settings(page: Page, name: str = "Chart settings") -> None:
    """Unfold a menu of settings, unless it is open; the focus or a click elsewhere folds it again."""
    menu = page.locator("details", has=page.get_by_label(name, exact=True))
    if menu.get_attribute("open") is None:
        page.get_by_label(name, exact=True).click()
    expect(menu).to_have_attribute("open", "")


def open_record(page: Page, title: str) -> Locator:
    """Unfold what a run has on record under this title; returns it."""
    record = page.locator("details.record", has=page.get_by_role("heading", name=title, exact=True))
    record.locator("summary").first.click()
    return record


def go_to(page: Page, iteration: int) -> None:
    """Type an iteration and press Enter."""
    box = page.get_by_label("Iteration", exact=True)
    box.fill(str(iteration))
    box.press("Enter")


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


def hurry(page: Page, read: Callable[[], Any], wanted: Any) -> None:
    """Wait as `eventually`, on a page whose clock is installed: its timers run half a second with each look."""

    def read_later() -> Any:
        page.clock.run_for(500)
        return read()

    eventually(page, read_later, wanted)


def find_box(page: Page, part: Locator) -> FloatRect:
    """Return where a part stands, once it has a size and stands still.

    What is being drawn anew has no box, or one of no width; what stands above it may still come and move it.
    """
    seen: list[Any] = [None]

    def is_still() -> bool:
        seen.append(part.bounding_box())
        box = seen[-1]
        return box is not None and box["width"] > 0 and box["height"] > 0 and box == seen[-2]

    eventually(page, is_still, True)
    found: FloatRect = seen[-1]
    return found


def drag_over(page: Page, part: Locator, begin: float, end: float) -> None:
    """Drag over these shares of a part's width, at half its height; the part is scrolled into view."""
    part.scroll_into_view_if_needed()
    box = find_box(page, part)
    places: list[Position] = [{"x": share * box["width"], "y": box["height"] / 2} for share in (begin, end)]
    # Pointed at as parts of the page, not of the screen: whatever moves meanwhile is waited for.
    part.hover(position=places[0])
    page.mouse.down()
    part.hover(position=places[1])
    page.mouse.up()


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
    """Wait until the plot is there and says so."""
    eventually(page, lambda: read_plot(chart, page, f"plot && ({code})"), wanted)
