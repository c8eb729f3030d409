"""Heat maps of logits and grids of nearest training images, as the server draws them."""

import io
import math
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from api.curves.schemas import HistogramRead
from dashboard.charts.png import write_grey_png
from dashboard.run.heat_maps import (
    COLUMNS,
    LOGITS,
    ROWS,
    HeatMapData,
    brightness,
    build_heat_map,
    choose_axis,
    choose_columns,
    draw_heat_map,
)
from dashboard.run.requests import Window
from tests.dashboard.web.test_pages import read, words
from tests.support.fake_worker import FakeWorker, make_histograms


def make_histogram(
    iteration: int, low: float, high: float, name: str = "logits/real", **bins: int
) -> HistogramRead:
    counts = tuple(bins.get(f"b{place}", 0) for place in range(64)) if bins else (1,) * 64
    return HistogramRead(name=name, iteration=iteration, low=low, high=high, counts=counts)


def picture_urls(html: str) -> list[str]:
    return [url.replace("&amp;", "&") for url in re.findall(r'<image class="pixels" href="([^"]+)"', html)]


def read_picture(client: TestClient, url: str) -> Any:
    response = client.get(url)
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png"), response.text
    return Image.open(io.BytesIO(response.content))


def test_pixels_come_back_from_a_written_png() -> None:
    rows = [bytes([0, 128, 255]), bytes([1, 2, 3])]
    image = Image.open(io.BytesIO(write_grey_png(rows)))
    assert (image.mode, image.size) == ("L", (3, 2))
    assert image.tobytes() == b"".join(rows)


def test_brightness_by_hand() -> None:
    assert [brightness(share) for share in (0, 0.001, 0.008, 1, 1.5)] == [0, 26, 51, 255, 255]


def test_a_heat_map_by_hand() -> None:
    # Rows are 1 high: all of the first column's logits lie in the lowest row, half of the second's in the highest.
    first = make_histogram(10, 0, 64, b0=5)
    second = make_histogram(20, 0, 64, b63=2, b1=2)
    rows = draw_heat_map([first, second], [10, 20, 30], 0, 64)
    assert len(rows) == ROWS == 64
    half = 202  # 255 · 0.7937
    assert rows[0] == bytes([0, half, 0])
    assert rows[62] == bytes([0, half, 0])
    assert rows[63] == bytes([255, 0, 0])
    assert all(row == bytes(3) for row in rows[1:62])


def test_an_axis_follows_what_grows_but_not_a_spike() -> None:
    growing = [make_histogram(place, -2.0 * place, 1.0 * place) for place in range(1, 21)]
    assert choose_axis(growing) == pytest.approx((-40 - 0.04 * 60, 20 + 0.04 * 60))
    # Without the two outermost on either side they reach from -34 to 17; the axis may go 51 beyond.
    spiky = [*growing[:18], make_histogram(19, -1e9, 1.0), make_histogram(20, -1.0, 80.0)]
    assert choose_axis(spiky) == pytest.approx((-85 - 0.04 * 153, 68 + 0.04 * 153))
    # 0 is on the axis, and where all is 0 there is still an axis.
    assert choose_axis([make_histogram(1, 5, 15)]) == pytest.approx((-0.6, 15.6))
    low, high = choose_axis([make_histogram(1, 0, 1e-300)])
    assert low < 0 < high


def test_each_column_shows_the_histogram_that_covers_its_iterations() -> None:
    assert choose_columns([10, 20, 30, 40]) == [10, 20, 30, 40]
    assert choose_columns([50]) == [50]
    # From 0 to 40 in three columns: their middles are 6.7, 20 and 33.3, and a run that changed its cadence.
    assert choose_columns([20, 30, 40]) == [20, 30, 40]
    assert choose_columns([10, 20, 100]) == [20, 100, 100]
    many = choose_columns(list(range(10, 100_010, 10)))
    assert (len(many), many[-1]) == (COLUMNS, 99_750)


@pytest.mark.parametrize(
    ("window", "chosen"),
    [
        (Window(), [10, 20, 30, 40]),
        (Window(first=10), [20, 30, 40]),
        (Window(last=30), [10, 20, 30]),
        (Window(9, 25), [10, 20]),
        (Window(40, 50), []),
        (Window(30, 10), []),
    ],
)
def test_a_window_begins_after_its_first_iteration(window: Window, chosen: list[int]) -> None:
    assert window.choose([10, 20, 30, 40]) == chosen


