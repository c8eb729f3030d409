"""Verdict and findings on the pages: worded, coloured by tone, marked along every axis, with what to try."""

import html
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient

import dashboard
from api.curves.schemas import Curve
from dashboard.charts.marks import Span, place_spans
from dashboard.run.findings import find_best
from ganlib.evaluation.diagnosis.advice import Advice
from ganlib.evaluation.diagnosis.rule import Rule
from ganlib.evaluation.diagnosis.rules import RULES
from tests.dashboard.new_run.test_form import parse_form
from tests.dashboard.run.test_curves import make_curve
from tests.dashboard.web.test_pages import SCRIPT, read, words
from tests.support.fake_worker import FakeWorker

ADVICE = Advice(
    "Slow the discriminator",
    "It learns too fast.",
    "Heusel 2017",
    {"optimisers.discriminator.learning_rate": 5e-05},
)
COLLAPSE = Rule(
    "mode_collapse",
    "Mode collapse",
    "serious",
    "All samples are alike.",
    "Kinds below a tenth of real images'.",
    2,
    lambda history: None,
    (lambda spec: ADVICE,),
)


@pytest.fixture(autouse=True)
def _one_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """This version knows one rule."""
    monkeypatch.setitem(RULES, "mode_collapse", COLLAPSE)


def begin(worker: FakeWorker, **signals: float) -> str:
    """Start a run that has drawn two grids and logged signals at iteration 400."""
    job = worker.submit()
    worker.claim()
    worker.save_grid(200)
    worker.save_grid(400)
    values = {f"signals/{name}": value for name, value in signals.items()}
    if values:
        worker.post({"kind": "metrics_logged", "iteration": 400, "values": values})
    return job


def find(worker: FakeWorker, rule: str = "mode_collapse", **changes: Any) -> None:
    """Report a finding."""
    fields = {
        "since": 200,
        "severity": "serious",
        "text": "Collapsed: 64 cells, 1 kind",
        "evidence": {"signals/kinds": 1.0},
    }
    worker.post({"kind": "finding_reported", "rule": rule, "iteration": 400, **fields, **changes})


def section(page: str, name: str) -> str:
    return page.split(f'<section id="{name}"')[1].split("</section>")[0]


def verdict_of(page: str) -> tuple[str, str]:
    """Return tone and words of the first verdict on a page."""
    found = re.search(r'data-field="verdict" data-tone="(\w+)">(.*?)</span>', page)
    assert found is not None
    return found[1], words(found[2]).strip()


@pytest.mark.parametrize(
    ("findings", "tone", "text"),
    [
        ([{}], "serious", "Collapsed since iteration 200: 64 cells, 1 kind"),
        ([{"severity": "warning"}], "warning", "Collapsed since iteration 200: 64 cells, 1 kind"),
        ([{"severity": "note", "text": "Slow"}], "note", "Slow since iteration 200"),
        ([{"ended": 250}], "good", "No fault now; Collapsed from iteration 200 to 250: 64 cells, 1 kind"),
        ([{"ended": 350}], "warning", "Just over; Collapsed from iteration 200 to 350: 64 cells, 1 kind"),
        ([], "good", "No fault found up to iteration 400"),
    ],
)
def test_the_verdict_leads_the_page_the_row_and_the_picture_of_a_run(
    client: TestClient, worker: FakeWorker, findings: list[dict[str, Any]], tone: str, text: str
) -> None:
    job = begin(worker, kinds=1.0)
    for finding in findings:
        find(worker, **finding)
    worker.finish("succeeded")
    for path in (f"/runs/{job}", "/", "/?view=gallery"):
        page = read(client, path)
        assert verdict_of(page) == (tone, text)
        assert "Succeeded" in words(page)
    # Good and bad ones have this state: its word has no colour of praise.
    style = (Path(dashboard.__file__).parent / "static/core/style.css").read_text()
    assert ".state-succeeded { color: var(--quiet); }" in style
    page = read(client, f"/runs/{job}")
    assert page.index(text.split(" since")[0]) < page.index("Progress") < page.index('id="timeline"')


def test_a_run_without_signals_and_findings_is_not_called_good(client: TestClient, worker: FakeWorker) -> None:
    job = begin(worker)
    assert verdict_of(read(client, f"/runs/{job}")) == ("unknown", "Not examined yet: no signals so far")
    page = read(client, f"/runs/{job}")
    assert "Found in this run" not in page
    assert 'class="mark ' not in page
    assert "Learning – Nothing that tells was measured so far." in words(page) or "The trainer loads" in words(
        page
    )
    assert 'id="best" class="quiet"></p>' in page


