"""`ganvas validate` and the recipes that ship."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.ganvas.conftest import TINY_SPEC, RunCommand
from tests.support.pictures import RED, picture_bytes, write_files

AUTHOR_AND_YEAR = re.compile(r"^# .*\b[A-Z]\w+.*\b(19|20)\d\d\b", re.MULTILINE)
RECIPES = sorted((Path(__file__).parents[4] / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_valid_and_cites_its_source(ganvas: RunCommand, recipe: Path) -> None:
    assert ganvas("validate", recipe).status == 0
    header = recipe.read_text(encoding="utf-8").split("name:")[0]
    assert all(line.startswith("#") for line in header.splitlines() if line)
    assert AUTHOR_AND_YEAR.search(header)


def test_shapes_of_the_thesis_stand_in_the_table(ganvas: RunCommand) -> None:
    table = ganvas("validate", RECIPES[0].parent / "winkler-mnist.yaml").out
    shapes = ["32×24×24", "32×12×12", "64×8×8", "64×4×4", "1024"]
    assert [shape in table for shape in shapes] == [True] * len(shapes)


def test_json_holds_every_default(ganvas: RunCommand, tiny_spec: Path) -> None:
    spec = json.loads(ganvas("validate", tiny_spec, "--json").out)
    assert spec["losses"] == {"discriminator": "minimax", "generator": "non_saturating", "classes": None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: [", "line 1, column 7: this is not YAML: the list that begins here is not closed"),
        ("- a\n- b\n", "a spec is a mapping"),
        ("", "a spec is a mapping"),
    ],
)
def test_file_that_is_no_spec_is_refused(ganvas: RunCommand, tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    outcome = ganvas("validate", path)
    assert (outcome.status, expected in outcome.err) == (1, True)


@pytest.mark.parametrize("name", ["winkler-mnist", "recipes/winkler-mnist.yaml"])
def test_a_recipe_that_ships_needs_no_file_and_gives_way_to_one(
    ganvas: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = json.loads(ganvas("validate", name, "--json", "--set", "iterations=7").out)
    assert (shipped["name"], shipped["iterations"]) == ("winkler-mnist", 7)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text((RECIPES[0].parent / "lsgan-mnist.yaml").read_text(encoding="utf-8"))
    assert json.loads(ganvas("validate", name, "--json").out)["name"] == "lsgan-mnist"


def test_missing_file_is_named(ganvas: RunCommand, tmp_path: Path) -> None:
    outcome = ganvas("validate", tmp_path / "absent.yaml")
    assert (outcome.status, "absent.yaml" in outcome.err) == (1, True)
    assert "did you mean the recipe winkler-mnist?" in ganvas("validate", "winkler-mnits").err


def test_checking_and_submitting_need_neither_torch_nor_the_service() -> None:
    # What each command imports, seen in a process of its own.
    code = (
        "import sys, ganvas.cli, ganvas.commands.specs.training, ganvas.commands.specs.recipes;"
        "import ganvas.commands.specs.submit, ganvas.commands.runs.show, ganvas.commands.runs.listing;"
        "import ganvas.commands.runs.changes, ganvas.commands.runs.diff, ganvas.commands.runs.watch;"
        "import ganvas.commands.completion, ganvas.commands.agents.command;"
        "heavy = ('torch', 'fastapi', 'sqlalchemy', 'celery', 'jinja2', 'PIL', 'mcp', 'numpy');"
        "print([name for name in heavy if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_help_names_every_command_and_stays_light(ganvas: RunCommand) -> None:
    out = ganvas("--help").out
    names = ("demo", "up", "worker", "submit", "list", "show", "logs", "cancel", "validate", "train")
    assert [name for name in names if f"  {name} " not in out] == []


def test_mistyped_command_is_a_usage_error(ganvas: RunCommand) -> None:
    outcome = ganvas("sumbit")
    assert (outcome.status, "No such command 'sumbit'; did you mean submit?" in outcome.err) == (2, True)
    assert "did you mean create?" in ganvas("token", "craete").err
    assert "--json" in ganvas("list", "--jsn").err
    assert "--help` lists them" in ganvas("xyzzy").err


def test_doubled_field_is_refused(ganvas: RunCommand, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("iterations: 50\niterations: 70\n", encoding="utf-8")
    outcome = ganvas("validate", path)
    assert (outcome.status, "'iterations' is given twice" in outcome.err) == (1, True)


@pytest.mark.parametrize(("iterations", "every", "grids"), [(20, 10, 3), (25, 10, 4), (7, 1, 8), (5, 10, 2)])
def test_grids_are_counted_as_they_are_made(
    ganvas: RunCommand, tiny_spec: Path, iterations: int, every: int, grids: int
) -> None:
    changes = ("--set", f"iterations={iterations}", "--set", f"sample_every={every}")
    assert f"\n{grids} sample grids" in ganvas("validate", tiny_spec, *changes).out


@pytest.fixture
def folder_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec on the folder `set`; the data folder holds nothing yet."""
    monkeypatch.setenv("GANVAS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "spec.yaml"
    dataset = {"name": "folder", "path": "set", "size": 8, "colour": "grey", "classes": 3}
    path.write_text(yaml.safe_dump(TINY_SPEC | {"dataset": dataset}), encoding="utf-8")
    return path


def test_a_folder_of_images_is_looked_into_and_what_is_left_out_is_named(
    ganvas: RunCommand, folder_spec: Path
) -> None:
    files = {
        f"{part}/{name}/{index}.png": picture_bytes(RED)
        for part in ("train", "test")
        for name in "ab"
        for index in (1, 2)
    }
    others = {"train/a/3.png": b"text", "test/b/5.png": b"", "train/b/4.heic": b"x", "notes.txt": b"x"}
    write_files(folder_spec.parent / "data" / "set", files | others)
    outcome = ganvas("validate", folder_spec)
    assert outcome.status == 0
    assert outcome.out.rpartition("\ndata")[2].split("\n") == [
        "  4 images to train on; 2 classes: a (2), b (2)",
        "      4 images to test on",
        "      warning: the spec counts on 3 classes; set dataset.classes to 2",
        "      warning: 1 of 11 image files in set is left out, of a kind that cannot be read (convert it to PNG "
        "or JPEG): train/b/4.heic",
        "      warning: 1 of 11 image files in set is left out, damaged, or no image: train/a/3.png",
        "      warning: 1 of 11 image files in set is left out, damaged, or no image: test/b/5.png",
        "      set is divided by its folders: train (5 images) is trained on, "
        "test (5 images) is held out for tests.",
        "      1 other file in set is left out, no image: notes.txt",
        "",
    ]


def test_a_folder_that_is_not_here_is_said_not_to_be_looked_into(ganvas: RunCommand, folder_spec: Path) -> None:
    outcome = ganvas("validate", folder_spec)
    assert (outcome.status, "data  set is not on this machine" in outcome.out) == (0, True)
    assert "did you mean" not in outcome.out
    write_files(folder_spec.parent / "data" / "sets", {"1.png": b""})
    assert "did you mean sets?" in ganvas("validate", folder_spec).out


def test_a_folder_that_cannot_be_trained_on_is_an_error(ganvas: RunCommand, folder_spec: Path) -> None:
    write_files(folder_spec.parent / "data" / "set", {"test/1.png": b"", "cats/1.png": b""})
    outcome = ganvas("validate", folder_spec)
    assert (outcome.status, "set holds test beside cats, and no folder train" in outcome.err) == (1, True)
