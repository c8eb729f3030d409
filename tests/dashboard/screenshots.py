"""Draw docs/images anew: a real service, a real worker, a real GAN on MNIST, photographed while it trains.

`python -m tests.dashboard.screenshots` (`make screenshots`) takes a few minutes and needs Chromium and MNIST
(GANVAS_DATA names its folder).
"""

import argparse
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import Browser

from api.client import Client
from api.errors import ServiceError
from ganlib.spec_files import read_spec_file
from tests.dashboard.browser import open_browser

ROOT = Path(__file__).parents[2]
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDE, NARROW = (1440, 940), (390, 844)
# The photograph is taken when this share of the run is done: late enough for digits, early enough to be running.
SHARE = 0.8


def main() -> None:
    """Train, photograph, stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images")
    parser.add_argument("--iterations", type=int, default=1000)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with running_service() as url, Client(url) as client, open_browser() as browser:
        first = client.submit(
            make_spec("winkler-digits", 250, dataset={"name": "digits", "size": 28}, tags=["digits"])
        )
        shown = client.submit(make_spec("first-light", options.iterations))
        for seed in (1, 2):
            client.submit(make_spec(f"first-light-seed-{seed}", options.iterations, seed=seed))
        wait_for(lambda: client.get(first.id).state == "succeeded")
        wait_for(lambda: client.get(shown.id).iteration >= SHARE * options.iterations)
        for theme in THEMES:
            photograph(browser, f"{url}/runs/{shown.id}", theme, WIDE, options.out / f"run-{theme}.png")
            photograph(browser, url, theme, (1440, 480), options.out / f"runs-{theme}.png")
        photograph(browser, f"{url}/runs/{shown.id}", "light", NARROW, options.out / "run-narrow.png")


@contextmanager
def running_service() -> Iterator[str]:
    """Start `ganvas up` with a throwaway data folder; it is interrupted at the end."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        command = [sys.executable, "-m", "ganvas", "up", "--port", str(port), "--data-dir", home]
        process = subprocess.Popen(command, cwd=ROOT)
        url = f"http://127.0.0.1:{port}"
        try:
            with Client(url) as client:
                wait_for(lambda: is_up(client))
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(90)


def is_up(client: Client) -> bool:
    """Whether the service answers."""
    try:
        client.health()
    except ServiceError:
        return False
    return True


def make_spec(name: str, iterations: int, **changes: Any) -> dict[str, Any]:
    """The demo's recipe under another name."""
    spec = read_spec_file(ROOT / "recipes/first-light.yaml")
    return {**spec, "name": name, "iterations": iterations, **changes}


def wait_for(is_so: Callable[[], bool], seconds: float = 1800) -> None:
    """Wait until it is so."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise SystemExit("It took too long.")
        time.sleep(0.5)


def photograph(
    browser: Browser, url: str, theme: Literal["light", "dark"], size: tuple[int, int], path: Path
) -> None:
    """Save one screen of a page."""
    context = browser.new_context(
        color_scheme=theme, viewport={"width": size[0], "height": size[1]}, device_scale_factor=2
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_timeout(1500)
    page.screenshot(path=path)
    context.close()
    # Greys and a few hues: a palette keeps them, at a third of the bytes.
    with Image.open(path) as image:
        palette = image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        palette.save(path, optimize=True)
    print(path)


if __name__ == "__main__":
    main()
