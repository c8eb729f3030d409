"""The page on which figures are made, as the server draws it."""

import re

import pytest
from fastapi.testclient import TestClient

from dashboard.figures import routes as figures_routes
from dashboard.figures.caption import escape
from tests.dashboard.web.test_pages import SCRIPT, read, words
from tests.support.fake_worker import FakeWorker


@pytest.fixture
def run(worker: FakeWorker) -> str:
    worker.submit(name="first-light")
    worker.claim()
    worker.train(300)
    return worker.job_id


def links(html: str) -> list[str]:
    return [
        href.replace("&amp;", "&")
        for href in re.findall(r'(?:href|src)="((?:/figures/|/runs/\w+/movie)[^"]+)"', html)
    ]


def test_an_empty_service_says_what_figures_are_made_of(client: TestClient) -> None:
    assert "No runs yet" in words(read(client, "/figures"))


def test_a_run_page_leads_to_its_figures(client: TestClient, run: str) -> None:
    assert f'href="/figures?run={run}"' in read(client, f"/runs/{run}")


def test_the_form_comes_back_as_it_was_filled_in_and_its_files_are_what_it_asks_for(
    client: TestClient, worker: FakeWorker, run: str
) -> None:
    other = worker.submit(name="other")
    html = read(
        client, f"/figures?kind=timelines&run={run}&iteration=100,+300&rows=2&columns=&dpi=600&label.{run}=ours"
    )
    assert f'value="{run}" checked' in html
    assert f'value="{other}" disabled>' in html
    assert 'name="iteration" value="100, 300"' in html
    files = links(html)
    query = f"run={run}&label.{run}=ours"
    assert f"/figures/timelines.pdf?{query}&dpi=600&rows=2&iteration=100,300" in files or all(
        part in files[0] for part in (f"run={run}", f"label.{run}=ours", "dpi=600", "rows=2", "iteration=100,300")
    )
    assert [re.match(r"[^?]+", file)[0] for file in files] == [  # type: ignore[index]
        "/figures/timelines.pdf", "/figures/timelines.svg", "/figures/timelines.png", "/figures/timelines.png"
    ]  # fmt: skip
    assert "dpi=110" in files[-1]


@pytest.mark.parametrize(("kind", "wants"), [("timelines", "grids"), ("movie", "grids"), ("curves", "curves")])
def test_runs_that_can_give_no_figure_stand_last_with_the_reason_and_cannot_be_chosen(
    client: TestClient, worker: FakeWorker, run: str, kind: str, wants: str
) -> None:
    waiting = worker.submit(name="waiting")
    client.post(f"/jobs/{worker.submit(name='ended')}/cancel")
    html = read(client, f"/figures?kind={kind}")
    shown = words(html)
    # The newest that can is shown at once.
    assert f'value="{run}" checked>' in html
    assert f'value="{waiting}" disabled>' in html
    assert html.index(run) < html.index(waiting)
    assert f"waiting no {wants} yet, " in shown
    assert f"ended it has no {wants}, " in shown
    # Whoever comes from its page can let it go.
    assert f'value="{waiting}" checked>' in read(client, f"/figures?kind={kind}&run={waiting}")


def test_many_runs_that_wait_hide_none_that_can_be_drawn(
    client: TestClient, worker: FakeWorker, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures_routes, "RUNS_TO_CHOOSE", 2)
    waiting = [worker.submit(name=f"waiting-{number}") for number in range(3)]
    html = read(client, "/figures")
    assert [job in html for job in (run, *waiting)] == [True, False, True, True]


@pytest.mark.parametrize(
    ("kind", "forms"),
    [("curves", ["pdf", "svg", "png", "csv"]), ("movie", ["mp4", "gif", "png"])],
)
def test_each_kind_has_its_files(client: TestClient, run: str, kind: str, forms: list[str]) -> None:
    html = read(client, f"/figures?kind={kind}&run={run}")
    offered = re.findall(r'href="[^"]+\.(\w+)(?:\?[^"]*)?" download', html)
    assert offered == forms
    assert "loss/generator" in html if kind == "curves" else True


def test_columns_are_chosen_by_pictures_and_a_caption_names_what_is_shown(
    client: TestClient, worker: FakeWorker, run: str
) -> None:
    html = read(client, "/figures")
    assert f"/figures/timelines.png?run={run}&amp;dpi=110" in html
    pictures = re.findall(r'<a href="([^"]*)" data-iteration="(\d+)"( aria-current="true")?', html)
    assert [(at, bool(chosen)) for _, at, chosen in pictures] == [("100", True), ("200", True), ("300", True)]
    without = read(client, pictures[1][0].replace("&amp;", "&"))
    assert re.findall(r'data-iteration="(\d+)" aria-current', without) == ["100", "300"]
    assert "iteration=100,300" in without
    shown = words(without)
    assert "Samples of first-light, columns are iterations 100 and 300. Data set: mnist." in shown
    assert r"\includegraphics[width=\linewidth]{first-light-timelines.pdf}" in shown
    # What follows a choice of none is none.
    chosen = read(client, "/figures?kind=timelines&labels=name").split('id="figure-runs"')[1].split("</ul>")[0]
    assert "checked" not in chosen


