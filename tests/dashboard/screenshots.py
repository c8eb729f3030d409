"""Draw docs/images anew: a real service, a real worker, a real GAN on MNIST, photographed while it trains.

`python -m tests.dashboard.screenshots` (`make screenshots`) takes a few minutes and needs Chromium and MNIST
(GANVAS_DATA names its folder).
"""

import argparse
import io
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

from api.client.client import Client
from api.errors import ServiceError
from ganlib.spec.files import read_spec_file
from tests.support.browser import open_browser

ROOT = Path(__file__).parents[2]
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDE, NARROW = (1440, 940), (390, 844)
# The photograph is taken when this share of the run is done: late enough for digits, early enough to be running.
SHARE = 0.8
FILM_FRAMES, FILM_WIDTH = 21, 840
IS_DRAWN = """() => [...document.images]
  .filter((image) => image.getBoundingClientRect().top < innerHeight)
  .every((image) => image.complete)"""


def main() -> None:
    """Train, photograph, stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images")
    parser.add_argument("--iterations", type=int, default=1000)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with running_service() as url, Client(url) as client, open_browser() as browser:
        first = client.submit(
            make_spec("winkler-digits", 120, dataset={"name": "digits", "size": 28}, tags=["digits"])
        )
        other = client.submit(make_spec("first-light-seed-1", options.iterations, seed=1))
        shown = client.submit(make_spec("first-light", options.iterations))
        for seed in (2, 3):
            client.submit(make_spec(f"first-light-seed-{seed}", options.iterations, seed=seed))
        for job in (first, other):
            wait_for(lambda job=job: client.get(job.id).state == "succeeded")
        wait_for(lambda: client.get(shown.id).iteration >= SHARE * options.iterations)
        pages = {
            "run": f"/runs/{shown.id}",
            "runs": "/",
            "gallery": "/?view=gallery",
            "compare": f"/compare?run={other.id}&run={shown.id}",
            "figures": f"/figures?run={other.id}&run={shown.id}",
            "new": "/new",
            "form": "/new?recipe=first-light",
            "workers": "/queue-and-workers",
        }
        for name, path in pages.items():
            for theme in THEMES:
                photograph(browser, url + path, theme, WIDE, options.out / f"{name}-{theme}.png")
                photograph(browser, url + path, theme, NARROW, options.out / f"{name}-{theme}-narrow.png")
        film(browser, f"{url}/runs/{other.id}", options.out / "scrubbing.gif")


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
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    for _ in range(3):
        failed.clear()
        page.goto(url)
        page.wait_for_timeout(1500)
        # Without a stylesheet, as while the machine's network changes, it is no photograph of the page.
        if not any("/static/" in each for each in failed):
            break
    # The preview of a figure takes a while to draw; what is further down is not even asked for.
    wait_for(lambda: page.evaluate(IS_DRAWN), 90)
    page.screenshot(path=path)
    context.close()
    with Image.open(path) as image:
        reduce_colours(image.convert("RGB")).save(path, optimize=True)
    print(path)


def reduce_colours(image: Image.Image, count: int = 256) -> Image.Image:
    """Return the image with a palette, at a third of the bytes: what covers most keeps its exact colour."""
    counted: Any = image.getcolors(image.width * image.height)
    common = [colour for _, colour in sorted(counted, reverse=True)[: count // 2]]
    others = image.quantize(count - len(common), Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*(part for colour in common for part in colour), *others[: 3 * (count - len(common))]])
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


def film(browser: Browser, url: str, path: Path) -> None:
    """Save a film of the timeline while somebody scrubs from its first grid to its last."""
    context = browser.new_context(viewport={"width": 1200, "height": 940})
    page = context.new_page()
    page.goto(url)
    page.wait_for_timeout(1500)
    page.keyboard.press("Home")
    frames = []
    while len(frames) < FILM_FRAMES:
        page.wait_for_timeout(250)
        shot = page.locator("#bench").screenshot()
        with Image.open(io.BytesIO(shot)) as image:
            small = image.convert("RGB").resize((FILM_WIDTH, round(image.height * FILM_WIDTH / image.width)))
            frames.append(reduce_colours(small, 64))
        page.keyboard.press("ArrowRight")
    context.close()
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=300, loop=0, optimize=True)
    print(path)


if __name__ == "__main__":
    main()