def test_a_finding_says_since_when_by_which_numbers_what_it_means_and_where_it_shows(
    client: TestClient, worker: FakeWorker
) -> None:
    job = begin(worker, kinds=1.0)
    find(worker, evidence={"signals/kinds": 1.0, "signals/diversity": "nan"})
    found = section(read(client, f"/runs/{job}"), "findings")
    shown = words(found)
    for part in (
        "Mode collapse",
        "Collapsed since iteration 200: 64 cells, 1 kind",
        "All samples are alike.",
        "Kinds of samples 1.00",
        "Diversity of samples not a number",
        "Cells at iteration 200",
        "Curves that show it",
        "Slow the discriminator",
        "It learns too fast. Heusel 2017",
        "optimisers.discriminator.learning_rate: 0.0002 → 5e-05",
        "Run again with this",
    ):
        assert part in shown, part
    assert "Count of samples that are left" in found
    assert 'href="/faults#mode_collapse"' in found
    assert f'href="/runs/{job}?iteration=200#timeline"' in found
    (curves,) = re.findall(rf'href="(/runs/{job}\?metric[^"]*)#chart"', found)
    assert re.findall(r'tr data-metric="([^"]*)"', section_of_chart(read(client, html.unescape(curves)))) == [
        "signals/kinds"
    ]


def section_of_chart(page: str) -> str:
    return page.split('<curve-chart id="chart"')[1].split("</curve-chart>")[0]


def test_a_rule_that_this_version_does_not_know_is_shown_by_its_name_in_words(
    client: TestClient, worker: FakeWorker
) -> None:
    job = begin(worker, kinds=1.0)
    find(worker, "colours_fade", text="Colours fade: contrast 0.1", severity="warning", evidence={})
    found = section(read(client, f"/runs/{job}"), "findings")
    assert "Colours fade Colours fade since iteration 200: contrast 0.1" in words(found)
    # Nothing is known of it: no meaning, no advice, no page, no curve.
    for absent in ("What to try", "/faults", "Curves that show", "<dl"):
        assert absent not in found, absent


def test_what_the_run_did_about_it_is_said(client: TestClient, worker: FakeWorker) -> None:
    job = begin(worker, kinds=1.0)
    worker.save_checkpoint(100)
    changes = {"optimisers.generator.learning_rate": 0.0001}
    find(worker, action="rollback", rolled_back_to=100, changes=changes, ended=300)
    find(worker, "divergence", action="stop")
    shown = words(section(read(client, f"/runs/{job}"), "findings"))
    assert (
        "went back to iteration 100, as its spec asks, with optimisers.generator.learning_rate: 0.0001." in shown
    )
    assert "The run was stopped for it, as its spec asks." in shown


def test_a_page_shows_the_first_hundred_findings_and_leads_to_all(client: TestClient, worker: FakeWorker) -> None:
    job = begin(worker, kinds=1.0)
    for since in range(101):
        find(worker, since=since)
    page = read(client, f"/runs/{job}")
    found = section(page, "findings")
    assert found.count('class="finding"') == 100
    assert f'href="/findings?job={job}"' in found
    assert client.get(f"/findings?job={job}&limit=200").json()["items"][100]["since"] == 0
    assert "100+" in words(page)


def test_texts_of_findings_are_never_markup(client: TestClient, worker: FakeWorker) -> None:
    job = begin(worker, kinds=1.0)
    find(
        worker,
        text=f"{SCRIPT}: {SCRIPT}",
        evidence={"any/thing": 1.0},
        action="rollback",
        rolled_back_to=1,
        changes={SCRIPT: SCRIPT},
    )
    for path in (f"/runs/{job}", "/", "/?view=gallery"):
        page = read(client, path)
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


def test_advice_opens_the_form_with_its_change_made_and_the_new_run_knows_where_it_came_from(
    client: TestClient, worker: FakeWorker
) -> None:
    job = begin(worker, kinds=1.0)
    find(worker)
    (address,) = re.findall(
        rf'href="(/runs/{job}/again\?[^"]*)"', section(read(client, f"/runs/{job}"), "findings")
    )
    assert parse_qs(urlsplit(html.unescape(address)).query) == {
        "set": ["optimisers.discriminator.learning_rate=5e-05"]
    }
    page = client.get(html.unescape(address), headers={"accept": "text/html"}).text
    assert "Changed already optimisers.discriminator.learning_rate 0.0002 → 5e-05" in words(page)
    form = parse_form(page)
    assert form["optimisers.discriminator.learning_rate"] == "5e-05"
    answer = client.post(f"/runs/{job}/again", data=form)
    made = client.get(answer.headers["location"].replace("/runs/", "/jobs/")).json()
    assert made["spec"]["optimisers"]["discriminator"]["learning_rate"] == 5e-05
    assert made["made_from"] == job


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("optimisers.discriminator.learning_rate=-1", "must be more than 0"),
        ("no.such.field=1", "there is no such field"),
        ("nonsense", "write path=value"),
        ("name=<script>alert(1)</script>", "name"),
    ],
)
def test_a_change_that_cannot_be_made_is_named_in_the_form(
    client: TestClient, worker: FakeWorker, change: str, said: str
) -> None:
    job = worker.submit()
    response = client.get(f"/runs/{job}/again", params={"set": change}, headers={"accept": "text/html"})
    assert response.status_code == 422
    assert said in words(response.text)
    assert "Changed already" not in response.text
    assert "<script>alert" not in response.text


