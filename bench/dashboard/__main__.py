"""The speed of the dashboard in a real Chromium, over runs of 1,000 grids and ten curves of 100,000 points.

Run: python -m bench.dashboard FOLDER [--grids 1000] [--points 100000] [--moves 200] [--seconds 60] [--rate 100]
       [--only opening|moves|jumps|together|flood]

FOLDER gets the service's data; runs that it holds already are used again. Input is real: the browser's own pointer
events. A move is timed from the event to the end of the frame that shows the wanted grid: after its scripts,
layout and paint, before the screen's own delay. Wall-clock figures follow the machine's load, which is printed.
"""

import argparse
import json
import multiprocessing
import os
import random
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from bench.dashboard.runs import draw_on, fill
from bench.service.servers import Server
from tests.support.browser import launch

OPENINGS = 5
SCRIPTS = Path(__file__).with_name("page.js")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--grids", type=int, default=1000)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--only", choices=("opening", "moves", "jumps", "together", "flood"))
    given = parser.parse_args()
    with serve(given.folder / "home") as url:
        ids = find_or_fill(given.folder / "runs.json", url, given.grids, given.points)
        show("load at the beginning", os.getloadavg()[0])
        with sync_playwright() as playwright:
            browser = launch(playwright)
            parts = {
                "opening": lambda: measure_opening(browser, f"{url}/runs/{ids[0]}"),
                "moves": lambda: measure_moves(browser, f"{url}/runs/{ids[0]}", given.moves),
                "jumps": lambda: measure_jumps(browser, f"{url}/runs/{ids[1]}"),
                "together": lambda: measure_together(browser, url, ids),
                "flood": lambda: measure_flood(browser, url, given.rate, given.seconds),
            }
            for name, measure in parts.items():
                if given.only in (None, name):
                    measure()
            browser.close()
        show("load at the end", os.getloadavg()[0])


def find_or_fill(made: Path, url: str, grids: int, points: int) -> list[str]:
    """Return the ids of ten runs; they are made unless the folder has them."""
    if not made.exists():
        made.write_text(json.dumps(fill(url, 10, grids, points)))
    found: list[str] = json.loads(made.read_text())
    return found


@contextmanager
def serve(home: Path) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    command = [sys.executable, "-m", "ganvas", "up", "--no-worker", "--port", port, "--data-dir", str(home)]
    environment = {"GANVAS_LEASE_SECONDS": "3600"}
    with Server(command, f"http://127.0.0.1:{port}/healthz", home, environment) as server:
        yield server.url.removesuffix("/healthz")


