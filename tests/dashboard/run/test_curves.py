"""Charts of what was measured while a run trained."""

import re

from fastapi.testclient import TestClient

from api.curves.schemas import Curve
from dashboard.run.curves import RunAxis, build_measures, measured_metrics
from tests.dashboard.web.test_pages import read, words
from tests.support.fake_worker import FakeWorker


def make_curve(name: str, points: dict[int, float]) -> Curve:
    return Curve(name=name, iterations=list(points), values=list(points.values()), total=len(points))


def log(worker: FakeWorker, iteration: int, **values: float) -> None:
    named = {name.replace("__", "/"): value for name, value in values.items()}
    worker.post({"kind": "metrics_logged", "iteration": iteration, "values": named})


def test_both_curves_of_a_transfer_stand_on_one_chart_over_the_iterations(
    client: TestClient, worker: FakeWorker
) -> None:
    job_id = worker.submit()
    worker.claim()
    for iteration, accuracy in ((250, 0.5), (500, 0.75)):
        log(
            worker,
            iteration,
            transfer__accuracy=accuracy,
            transfer__scratch_accuracy=0.25,
            transfer__accuracy_after_250=0.1,
        )
    html = read(client, f"/runs/{job_id}")
    section = re.search(r'<section id="measures".*?</section>', html)
    assert section is not None
    assert section[0].count("<figure>") == 1
    values = re.findall(r'<dfn[^>]*>([^<]*)</dfn>.*?data-field="value"[^>]*>([^<]*)<', section[0])
    assert values == [("pretrained", "0.750"), ("from scratch", "0.250")]
    # Of 1,000 iterations the first point lies at a quarter, the second at the middle.
    assert re.findall(r'<circle class="dot stroke-0" cx="([\d.]+)%"', section[0]) == ["25.00", "50.00"]
    assert (
        "pretrained: 0.500 at iteration 250, 0.750 at iteration 500. from scratch: 0.250 at iteration 250"
        in section[0]
    )


def test_each_figure_of_the_samples_has_a_chart_and_accuracies_share_one(
    client: TestClient, worker: FakeWorker
) -> None:
    job_id = worker.submit()
    worker.claim()
    log(
        worker,
        500,
        eval__classifier_score=3.5,
        eval__class_shares_0=0.5,
        eval__test_accuracy=0.9,
        eval__test_errors=30,
        accuracy__labelled=1.0,
        loss__generator=1.0,
    )
    html = read(client, f"/runs/{job_id}")
    headings = re.findall(r"<h3>(?:<span class=\"metric\"><dfn[^>]*>)?([^<]*)<", html)
    assert headings == ["Classification accuracy", "Classifier score"]
    assert html.count('class="curve stroke-') == 3


def test_the_line_about_the_evaluation_stands_beside_its_charts(client: TestClient, worker: FakeWorker) -> None:
    job_id = worker.submit()
    worker.claim()
    log(worker, 500, eval__recall=0.5)
    line = {"kind": "line_logged", "iteration": 0, "text": "Of 48 samples each."}
    worker.post(line | {"text": "Another line."}, line | {"about": "evaluation"})
    section = re.search(r'<section id="measures".*?</section>', read(client, f"/runs/{job_id}"))
    assert section is not None
    assert "Measured while it trains Of 48 samples each." in words(section[0])
    assert "Another line." not in section[0]


def test_a_run_without_measurements_has_no_such_charts(client: TestClient, worker: FakeWorker) -> None:
    job_id = worker.submit()
    worker.claim()
    worker.log_metrics(100)
    assert "Measured while it trains" not in read(client, f"/runs/{job_id}")


def test_metrics_are_read_for_charts_alone() -> None:
    names = ["loss/generator", "eval/recall", "transfer/accuracy", "eval/test_errors", "eval/class_shares_3"]
    assert measured_metrics(names) == ["transfer/accuracy", "eval/recall"]


def test_values_that_are_not_finite_leave_a_gap_and_many_points_have_no_dots() -> None:
    nan = float("nan")
    (chart,) = build_measures([make_curve("eval/recall", {0: 0.0, 50: nan, 100: 1.0})], RunAxis("job", 100))
    (line,) = chart.lines
    assert line.path.count("M") == 2
    assert [dot.x for dot in line.dots] == ["0.00%", "100.00%"]
    (chart,) = build_measures(
        [make_curve("eval/recall", {step: step / 100 for step in range(100)})], RunAxis("job", 100)
    )
    assert chart.lines[0].dots == []
    assert build_measures([make_curve("eval/recall", {0: nan})], RunAxis("job", 100)) == []


SIGNALS = ("diversity", "kinds", "real_distance", "movement", "nearest_training", "overfitting")


def test_of_many_signals_only_the_most_telling_have_charts_and_all_can_be_chosen(
    client: TestClient, worker: FakeWorker
) -> None:
    job_id = worker.submit()
    worker.claim()
    others = (
        "feature_diversity",
        "contrast",
        "copies",
        "generator_gradient",
        "generator_dead_3",
        "spectral_norm_1",
    )
    log(worker, 100, **{f"signals__{name}": 0.5 for name in (*SIGNALS, *others)})
    html = read(client, f"/runs/{job_id}")
    measures = html.split('<section id="measures"')[1].split("</section>")[0]
    assert measures.count("<figure>") == len(SIGNALS)
    assert re.findall(r'data-metric="signals/(\w+)"', measures) == [
        "real_distance", "diversity", "feature_diversity", "kinds", "movement", "nearest_training", "overfitting",
    ]  # fmt: skip
    groups = re.findall(r"<legend>([^<]*)</legend>(.*?)</fieldset>", html.split("<metric-choice>")[1])
    chosen = {group: re.findall(r'value="signals/(\w+)"', boxes) for group, boxes in groups}
    assert chosen["Signals of the samples"] == [
        "contrast", "diversity", "feature_diversity", "kinds", "movement", "real_distance",
    ]  # fmt: skip
    assert chosen["Signals of what is remembered"] == ["copies", "nearest_training", "overfitting"]
    assert chosen["Signals of the networks"] == ["generator_dead_3", "generator_gradient", "spectral_norm_1"]
    # Their newest values are folded: there are too many.
    assert "<summary>12 signals</summary>" in html
