"""`ganvas recipes`: the list, and one of them."""

import json
from pathlib import Path

import pytest

from ganlib.spec.parse import parse_spec
from tests.ganvas.conftest import RunCommand

RECIPES = Path(__file__).parents[4] / "recipes"


def test_each_recipe_is_listed_with_source_outcome_and_cost(ganvas: RunCommand) -> None:
    out = ganvas("recipes", "--long").out
    blocks = {block.splitlines()[0]: block for block in out.strip().split("\n\n")}
    assert list(blocks) == [f"recipes/{path.name}" for path in sorted(RECIPES.glob("*.yaml"))]
    winkler = blocks["recipes/winkler-mnist.yaml"]
    assert "    paper     Winkler (2018), thesis on generative adversarial networks, section\n" in winkler
    assert winkler.splitlines()[2] == " " * 14 + "4.7.5"
    assert "Weaver, Robot vs. Robot, ratio 2:1\n" in blocks["recipes/weaver-emoji.yaml"]
    assert "    expected  Readable digits" in winkler
    assert "3,000 iterations on one CPU core" in winkler


def test_the_list_fits_a_terminal_of_80_columns(ganvas: RunCommand) -> None:
    for form in ([], ["--long"]):
        assert max(len(line) for line in ganvas("recipes", *form).out.splitlines()) <= 80


def read_names(out: str) -> list[str]:
    return [line.split()[0] for line in out.splitlines()[1:-2]]


def test_the_table_has_a_line_for_each_and_says_what_it_costs(ganvas: RunCommand) -> None:
    heading, *rows = ganvas("recipes").out.splitlines()
    assert heading.split() == ["name", "dataset", "cost", "paper"]
    assert read_names("\n".join([heading, *rows])) == [path.stem for path in sorted(RECIPES.glob("*.yaml"))]
    assert next(row for row in rows if row.startswith("first-light")).split()[:4] == [
        "first-light", "mnist", "4", "min",
    ]  # fmt: skip


def test_the_table_is_filtered_by_data_length_fault_and_text(ganvas: RunCommand) -> None:
    assert read_names(ganvas("recipes", "--fault", "mode_collapse").out) == ["fault-mode-collapse"]
    faults = read_names(ganvas("recipes", "--fault", "--under", "1min").out)
    assert len(faults) > 5
    assert all(name.startswith("fault-") for name in faults)
    assert read_names(ganvas("recipes", "weaver").out) == [
        "weaver-emoji-4-1", "weaver-emoji-50-1", "weaver-emoji-ada", "weaver-emoji-lecam", "weaver-emoji",
    ]  # fmt: skip
    assert "winkler-mnist" not in read_names(ganvas("recipes", "winkler", "--dataset", "cifar10").out)
    assert len(json.loads(ganvas("recipes", "--under", "30s", "--json").out)["items"]) < 20
    assert "No recipe is like this" in ganvas("recipes", "weaver", "--fault").out


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--fault", "mode_colapse", "did you mean mode_collapse?"), ("--dataset", "mnsit", "did you mean mnist?"),
        ("--dataset", "zzz", "there are: "), ("--under", "soon", "write 90s, 5min or 2h"),
    ],
)  # fmt: skip
def test_a_filter_that_names_nothing_says_what_there_is(
    ganvas: RunCommand, option: str, value: str, words: str
) -> None:
    outcome = ganvas("recipes", option, value)
    assert (outcome.status, words in outcome.err) == (2, True), outcome.err


def test_the_list_as_json_holds_each_spec_as_the_service_takes_it(ganvas: RunCommand) -> None:
    listed = json.loads(ganvas("recipes", "--json").out)
    assert [item["file"] for item in listed["items"]] == [path.name for path in sorted(RECIPES.glob("*.yaml"))]
    for item in listed["items"]:
        spec = {key: value for key, value in item.items() if key != "file"}
        assert parse_spec(spec).model_dump(mode="json") == spec


@pytest.mark.parametrize("name", ["winkler-mnist", "winkler-mnist.yaml", "recipes/winkler-mnist.yaml"])
def test_one_recipe_is_shown_whole_with_its_header(ganvas: RunCommand, name: str) -> None:
    assert ganvas("recipes", name).out == (RECIPES / "winkler-mnist.yaml").read_text(encoding="utf-8")


def test_one_recipe_as_json_is_its_spec_with_every_default(ganvas: RunCommand) -> None:
    shown = json.loads(ganvas("recipes", "winkler-mnist", "--json").out)
    assert (shown["file"], shown["name"], shown["discriminator_steps"]) == (
        "winkler-mnist.yaml",
        "winkler-mnist",
        1,
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("winkler-mnits", "did you mean winkler-mnist"),
        ("zzz", "`ganvas recipes` lists them"),
        ("../pyproject", "No"),
    ],
)
def test_an_unknown_recipe_is_a_usage_error_that_helps(ganvas: RunCommand, name: str, words: str) -> None:
    outcome = ganvas("recipes", name)
    assert (outcome.status, words in outcome.err) == (2, True), outcome.err