@contextmanager
def open_page(browser: Browser, address: str) -> Iterator[Page]:
    """Open a page in a browser that has nothing in its cache, and wait until its timeline is there."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_init_script(path=SCRIPTS)
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(address)
    page.wait_for_selector("frame-player input[aria-valuetext]")
    page.wait_for_timeout(1500)
    yield page
    context.close()


def measure_opening(browser: Browser, address: str) -> None:
    opened = []
    for _ in range(OPENINGS):
        with open_page(browser, address) as page:
            opened.append(page.evaluate("bench.opening()"))
    for name in opened[0]:
        show(f"opening: {name}", statistics.median(each[name] for each in opened))


def measure_moves(browser: Browser, address: str, moves: int) -> None:
    """Move the slider by a pixel or a few, where the strips are there already."""
    with open_page(browser, address) as page:
        left, top = grab_slider(page, 0.5)
        for pixel in (*range(-14, 15), 0):
            page.mouse.move(left + pixel, top)
            page.wait_for_timeout(150)
        taken, chance, at = [], random.Random(0), 0
        session = page.context.new_cdp_session(page)
        # Processor time of the page's own thread: unlike the clock's, a busy neighbour hardly moves it.
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        busy = read_metric(session, "TaskDuration")
        for _ in range(moves):
            at = chance.choice([pixel for pixel in range(-14, 15) if pixel != at])
            page.evaluate("bench.arm()")
            page.mouse.move(left + at, top)
            taken.append(page.evaluate("bench.shown()"))
            page.wait_for_timeout(20)
        busy = read_metric(session, "TaskDuration") - busy
    show_spread("a move, strip loaded, ms to the end of its frame", taken)
    show("a move, strip loaded, ms of the processor for all that it sets off", 1000 * busy / moves)


def measure_jumps(browser: Browser, address: str) -> None:
    """Jump to places whose strips the page has not loaded: first as the first reader, then as the second one."""
    for what in ("strips not made yet", "strips made before"):
        with open_page(browser, address) as page:
            left, top = grab_slider(page, 0.02)
            box = page.locator("frame-player input").bounding_box()
            taken = []
            # Far enough from each other that none is on a strip that was fetched ahead for another.
            for step in range(1, 9):
                page.evaluate("bench.arm()")
                page.mouse.move(left + (box["width"] if box else 0) * 0.11 * step, top)
                taken.append(page.evaluate("bench.shown()"))
                page.wait_for_timeout(1500)
        show_spread(f"a jump, {what}, ms to the end of its frame", taken)


def grab_slider(page: Page, share: float) -> tuple[float, float]:
    """Press the pointer on the slider at this share of its width; returns where that is."""
    box = page.locator("frame-player input").bounding_box()
    if box is None:
        raise RuntimeError("the page has no slider")
    left, top = box["x"] + box["width"] * share, box["y"] + box["height"] / 2
    page.mouse.move(left, top)
    page.mouse.down()
    page.wait_for_timeout(1500)
    return left, top


def measure_together(browser: Browser, url: str, ids: list[str]) -> None:
    """Ten canvases, each with its own store of strips, go through all grids, one in each frame; then once more."""
    with open_page(browser, f"{url}/runs/{ids[0]}") as page:
        for what in ("strips not made yet", "strips made before"):
            found = page.evaluate("(runs) => bench.together(runs)", [f"/runs/{each}" for each in ids])
            for name, value in found.items():
                show(f"ten runs together, {what}: {name}", value)


def measure_flood(browser: Browser, url: str, rate: int, seconds: int) -> None:
    """Look on while a run reports many grids a second."""
    reports: Any = multiprocessing.get_context("spawn").Queue()
    drawer = multiprocessing.get_context("spawn").Process(target=draw_on, args=(url, reports, rate, seconds))
    drawer.start()
    with open_page(browser, f"{url}/runs/{reports.get()}") as page:
        session = page.context.new_cdp_session(page)
        page.evaluate("bench.watchFrames()")
        heaps, begin = [], time.perf_counter()
        while time.perf_counter() - begin < seconds - 3:
            page.wait_for_timeout(1000 * seconds / 6)
            grids = page.locator("frame-view [data-field=position]").inner_text().rpartition(" ")[2]
            heaps.append(f"{read_heap(session) / 1e6:.1f} with {grids} grids")
        found = page.evaluate("bench.frames()")
        number = reports.get()
        drawer.join()
        page.wait_for_timeout(2000)
        shown = page.locator("frame-view [data-field=position]").inner_text()
        page.keyboard.press("Home")
        page.wait_for_timeout(1000)
        first = page.locator("frame-view [data-field=iteration]").inner_text()
    show("flood: grids reported a second", number / seconds)
    print(f"flood: at its end the page shows grid {shown}; Home leads to iteration {first}")
    for name, value in found.items():
        show(f"flood: {name}", value)
    print("flood: MB of the script heap: " + ", ".join(heaps))


def read_heap(session: CDPSession) -> float:
    """Return the bytes of the page's script heap after a collection."""
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    return read_metric(session, "JSHeapUsedSize")


def read_metric(session: CDPSession, name: str) -> float:
    """Return one of the figures that the browser keeps about a page, in seconds or bytes."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == name))


def show(name: str, value: float) -> None:
    print(f"{name}: {value:,.0f}" if value >= 100 else f"{name}: {value:.3g}", flush=True)


def show_spread(name: str, values: list[float]) -> None:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    print(
        f"{name}: p50 {statistics.median(ordered):.1f}, p95 {p95:.1f}, max {ordered[-1]:.1f}, n {len(ordered)}",
        flush=True,
    )


if __name__ == "__main__":
    main()