def test_curves_are_drawn_below_grids(client: TestClient, run: str) -> None:
    asked = "iteration=100,300&below=loss/generator,loss/discriminator"
    svg = client.get(f"/figures/timelines.svg?run={run}&{asked}").text
    texts = re.findall(r">([^<>]+)</t(?:ext|span)>", svg)
    assert {"Losses", "Generator loss", "Discriminator loss", "iteration"} <= {
        text.removeprefix("first-light, ") for text in texts
    }
    assert svg.count("<image") == 2
    page = read(client, f"/figures?run={run}&below=loss/genrator")
    assert "Did you mean loss/generator?" in words(page)
    assert 'name="below" value="loss/genrator"' in page


def test_a_run_that_ended_early_leaves_blank_cells(client: TestClient, worker: FakeWorker, run: str) -> None:
    worker.finish("failed", "out_of_memory", "Out of memory.")
    longer = worker.submit(name="a_b c")
    worker.claim()
    worker.train(500)
    html = words(read(client, f"/figures?run={run}&run={longer}&iteration=100,500"))
    assert "Blank cells: the run had ended." in html
    assert r"first-light and a\_b c; rows are runs" in html
    assert escape(r"50% & $x_1^2$ \n {~#}") == (
        r"50\% \& \$x\_1\textasciicircum{}2\$ \textbackslash{}n \{\textasciitilde{}\#\}"
    )
    svg = client.get(f"/figures/timelines.svg?run={run}&run={longer}&iteration=100,500").text
    assert "ended at 300" in " ".join(re.findall(r">([^<]*)</t(?:ext|span)>", svg))
    assert svg.count("<image") == 3
    # What still trains may come to it: its nearest earlier grid stands there, with its iteration.
    svg = client.get(f"/figures/timelines.svg?run={longer}&iteration=900").text
    assert "at 500" in svg
    assert svg.count("<image") == 1


def test_what_a_movie_leaves_out_is_said(client: TestClient, run: str) -> None:
    assert "A movie shows 2 of 3 grids, evenly spread." in words(
        read(client, f"/figures?kind=movie&run={run}&frames=2")
    )


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("dpi=5", "dpi: must be at least 50"),
        ("cells=9-9", "There is no cell 9-9"),
        ("run=gone", "One of the runs does not exist; it is left out."),
        ("iteration=10", "None of these runs has a grid at or before iteration 10."),
        ("iteration=x", "iteration: must be an integer (given: 'x')"),
    ],
)
def test_a_wrong_field_is_named_and_the_page_still_shown(
    client: TestClient, run: str, query: str, says: str
) -> None:
    assert says in words(read(client, f"/figures?run={run}&{query}")).replace("&#39;", "'")


def test_a_service_without_figures_says_so(client: TestClient, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures_routes, "missing_package", lambda *_: "matplotlib")
    html = read(client, f"/figures?run={run}")
    assert "installed without figures" in html
    assert links(html) == []


def test_script_in_the_address_is_shown_as_text(client: TestClient, run: str) -> None:
    html = read(client, f"/figures?run={run}&find={SCRIPT}&iteration={SCRIPT}&label.{run}={SCRIPT}&kind={SCRIPT}")
    assert SCRIPT not in html
    assert "&lt;script&gt;" in html


def test_what_was_chosen_stays_chosen_from_kind_to_kind(client: TestClient, worker: FakeWorker, run: str) -> None:
    worker.submit(name="other")
    worker.claim()
    worker.train(300)
    other = worker.job_id

    def lead(html: str, kind: str) -> str:
        (href,) = [h for h in re.findall(r'<a href="(/figures\?[^"]+)"', html) if f"kind={kind}&" in h]
        return read(client, href.replace("&amp;", "&"))

    def checked(html: str) -> list[str]:
        return re.findall(r'name="run" value="(\w+)" checked', html)

    asked = f"run={other}&run={run}&iteration=100&label.{run}=ours&metric=loss/generator&smoothing=0.5&fps=3"
    timelines = read(client, f"/figures?kind=timelines&{asked}")
    assert checked(timelines) == [other, run]
    assert 'name="smoothing" value="0.5"' in timelines
    movie = lead(timelines, "movie")
    assert checked(movie) == [other]
    assert 'name="fps" type="number" min="0.5" max="50" step="any" value="3"' in movie
    # The form of a movie names one run; the others are kept.
    assert re.findall(r'name="beside" value="(\w+)"', movie) == [other, run]
    movie = read(client, f"/figures?kind=movie&run={run}&beside={other}&beside={run}&iteration=100")
    assert checked(movie) == [run]
    assert f"/runs/{run}/movie.gif" in movie
    curves = lead(read(client, f"/figures?kind=movie&{asked}"), "curves")
    assert checked(curves) == [other, run]
    choice = 'value="{0}" data-player="{1}" aria-describedby="about-choice-{0}"'
    assert f"{choice.format('loss/generator', 'generator')} checked" in curves
    assert f"{choice.format('loss/discriminator', 'discriminator')}>" in curves
    back = lead(curves, "timelines")
    assert checked(back) == [other, run]
    assert 'name="iteration" value="100"' in back
    assert 'value="ours"' in back
