"""Heat maps as figures: what is drawn, what is said, and what is refused."""

import io
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from dashboard.figures.drawing.plans import HeatMapsPlan, HeatPanel, Page
from tests.dashboard.web.test_pages import read, words
from tests.support.fake_worker import FakeWorker
from tests.support.figures import ABOUT, draw


@pytest.fixture
def run(worker: FakeWorker) -> str:
    worker.submit(name="first-light")
    worker.claim()
    worker.train(100)
    worker.log_logits(50, 100)
    return worker.job_id


def count_black(shades: bytes, tmp_path: Path) -> int:
    panels = (HeatPanel(0, 0, "real images", 0, 2, 2, 0, 100),)
    plan = HeatMapsPlan(Page("png", 120, 100), ABOUT, ("a",), panels, 1, "logits", -1.0, 1.0, is_power=False)
    with Image.open(io.BytesIO(draw(plan, [shades], tmp_path))) as image:
        return sum(image.convert("L").histogram()[:30])


def test_a_cell_is_as_dark_as_its_share(tmp_path: Path) -> None:
    none, one, half, every = (
        count_black(bytes(shades), tmp_path) for shades in ([0] * 4, [255, 0, 0, 0], [128] * 4, [255] * 4)
    )
    # One of four cells is a quarter of the panel; what is less than all is no black.
    assert (one - none) / (every - none) == pytest.approx(0.25, abs=0.02)
    assert half - none < 0.02 * (every - none)


def test_the_page_draws_histograms_and_names_those_that_there_are(client: TestClient, run: str) -> None:
    html = read(client, "/figures?kind=heat-maps")
    assert f"/figures/heat-maps.png?run={run}" in html
    assert '<option value="logits" selected>Logits</option>' in html
    assert "Logits of real images and generated images over iterations, of first-light." in words(html)
    offered = re.findall(r'href="[^"]+\.(\w+)(?:\?[^"]*)?" download', html)
    assert offered == ["pdf", "svg", "png"]
    svg = client.get(f"/figures/heat-maps.svg?run={run}").text
    texts = re.findall(r">([^<>]+)</t(?:ext|span)>", svg)
    assert {"real images", "generated images", "logits", "iteration", "share of values"} <= set(texts)
    # The same request gives the same bytes.
    assert client.get(f"/figures/heat-maps.svg?run={run}").text == svg


def test_what_has_no_histograms_is_refused_with_what_there_is(
    client: TestClient, worker: FakeWorker, run: str
) -> None:
    answer = client.get(f"/figures/heat-maps.pdf?run={run}&values=gradients")
    assert answer.status_code == 422
    assert (
        "None of these runs has histograms of gradients; there are: logits." in answer.json()["error"]["message"]
    )
    worker.submit(name="without")
    worker.claim()
    worker.log_metrics(10)
    shown = words(read(client, f"/figures?kind=heat-maps&run={worker.job_id}"))
    assert "they have none" in shown
    svg = client.get(f"/figures/heat-maps.svg?run={run}&run={worker.job_id}").text
    assert svg.count("no histograms") == 2
