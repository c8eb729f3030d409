"""The list of keys names what the pages do with keys: no more, and no less."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import OpenPage, eventually
from tests.support.fake_worker import FakeWorker

pytestmark = pytest.mark.browser

# How the list writes keys, and as what they arrive.
NAMES = {"←": "ArrowLeft", "→": "ArrowRight", "↑": "ArrowUp", "↓": "ArrowDown", "Space": " "} | {
    "PgUp": "PageUp",
    "PgDn": "PageDown",
}
# What the browser itself does, and what is done with a mouse.
OTHERS = {"Tab", "Esc", "Enter", "Shift", "click", "wheel"}
CANDIDATES = [chr(code) for code in range(32, 127)] + ["Home", "End", "Insert", "Delete", "Backspace", "F2", "F9"]
# Where keys mean something of their own.
FOCUSABLE = "body, frame-player input, compare-player input, cell-cursor button, compare-cell button"
PRESS = """([keys, selector]) => keys.filter((key) =>
  [...document.querySelectorAll(selector)].some((target) => {
    const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
    const isTaken = !target.dispatchEvent(event);
    document.querySelector("dialog.keys")?.close();
    // It leaves the presentation, if the key has begun one.
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    return isTaken;
  }))"""


def find_taken(page: Page) -> set[str]:
    """Every key that some part of the page takes from the browser."""
    keys = [*CANDIDATES, *NAMES.values()]
    taken = set(page.evaluate(PRESS, [keys, FOCUSABLE]))
    # By hand one turns only while the page flickers.
    return taken | set(
        page.evaluate(PRESS, [["f", "f", "b"] if page.locator("look-choice").count() else [], "body"])
    )


def read_list(page: Page) -> set[str]:
    page.get_by_label("Menu", exact=True).click()
    page.get_by_role("button", name="Keys").click()
    listed = page.locator("dialog kbd").all_inner_texts()
    page.get_by_role("button", name="Close").click()
    # Of two keys, one after the other, the first one is taken at once.
    return {NAMES.get(key, key[0] if " " in key else key) for key in listed if key not in OTHERS}


def test_the_list_of_keys_is_what_each_page_takes(open_page: OpenPage, worker: FakeWorker) -> None:
    jobs = []
    for name in ("one", "other"):
        jobs.append(worker.submit(name=name))
        worker.claim()
        worker.train(300)
    compare = f"/compare?run={jobs[0]}&run={jobs[1]}"
    for path in ("/", f"/runs/{jobs[0]}", compare, "/new", "/figures", "/queue-and-workers", "/docs"):
        page = open_page(path)
        for slider in page.locator("frame-player input, compare-player input").all():
            expect(slider).to_have_attribute("aria-valuetext", re.compile(" of "))
        # Parts of a page come alive one after the other.
        eventually(page, lambda page=page: find_taken(page), read_list(page))


def test_two_keys_lead_from_page_to_page(open_page: OpenPage, worker: FakeWorker) -> None:
    page = open_page("/")
    for letter, path in (
        ("f", "/figures"),
        ("c", "/compare"),
        ("w", "/queue-and-workers"),
        ("n", "/new"),
        ("r", "/"),
    ):
        page.keyboard.press("g")
        page.keyboard.press(letter)
        page.wait_for_url(re.compile(f"://[^/]*{path}$"))
        # The page's scripts listen once its menu is alive.
        expect(page.locator("key-help button")).to_have_count(1)
