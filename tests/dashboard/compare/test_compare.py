"""Runs compared, as the page says it without scripts."""

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.curves.schemas import Curve
from dashboard.compare.tables import build_numbers
from dashboard.web.specs import compare_specs
from ganlib.vocabulary import find_metric
from tests.support.fake_worker import PROVENANCE, FakeWorker, make_spec


def make_runs(worker: FakeWorker, count: int = 2, **changes: Any) -> list[str]:
    """Runs that have grids every 100 iterations up to 300, 400, …"""
    jobs = []
    for place in range(count):
        jobs.append(worker.submit(name=f"run-{place}", seed=place, **changes))
        worker.claim()
        worker.train(300 + 100 * place)
    return jobs


def address(jobs: list[str], **more: Any) -> str:
    runs = "&".join(f"run={job}" for job in jobs)
    return f"/compare?{runs}" + "".join(f"&{name}={value}" for name, value in more.items())


def read(client: TestClient, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, response.text
    return re.sub(r"\s+", " ", response.text)


def iterations(html: str) -> list[str]:
    return re.findall(r'data-field="iteration">([^<]*)<', html)


def notes(html: str) -> list[str]:
    return re.findall(r'data-field="note">([^<]*)<', html)


def test_runs_stand_at_the_last_iteration_that_all_have_reached(client: TestClient, worker: FakeWorker) -> None:
    jobs = make_runs(worker, 3)
    html = read(client, address(jobs))
    assert iterations(html) == ["300", "300", "300"]
    assert "At iteration 300" in html


def test_a_run_without_a_grid_there_shows_the_one_before_and_says_so(
    client: TestClient, worker: FakeWorker
) -> None:
    jobs = make_runs(worker, 2)
    html = read(client, address(jobs, at=400))
    assert iterations(html) == ["300", "400"]
    assert notes(html) == ["nearest before, by 100", ""]
    html = read(client, address(jobs, at=50))
    assert iterations(html) == ["", ""]
    assert notes(html) == ["No grid this early; the first is of iteration 100"] * 2


def test_images_seen_are_iterations_times_the_batch_size(client: TestClient, worker: FakeWorker) -> None:
    small = make_runs(worker, 1, batch_size=32)
    large = make_runs(worker, 1, batch_size=64)
    html = read(client, address([*small, *large], axis="images", at=9600))
    assert iterations(html) == ["300", "100"]
    assert notes(html) == ["", "nearest before, by 3,200 images"]
    assert "At 9,600 images seen" in html


def test_time_begins_with_each_run(client: TestClient, worker: FakeWorker) -> None:
    jobs = make_runs(worker, 2)
    html = read(client, address(jobs, axis="time", at=100_000))
    assert iterations(html) == ["300", "400"]
    assert "after the start" in html
    assert all(note.startswith("after ") for note in notes(html))


def test_other_latents_are_said_and_the_same_ones_too(client: TestClient, worker: FakeWorker) -> None:
    jobs = make_runs(worker, 2)
    assert "Same fixed latents: a cell shows the same latents in every run." in read(client, address(jobs))
    worker.latents = b"others"
    html = read(client, address(jobs + make_runs(worker, 1)))
    assert "Different fixed latents (A: 1, 2; B: 3)" in html
    assert re.findall(r'data-field="latents">([^<]*)<', html) == ["Latents A", "Latents A", "Latents B"]


def test_every_link_keeps_the_rest_of_the_view(client: TestClient, worker: FakeWorker) -> None:
    jobs = make_runs(worker, 2)
    html = read(client, address(jobs, axis="images", at=6400, metric="loss/generator", view="wipe", split=30))
    step = re.search(r'data-step="next" href="([^"]*)"', html)
    assert step is not None
    for part in ("axis=images", "at=12800", "metric=loss/generator", "view=wipe", "split=30", f"run={jobs[1]}"):
        assert part in step[1], part
    assert iterations(read(client, step[1].replace("&amp;", "&"))) == ["200", "200"]


def test_unknown_runs_are_named_and_the_others_shown(client: TestClient, worker: FakeWorker) -> None:
    jobs = make_runs(worker, 2)
    html = read(client, address([*jobs, "nosuchrun", "../x%00<b>"]))
    assert "There is no run nosuchrun" in html
    assert "There is no run ../x\ufffd&lt;b&gt;" in html
    assert iterations(html) == ["300", "300"]


def test_one_run_or_none_teaches_how_to_choose_more(client: TestClient, worker: FakeWorker) -> None:
    assert "There are no runs yet" in read(client, "/compare")
    jobs = make_runs(worker, 1)
    html = read(client, address(jobs))
    assert "One run is chosen, run-0" in html
    assert "Choose 2 to 10 runs" in html
    assert f'value="{jobs[0]}" checked' in html


def test_more_than_ten_runs_show_the_first_ten_and_say_so(client: TestClient, worker: FakeWorker) -> None:
    jobs = [worker.submit(name=f"run-{place}") for place in range(12)]
    html = read(client, address(jobs))
    assert "the first 10 are shown, 2 left out" in html
    assert len(re.findall("data-track=", html)) == 10


@pytest.mark.parametrize(
    "query", ["axis=nothing", "at=-3", "at=nan", "at=9e99", "metric=x'y", "view=%00", "split=1000", "left=nobody"]
)
def test_what_the_address_says_wrongly_is_left_out(client: TestClient, worker: FakeWorker, query: str) -> None:
    assert iterations(read(client, f"{address(make_runs(worker, 2))}&{query}")) == ["300", "300"]


def test_table_tells_commit_attempt_and_duration_and_where_specs_differ(
    client: TestClient, worker: FakeWorker
) -> None:
    html = read(client, address(make_runs(worker, 2)))
    for part in (">9f2c1e7 + changes<", ">Attempts<", ">Duration<", "<code>seed</code>"):
        assert part in html, part
    assert "<code>dataset</code>" not in html


def test_curves_of_all_runs_lie_over_each_other_each_run_in_one_colour(
    client: TestClient, worker: FakeWorker
) -> None:
    jobs = make_runs(worker, 2)
    html = read(client, address(jobs))
    # Both players' losses, a chart for each; beside the grids stands the same mark.
    assert len(re.findall('class="compare-chart of-', html)) == 2
    assert re.findall('<path class="curve ([^"]*)"', html) == ["run-1 dash-1", "run-2 dash-2"] * 2
    assert re.findall(r'<div class="compare-name">\s*<p><svg class="run-mark ([^"]*)"', html) == [
        "run-1 dash-1",
        "run-2 dash-2",
    ]


def test_verdict_score_and_differences_from_a_baseline_are_said(client: TestClient, worker: FakeWorker) -> None:
    jobs = make_runs(worker, 2)
    found = {"rule": "mode_collapse", "since": 100, "severity": "serious", "text": "Collapsed", "evidence": {}}
    worker.post({"kind": "finding_reported", "iteration": 200, **found})
    html = read(client, address(jobs))
    heads = re.findall(r'<div class="compare-name">(.*?)</div>', html, re.S)
    assert "Collapsed since iteration 100" in heads[1]
    assert "Collapsed" not in heads[0]
    assert 'class="change"' not in html
    html = read(client, address(jobs, baseline=jobs[0], metric="loss/generator"))
    assert html.count('class="change"') == 1
    assert f'<option value="{jobs[0]}" selected>1 run-0</option>' in html
    assert 'class="change"' not in read(client, address(jobs, baseline="nobody"))


def test_runs_to_compare_are_searched_and_those_chosen_stay(client: TestClient, worker: FakeWorker) -> None:
    jobs = make_runs(worker, 3)
    html = read(client, address(jobs[:1], find="run-2"))
    choices = re.findall(r'type="checkbox" name="run" value="(\w+)"( checked)?>', html)
    assert choices == [(jobs[0], " checked"), (jobs[2], "")]
    assert html.split('id="choose"')[1].count('class="thumb"') == 2
    assert "did you mean state:?" in read(client, address(jobs[:1], find="sate:x"))


def test_specs_differ_field_by_field() -> None:
    rows = compare_specs([make_spec(seed=1), make_spec(seed=2, name="other", batch_size=32)]).rows
    assert [(row.path, row.values) for row in rows] == [("batch_size", ["–", "32"]), ("seed", ["1", "2"])]
    layers = [{"layer": "dense", "size": 64}, {"layer": "relu"}]
    deeper = [*layers, {"layer": "dense", "size": 1}]
    row = compare_specs([{"layers": layers}, {"layers": deeper}]).rows[0]
    assert row.values == ["dense (size 64)\nrelu", "dense (size 64)\nrelu\ndense (size 1)"]
    row = compare_specs([{"layers": layers}, {"layers": [{"layer": "dense", "size": 9}, {"layer": "relu"}]}]).rows[
        0
    ]
    assert (row.path, row.values) == ("layers[0].size", ["64", "9"])
    assert compare_specs([make_spec(), make_spec(name="other", recipe={"paper": "winkler"})]).rows == []
    # What people think of first, whatever the spec's order.
    named = {"layers": layers, "sample_every": 1, "seed": 1, "optimisers": {"generator": {"learning_rate": 0.1}}}
    changed = {"layers": deeper, "sample_every": 2, "seed": 2, "optimisers": {"generator": {"learning_rate": 0.2}}}
    paths = [row.path for row in compare_specs([named, changed]).rows]
    assert paths == ["optimisers.generator.learning_rate", "seed", "layers", "sample_every"]


def test_best_is_the_highest_or_the_lowest_as_the_metric_means_it() -> None:
    def curve(*values: float) -> Curve:
        return Curve(name="", iterations=[100, 200, 300], values=list(values), total=3)

    names = ["eval/frechet_distance", "eval/classifier_score", "loss/generator"]
    runs = [dict.fromkeys(names, curve(5, 2, 4)), dict.fromkeys(names, curve(6, 3, float("nan")))]
    here = [dict.fromkeys(names, (200, 2.0)), dict.fromkeys(names, (200, 3.0))]
    frechet, score, loss = build_numbers(names, runs, here, [200, 200])
    assert [cell.is_best_here for cell in frechet.cells] == [True, False]
    assert [cell.best for cell in frechet.cells] == ["2.00 at 200", "3.00 at 200"]
    assert [cell.is_best for cell in score.cells] == [False, True]
    assert [cell.best for cell in score.cells] == ["5.00 at 100", "6.00 at 100"]
    assert [cell.is_best_here for cell in score.cells] == [False, True]
    assert not any(cell.is_best_here or cell.is_best or cell.best for cell in loss.cells)
    (tie,) = build_numbers(names[:1], [runs[0], runs[0]], [here[0], here[0]], [200, 200.9])
    assert not any(cell.is_best or cell.is_best_here for cell in tie.cells)
    assert [cell.of for cell in tie.cells] == ["", ""]


def test_a_value_of_an_earlier_iteration_says_of_which_it_is() -> None:
    points = [{"loss/generator": (1290, 1.5)}, {"loss/generator": (1300, 2.5)}, {}]
    (row,) = build_numbers(["loss/generator"], [{}, {}, {}], points, [1300, 1300, 1300])
    assert [(cell.here.text, cell.of) for cell in row.cells] == [("1.50", "1,290"), ("2.50", ""), ("–", "")]


def test_the_table_of_metrics_speaks_of_a_best_only_where_there_is_one(
    client: TestClient, worker: FakeWorker
) -> None:
    jobs = make_runs(worker, 2)
    heading = re.compile(r'Metrics <span class="quiet">([^<]*)<')
    assert heading.findall(read(client, address(jobs))) == ["at iteration 300"]
    worker.post({"kind": "metrics_logged", "iteration": 300, "values": {"eval/recall": 0.5}})
    said = "at iteration 300, and the best of each run where one value is better"
    assert heading.findall(read(client, address(jobs))) == [said]


def test_runs_of_the_same_name_are_told_apart_by_the_beginning_of_their_ids(
    client: TestClient, worker: FakeWorker
) -> None:
    jobs = [worker.submit(name=name) for name in ("same", "same", "other")]
    html = read(client, address(jobs))
    shown = [f"same ({jobs[0][:8]})", f"same ({jobs[1][:8]})", "other"]
    assert re.findall(r'<th scope="col">.*?<a [^>]*>([^<]*)<', html) == shown
    assert re.findall(r'data-name="([^"]*)"', html)[::2] == shown


def test_the_heading_of_a_compared_chart_explains_its_metric(client: TestClient, worker: FakeWorker) -> None:
    html = read(client, address(make_runs(worker, 2)))
    for player in ("generator", "discriminator"):
        chart = html.split(f'class="compare-chart of-{player}"')[1].split("</h3>")[0].replace("&#39;", "'")
        assert find_metric(f"loss/{player}").sentence in chart


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("eval/frechet_distance", "lower"),
        ("eval/test_errors", "lower"),
        ("eval/test_accuracy", "higher"),
        ("transfer/scratch_accuracy", "higher"),
        ("eval/class_coverage", "higher"),
        ("eval/certainty", ""),
        ("eval/class_shares_3", ""),
        ("eval/neighbour_distance", ""),
        ("loss/generator", ""),
        ("speed/iterations_per_second", ""),
    ],
)
def test_only_metrics_with_a_meaning_have_a_better_direction(metric: str, direction: str) -> None:
    assert find_metric(metric).better == direction