def test_findings_are_marked_along_every_axis_in_their_colour_and_in_words(
    client: TestClient, worker: FakeWorker
) -> None:
    job = begin(worker, kinds=1.0, real_distance=0.5)
    find(worker, since=250)
    find(worker, "no_progress", since=100, ended=300, severity="warning", text="Learns no more")
    page = read(client, f"/runs/{job}")
    charts = re.findall(r'<div class="marks" id="marks-(?!timeline)[^"]*">(.*?)</div>', page)
    # The losses, and two signals.
    assert len(charts) == 3
    for marks in charts:
        assert re.findall(r'class="mark tone-(\w+)" href="#([^"]*)" aria-label="([^"]*)"', marks) == [
            ("serious", "finding-mode_collapse-250", "Collapsed since iteration 250: 64 cells, 1 kind"),
            ("warning", "finding-no_progress-100", "Learns no more from iteration 100 to 300"),
        ]
        # It lasts: to the end of an axis of 1,000 iterations. The other one has a lane of its own.
        assert re.findall(r'<rect x="([^"]*)" y="([^"]*)" width="([^"]*)"', marks) == [
            ("25.00%", "0", "75.00%"), ("10.00%", "9", "20.00%"),
        ]  # fmt: skip
    for anchor in ("finding-mode_collapse-250", "finding-no_progress-100"):
        assert f'<article id="{anchor}"' in page
    # The timeline stands on the axis of the curves; its marks select grids.
    (marks,) = re.findall(r'id="marks-timeline">(.*?)</div>', page)
    assert re.findall(
        r'tone-(\w+)".*?data-iteration="(\d+)".*?<rect x="([\d.]+)%" y="\d+" width="([\d.]+)%"', marks
    ) == [
        ("best", "400", "40.00", "0.60"),
        ("serious", "250", "25.00", "75.00"),
        ("warning", "100", "10.00", "20.00"),
    ]


def test_a_mark_beyond_its_axis_is_left_out_and_one_without_a_length_stays() -> None:
    spans = [
        Span("a", 5, 5, "note", "", ""),
        Span("b", 90, None, "note", "", ""),
        Span("a", 200, None, "note", "", ""),
    ]
    placed = place_spans(spans, 0, 100)
    assert [(each.x, each.width, each.y) for each in placed] == [
        ("5.00%", "0.60%", 0),
        ("90.00%", "10.00%", 9),
    ]


def curves(**values: dict[int, float]) -> list[Curve]:
    return [make_curve(name.replace("__", "/"), points) for name, points in values.items()]


@pytest.mark.parametrize(
    ("measured", "at", "text"),
    [
        (
            curves(eval__frechet_distance={100: 9.0, 200: 4.0, 300: 5.0}, signals__real_distance={100: 0.1}),
            200,
            "Fréchet distance 4.00, the lowest",
        ),
        (
            curves(eval__classifier_score={100: 2.0, 200: 6.0, 300: 6.0}, signals__real_distance={100: 0.1}),
            200,
            "Classifier score 6.00, the highest",
        ),
        (
            curves(signals__real_distance={100: 0.4, 200: float("nan"), 300: 0.2}),
            300,
            "Distance to real images 0.200, the lowest",
        ),
    ],
)
def test_the_best_iteration_is_judged_by_the_most_telling_metric(
    measured: list[Curve], at: int, text: str
) -> None:
    best = find_best("job", measured)
    assert best is not None
    assert (best.at, best.text) == (at, text)


def test_nothing_is_best_where_nothing_was_measured() -> None:
    assert find_best("job", curves(loss__generator={1: 1.0}, eval__recall={1: 1.0})) is None


def test_what_was_learnt_is_measured_and_not_judged(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    for iteration, distance in ((100, 0.61), (400, 0.04)):
        worker.post(
            {"kind": "metrics_logged", "iteration": iteration, "values": {"signals/real_distance": distance}}
        )
    shown = words(read(client, f"/runs/{job}"))
    assert "Learning 0.0400 Distance to real images ; 0.610 at iteration 100; real images get 0" in shown