def test_without_histograms_there_is_no_figure(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(100)
    html = read(client, f"/runs/{job}")
    assert '<section id="logits" class="figures"> </section>' in html
    assert '<section id="neighbours" class="figures"> </section>' in html
    assert client.get(f"/runs/{job}/logits/real.png?first=0&last=9&low=0&high=1").status_code == 404


def test_a_run_shows_its_logits_with_axes_and_in_words(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.log_logits(*range(50, 1001, 50))
    html = read(client, f"/runs/{job}")
    assert "Logits of real images over the iterations: −1.00 … 2.00 up to iteration 50, then −1.00 … 21.0" in html
    assert "Logits of generated images newest −41.0 … 1.00" in words(html)
    real, fake = picture_urls(html)
    axes = {name: float(values[0]) for name, values in parse_qs(urlsplit(real).query).items()}
    assert (axes["first"], axes["last"]) == (0, 1000)
    assert axes["low"] < -41
    assert axes["high"] > 21
    for url, newest in ((real, (-1.0, 21.0)), (fake, (-41.0, 1.0))):
        image = read_picture(client, url)
        assert image.size == (20, ROWS)
        column = [image.getpixel((19, row)) for row in range(ROWS)]
        lit = [row for row, level in enumerate(column) if level]
        height = axes["high"] - axes["low"]
        expected = [(axes["high"] - bound) / height * ROWS for bound in reversed(newest)]
        assert [lit[0], lit[-1]] == pytest.approx([math.floor(bound) for bound in expected], abs=1)


def test_a_window_of_the_iterations_can_be_looked_at(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.log_logits(*range(50, 1001, 50))
    html = read(client, f"/runs/{job}?from=200&to=400")
    assert 'name="from" type="number" min="0" max="1000" value="200"' in html
    assert f'<a href="/runs/{job}#logits">All</a>' in html
    assert [read_picture(client, url).size for url in picture_urls(html)] == [(4, ROWS)] * 2
    for query in ("from=900&to=100", "from=x", "to=-3", "from=99999999999999999999"):
        whole = read(client, f"/runs/{job}?{query}")
        assert [read_picture(client, url).size for url in picture_urls(whole)] == [(20, ROWS)] * 2


def test_many_histograms_are_few_columns_and_the_page_says_so(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit(iterations=10_000)
    worker.claim()
    ranges = {"logits/real": (-1.0, 1.0), "logits/fake": (-2.0, 0.5)}
    for start in range(10, 10_001, 1000):
        worker.post(*(make_histograms(place, ranges) for place in range(start, start + 1000, 10)))
    html = read(client, f"/runs/{job}")
    assert "200 of 1,000 histograms are drawn." in words(html)
    for url in picture_urls(html):
        assert read_picture(client, url).size == (COLUMNS, ROWS)
        assert len(client.get(url).content) < 20_000


def test_one_spike_does_not_flatten_the_rest_and_what_is_not_finite_is_counted(
    client: TestClient, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    worker.log_logits(*range(10, 200, 10))
    broken = {"low": 0.0, "high": 1e9, "counts": [1] * 64, "not_finite": 7}
    histograms = {"logits/real": broken, "logits/fake": broken}
    worker.post({"kind": "histograms_logged", "iteration": 200, "histograms": histograms})
    html = read(client, f"/runs/{job}")
    shown = words(html)
    assert "Logits reach −8.60 … 1.0e+09; values beyond the axis are drawn at its edge." in shown
    assert "14 logits are not finite and are not drawn." in shown
    (high,) = parse_qs(urlsplit(picture_urls(html)[0]).query)["high"]
    assert float(high) < 100


def test_logits_without_one_finite_number_are_no_figure() -> None:
    nothing = [
        make_histogram(10, 0, 1, name).model_copy(update={"counts": (0,) * 64}) for name in ("logits/real",)
    ]
    assert build_heat_map("job", HeatMapData(LOGITS, Window(), [10], nothing)) is None


@pytest.mark.parametrize(
    "query", ["first=0&last=9&low=1&high=1", "first=0&last=9&low=nan&high=1", "first=-1&last=9&low=0&high=1", ""]
)
def test_axes_that_are_none_are_refused(client: TestClient, worker: FakeWorker, query: str) -> None:
    job = worker.submit()
    worker.claim()
    worker.log_logits(5)
    assert client.get(f"/runs/{job}/logits/real.png?{query}").status_code in (404, 422)
    assert client.get(f"/runs/{job}/logits/other.png?first=0&last=9&low=0&high=1").status_code in (404, 422)
    assert client.get("/runs/nosuchjob/logits/real.png?first=0&last=9&low=0&high=1").status_code == 404


def test_nearest_training_images_stand_beside_the_grid_of_their_iteration(
    client: TestClient, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    samples = {iteration: worker.save_grid(iteration) for iteration in (100, 200, 300)}
    neighbours = {iteration: worker.save_neighbours(iteration) for iteration in (100, 300)}

    def section(query: str = "") -> tuple[str, list[str]]:
        html = read(client, f"/runs/{job}{query}")
        part = html[html.index('<section id="neighbours"') : html.index('<div class="columns"')]
        return part, re.findall(r'src="/artifacts/(\w+)"', part)

    newest, pictures = section()
    assert pictures == [samples[300], neighbours[300]]
    assert "Iteration 300 , 2 of 2 ." in words(newest)
    assert "Distances 10.0 … 42.5 of 255" in newest
    assert 'alt="8 × 8 training images, each the nearest to the generated image in its place' in newest
    earlier = re.search(r'href="/runs/\w+(\?iteration=100)#neighbours">Earlier', newest)
    assert earlier is not None
    assert section(earlier[1])[1] == [samples[100], neighbours[100]]
    assert section("?iteration=120")[1] == [samples[100], neighbours[100]]


def test_sizes_of_gradients_have_heat_maps_with_powers_of_ten(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    ranges = {"gradients/generator": (-6.0, -1.0), "gradients/discriminator": (-5.0, 0.0)}
    for iteration in range(50, 501, 50):
        worker.post(make_histograms(iteration, ranges))
    html = read(client, f"/runs/{job}?iteration=400")
    section = html[html.index('<section id="gradients"') : html.index('<section id="neighbours"')]
    assert "Gradients of the generator newest 1.0e−06 … 0.100" in words(section).replace("e-", "e−")
    assert [label.strip() for label in re.findall(r'class="tick-label"[^>]*>([^<]*)<', section)][:3] == [
        "1e-06",
        "1e-04",
        "1e-02",
    ]
    first, second = picture_urls(section)
    assert ("/gradients/discriminator.png" in first, "/gradients/generator.png" in second) == (True, True)
    assert read_picture(client, second).size == (10, 64)
    assert client.get(f"/runs/{job}/gradients/other.png?first=0&last=9&low=0&high=1").status_code in (404, 422)


def test_a_run_shows_the_layers_that_its_spec_names(client: TestClient, worker: FakeWorker) -> None:
    layers = [{"layer": "flatten"}, {"layer": "dense", "size": 9}, "sigmoid", {"layer": "dense", "size": 1}]
    watched = ["discriminator.layers.1", "generator.layers.0"]
    job = worker.submit(discriminator={"layers": layers}, histogram_every=50, histogram_layers=watched)
    worker.claim()
    ranges = {f"layers/discriminator.1.{side}": (-45.0, 43.0) for side in ("real", "fake")}
    ranges |= {f"layers/discriminator.2.{side}": (0.0, 1.0) for side in ("real", "fake")}
    for iteration in (50, 100):
        worker.post(make_histograms(iteration, ranges | {"layers/generator.0": (-3.0, 3.0)}))
    html = read(client, f"/runs/{job}")
    shown = words(html)
    assert "Discriminator's layer 1 (dense), before sigmoid, over iterations" in html.replace("&#39;", "'")
    assert "Outputs of real images newest −45.0 … 43.0" in shown
    assert "Outputs of the generator newest −3.00 … 3.00" in shown
    assert [read_picture(client, url).size for url in picture_urls(html)] == [(2, ROWS)] * 5
    axes = "first=0&last=100&low=-50&high=50"
    assert client.get(f"/runs/{job}/layers/discriminator.7.real.png?{axes}").status_code == 404
    assert client.get(f"/runs/{job}/layers/other.png?{axes}").status_code in (404, 422)