@pytest.mark.parametrize(
    ("threads", "words"),
    [
        ((1, 2), "Computed with 1 thread and 2 threads: on a CPU these runs are not identical"),
        ((2, 2), ""),
        ((None, 2), "Computed with an unrecorded number of threads and 2 threads"),
        ((None, None), ""),
    ],
)
def test_runs_of_equal_specs_and_other_numbers_of_threads_are_not_called_identical(
    client: TestClient,
    worker: FakeWorker,
    monkeypatch: pytest.MonkeyPatch,
    threads: tuple[int | None, ...],
    words: str,
) -> None:
    jobs = []
    for place, count in enumerate(threads):
        monkeypatch.setitem(PROVENANCE, "threads", count)
        jobs.append(worker.submit(name=f"run-{place}"))
        worker.claim()
        worker.train(100)
    html = read(client, address(jobs))
    assert "the specs are equal, seed included." in html
    assert ("not identical" in html) is bool(words)
    assert words in html
    assert ("cpu, 2 threads, 2 threads" in html) is (2 in threads)


def test_what_was_found_in_each_run_is_marked_on_the_axis_that_they_share(
    client: TestClient, worker: FakeWorker
) -> None:
    jobs = make_runs(worker, 2)
    found = {"rule": "mode_collapse", "since": 100, "severity": "serious", "text": "Collapsed", "evidence": {}}
    worker.post({"kind": "finding_reported", "iteration": 200, **found})
    worker.post({"kind": "metrics_logged", "iteration": 400, "values": {"signals/diversity": 0.5}})
    html = read(client, address(jobs, axis="images", metric="signals/diversity"))
    (marks,) = re.findall(r'<div class="marks" id="marks-diversity-of-samples">(.*?)</div>', html)
    # The axis is as long as the run is planned, 64,000 images; what lasts goes as far as the run itself has come.
    mark = r'tone-(\w+)" href="([^"]*)" aria-label="([^"]*)".*?x="([\d.]+)%" y="0" width="([\d.]+)%"'
    ((tone, href, text, start, width),) = re.findall(mark, marks)
    anchor = f"/runs/{jobs[1]}#finding-mode_collapse-100"
    assert (tone, href, text) == ("serious", anchor, "2 run-1: Collapsed since iteration 100")
    assert float(width) == pytest.approx(3 * float(start), abs=0.1)
    assert "Collapsed since iteration 100" in html.split("Verdict")[1].split("</tr>")[0]
    assert html.count('<line class="reference"') == 1


