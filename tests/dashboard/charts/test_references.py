"""What real images get, as a line across a chart."""

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from dashboard.charts.references import Reference, find_dataset, find_real, reach_references, show_references
from dashboard.run.curves import RunAxis, build_curve_chart
from ganlib.vocabulary import CLASS_SHARES, CLASSIFIER_SCORE, DIVERSITY, GENERATOR_LOSS, Metric
from tests.dashboard.run.test_curves import make_curve
from tests.dashboard.web.test_pages import read
from tests.support.fake_worker import FakeWorker

SCORE, LOSS = CLASSIFIER_SCORE.name, GENERATOR_LOSS.name


@pytest.mark.parametrize(
    ("metric", "dataset", "real"),
    [
        (CLASSIFIER_SCORE, "mnist", 9.76),
        (CLASSIFIER_SCORE, "cifar10", None),
        (CLASSIFIER_SCORE, "", None),
        # A range is no single number.
        (CLASS_SHARES.member(3), "mnist", None),
        (DIVERSITY, "cifar10", 1.0),
        (GENERATOR_LOSS, "mnist", None),
        # What is known of the data set goes before what holds for all.
        (replace(CLASSIFIER_SCORE, reference=1.0), "mnist", 9.76),
        (replace(CLASSIFIER_SCORE, reference=1.0), "cifar10", None),
    ],
)
def test_real_images_get_what_the_vocabulary_says_of_their_data_set(
    metric: Metric, dataset: str, real: float | None
) -> None:
    assert find_real(metric, dataset) == real


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"dataset": "mnist"}, "mnist"),
        ({"dataset": {"name": "mnist", "labels": 10}}, "mnist"),
        ({}, ""),
        ({"dataset": None}, ""),
    ],
)
def test_a_data_set_is_found_in_either_form_of_a_spec(spec: dict[str, object], name: str) -> None:
    assert find_dataset(spec) == name


def test_the_axis_reaches_what_real_images_get() -> None:
    assert reach_references((0.0, 1.0), []) == (0.0, 1.0)
    assert reach_references((0.0, 1.0), [Reference(0.5, "")]) == (0.0, 1.0)
    assert reach_references((0.0, 1.0), [Reference(9.0, "")]) == (0.0, pytest.approx(9.72))
    assert reach_references((2.0, 3.0), [Reference(0.0, "")]) == (0.0, 3.0)
    assert reach_references((2.0, 3.0), [Reference(1.0, "")]) == (pytest.approx(0.84), 3.0)


def test_each_value_has_one_line_and_several_say_whose_they_are() -> None:
    one = [Reference(1.0, "in pixels"), Reference(1.0, "in features")]
    assert [(each.at, each.label) for each in show_references(one, 0.0, 2.0)] == [("50.00%", "real images")]
    two = [Reference(1.0, "score"), Reference(0.0, "copies")]
    assert [each.label for each in show_references(two, 0.0, 2.0)] == ["real images: score", "real images: copies"]


def test_a_curve_that_hugs_its_axis_shows_how_far_real_images_are() -> None:
    curve = make_curve(SCORE, {0: 1.0, 100: 1.1})
    chart = build_curve_chart("Score", {SCORE: ""}, [curve], RunAxis("job", 100, dataset="mnist"), 10)
    (line,) = chart.references
    assert float(line.at.rstrip("%")) < 10
    assert min(float(dot.y.rstrip("%")) for dot in chart.lines[0].dots) > 80
    other = build_curve_chart("Score", {SCORE: ""}, [curve], RunAxis("job", 100, dataset="cifar10"), 10)
    assert other.references == []
    assert min(float(dot.y.rstrip("%")) for dot in other.lines[0].dots) < 20


def test_the_page_draws_the_line_and_says_the_number(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.post({"kind": "metrics_logged", "iteration": 10, "values": {SCORE: 2.0, LOSS: 1.0}})
    page = read(client, f"/runs/{job}")
    assert page.count('<line class="reference"') == 1
    assert 'data-metric="eval/classifier_score" data-real="9.76"' in page
    assert "real images 9.76</td>" in page
    # The box that adds the curve to the large chart brings its line along.
    assert 'value="eval/classifier_score" data-player="" data-real="9.76"' in page
    assert 'value="loss/generator" data-player="generator" aria' in page
