"""Commands that take several runs, compare two, or write all of them into a table; by ids and by names."""

import csv
import io
import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from api.client.client import Client
from api.jobs.schemas import JobRead, LatestMetric
from ganlib.vocabulary import find_metric
from ganvas.cli import cli
from ganvas.commands.runs import show
from ganvas.commands.runs.diff import choose_better, render_metrics, say_change
from tests.conftest import LiveService
from tests.ganvas.conftest import RunCommand


@pytest.fixture
def ids(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Two queued runs, `first` and `second`, which differ in one rate."""
    monkeypatch.setenv("GANVAS_URL", live_service.url)
    rates = {"first": "0.001", "second": "0.0005"}
    return [
        ganvas(
            "submit", tiny_spec, "--set", f"name={name}", "--set", f"optimisers.generator.learning_rate={rate}"
        ).out.split()[0]
        for name, rate in rates.items()
    ]


def test_several_runs_are_shown_tagged_cancelled_and_deleted_at_once(ganvas: RunCommand, ids: list[str]) -> None:
    shown = ganvas("show", "first", ids[1][:9]).out
    assert all(f"({job_id})" in shown for job_id in ids)
    assert [job["id"] for job in json.loads(ganvas("show", *ids, "--json").out)["items"]] == ids
    assert ganvas("tag", "first", "second", "--add", "good", "--note", "x").out.splitlines() == [
        f"{ids[0]}  good", "x", f"{ids[1]}  good", "x",
    ]  # fmt: skip
    assert ganvas("cancel", "first", "second").out.split() == [ids[0], "cancelled", ids[1], "cancelled"]
    assert ganvas("delete", "first", "second").out.count("deleted") == 2


def test_what_one_run_refuses_keeps_no_other_from_it(ganvas: RunCommand, ids: list[str]) -> None:
    outcome = ganvas("cancel", "frist", "second")
    assert (outcome.status, outcome.out.split()) == (1, [ids[1], "cancelled"])
    assert outcome.err.startswith("frist: There is no such job")
    assert "did you mean first?" in outcome.err


@pytest.mark.parametrize("command", ["show", "cancel", "logs", "watch", "findings", "open", "retry"])
def test_a_misspelt_name_is_told_with_the_nearest_one(ganvas: RunCommand, ids: list[str], command: str) -> None:
    outcome = ganvas(command, "secnod")
    assert (outcome.status, "did you mean second?" in outcome.err) == (1, True), outcome.err


def test_a_name_of_several_runs_is_refused_with_their_ids_and_dates(
    ganvas: RunCommand, ids: list[str], tiny_spec: Path
) -> None:
    other = ganvas("submit", tiny_spec, "--set", "name=first").out.split()[0]
    error = ganvas("show", "first").err
    assert all(job_id in error for job_id in (ids[0], other))
    assert "UTC" in error


def test_the_list_is_searched_and_written_as_a_table_for_programs(ganvas: RunCommand, ids: list[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(ganvas("list", "--csv", "--sort", "name").out)))
    assert [(row["id"], row["optimisers.generator.learning_rate"]) for row in rows] == [
        (ids[0], "0.001"), (ids[1], "0.0005"),
    ]  # fmt: skip
    lines = ganvas("list", "--jsonl", "optimisers.generator.learning_rate<0.001").out.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["second"]
    assert ganvas("list", "first", "state:queued").out.count("queued") == 1
    assert "No such job" in ganvas("list", "state:failed").out
    assert ganvas("list", "--csv", "--json").status == 2


def test_two_runs_are_compared_in_words(ganvas: RunCommand, ids: list[str], live_service: LiveService) -> None:
    out = ganvas("diff", "first", "second").out
    line = next(line for line in out.splitlines() if line.startswith("optimisers.generator.learning_rate"))
    assert line.split(None, 3)[1:] == ["0.001", "0.0005", "B's is half"]
    assert "Neither has logged a metric." in out
    assert out.rstrip().endswith(f"{live_service.url}/compare?run={ids[0]}&run={ids[1]}")
    document = json.loads(ganvas("diff", *ids, "--json").out)
    assert document["fields"] == {"optimisers.generator.learning_rate": ["0.001", "0.0005"]}
    assert "the same" in ganvas("diff", ids[0], ids[0]).out


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (1, 2, "B's is double"), (3.0, 1.0, "B's is 1/3"), (1, 10, "B's is 10 times as much"),
        (None, 1, "only in B"), ([1], [], "B has 1 fewer"), ("a", "b", ""), (True, False, ""), (-1, 2, ""),
    ],
)  # fmt: skip
def test_a_change_is_put_into_words(before: object, after: object, words: str) -> None:
    assert say_change(before, after) == words


def test_the_page_is_opened_only_where_somebody_can_see_it(
    ganvas: RunCommand, ids: list[str], live_service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(show.click, "launch", opened.append)
    address = f"{live_service.url}/runs/{ids[0]}"
    assert (ganvas("open", "first").out.strip(), opened) == (address, [])
    monkeypatch.setattr(show, "has_browser", lambda: True)
    assert ganvas("open", "first").out.strip() == address
    assert ganvas("open", "--print").out.strip() == live_service.url
    assert ganvas("open", "--print", *ids).out.split() == [f"{live_service.url}/runs/{run}" for run in ids]
    assert opened == [address]


def test_logs_of_several_runs_say_whose_they_are(
    ganvas: RunCommand, ids: list[str], live_service: LiveService
) -> None:
    with Client(live_service.url) as client:
        client.cancel("first")
    outcome = ganvas("logs", "first", "nope", "second")
    out = outcome.out
    assert (outcome.status, "nope: There is no such job" in outcome.err) == (1, True)
    assert out.startswith("first  20")
    assert "Cancelled while waiting" in out


def test_figures_of_different_judges_are_not_ranked() -> None:
    def make(value: float, extractor: str) -> JobRead:
        latest = {"eval/frechet_distance": LatestMetric(iteration=1, value=value)}
        return JobRead.model_construct(latest=latest, spec={"evaluation": {"extractor": extractor}})

    metric = find_metric("eval/frechet_distance")
    assert choose_better(metric, make(3.0, "own"), make(2.0, "own")) == "B"
    assert choose_better(metric, make(2.0, "own"), make(3.0, "own")) == "A"
    assert choose_better(metric, make(3.0, "own"), make(2.0, "inception")) == ""
    assert choose_better(metric, make(float("nan"), "own"), make(2.0, "own")) == ""


def test_each_metric_of_a_comparison_is_put_into_words() -> None:
    def make(iteration: int, distance: float, **latest: float) -> JobRead:
        values = {"eval/frechet_distance": distance, "loss/generator": 2.0 * distance} | latest
        points = {name: LatestMetric(iteration=iteration, value=value) for name, value in values.items()}
        return JobRead.model_construct(latest=points, spec={"dataset": "mnist"}, iteration=iteration)

    words = {
        line.split()[0]: line.split(None, 3)[3]
        for line in click.unstyle(render_metrics(make(900, 1.0), make(1000, 3.0))).splitlines()
    }
    at = " (A at iteration 900, B at 1,000)"
    assert words["eval/frechet_distance"] == f"A is better: lower{at}"
    assert words["loss/generator"] == f"B's is 3 times as much; neither way is better{at}"
    assert words["A"].startswith("iteration 900, B at 1,000: compare")
    other = click.unstyle(render_metrics(make(900, 1.0), make(900, 1.0, mine=1.0)))
    assert ("the same" in other, "only in B" in other, "A is at" in other) == (True, True, False)


def test_colours_are_for_terminals_and_left_out_where_asked(
    ganvas: RunCommand, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = CliRunner().invoke(cli, ["list"], color=True).output
    assert "\x1b[" in shown
    assert "\x1b[" not in ganvas("list").out
    monkeypatch.setenv("NO_COLOR", "1")
    plain = CliRunner().invoke(cli, ["list"], color=True).output
    assert plain == click.unstyle(shown)
    # Columns stand below each other in both.
    heading, *rows = plain.splitlines()
    assert {row.index("queued") for row in rows} == {heading.index("state")}