BY = "Evaluation metrics are of 64 samples each, by the digits classifier, version 1 (0123): 99.00% right."
REAL = " Real images: 64 held out, statistics 4567."


def make_judged_runs(worker: FakeWorker, *said: list[str]) -> list[str]:
    """Runs that logged a Fréchet distance, by what each of these sentences says."""
    jobs = []
    for place, texts in enumerate(said):
        jobs.append(worker.submit(name=f"run-{place}", seed=place))
        worker.claim()
        for text in texts:
            worker.post({"kind": "line_logged", "iteration": 0, "text": text, "about": "evaluation"})
        values = {"eval/frechet_distance": 5.0 + place, "eval/test_errors": 3.0 + place, "loss/generator": 1.0}
        worker.post({"kind": "metrics_logged", "iteration": 10, "values": values})
    return jobs


@pytest.mark.parametrize(
    "said",
    [
        ([BY], [BY.replace("64 samples", "128 samples")]),
        ([BY], [BY.replace("(0123)", "(89ab)")]),
        ([BY + REAL], [BY + REAL.replace("4567", "89ab")]),
        # A run that went on by another classifier, and one of which nothing is recorded.
        ([BY, BY.replace("(0123)", "(89ab)")], [BY]),
        ([BY], []),
    ],
    ids=["samples", "classifier", "real images", "changed", "unknown"],
)
def test_figures_of_different_extractors_are_never_compared(
    client: TestClient, worker: FakeWorker, said: tuple[list[str], ...]
) -> None:
    jobs = make_judged_runs(worker, *said)
    html = read(client, address(jobs, metric="eval/frechet_distance"))
    assert "Evaluation metrics are left out: they are by different extractors" in html
    assert "run-0: Evaluation metrics are of 64 samples" in html
    assert "Fréchet distance" not in html.replace("Fréchet distance of", "")
    # What needs no extractor stays.
    assert "Test errors" in html
    answer = client.get("/figures/curves.svg", params={"run": jobs, "metric": "eval/frechet_distance"})
    assert answer.status_code == 422
    assert "never compared" in answer.text


@pytest.mark.parametrize("said", [([BY], [BY]), ([BY], [BY + REAL]), ([], [])], ids=["same", "earlier", "none"])
def test_figures_of_one_extractor_are_compared(
    client: TestClient, worker: FakeWorker, said: tuple[list[str], ...]
) -> None:
    html = read(client, address(make_judged_runs(worker, *said)))
    assert "are left out" not in html
    assert "Fréchet distance" in html


def test_runs_are_also_compared_by_their_names(client: TestClient, worker: FakeWorker) -> None:
    first, second = make_runs(worker, 2)
    # The same run under two names is one.
    html = read(client, address(["run-0", second[:8], first]))
    assert iterations(html) == ["300", "300"]
    assert 'data-field="unknown"' not in html
    assert read(client, "/runs/run-1").count(f"/runs/{second}") > 0
    for page in ("/again", "/timeline.json", "/cells/1-1", "/export.html"):
        assert client.get(f"/runs/run-1{page}").status_code == 200, page
