"""A real Chromium for tests: the system's, else Playwright's own, else a loud skip that CI refuses."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Playwright, Request, sync_playwright

SYSTEM_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
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
