"""docs/how-to/extending.md: what it tells to add is enough, and trains."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
import yaml

from ganlib.errors import SpecInvalid
from ganlib.spec.parse import parse_spec

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "how-to" / "extending.md").read_text(encoding="utf-8")
EXAMPLES = ("An architecture", "A loss", "A technique", "An evaluation metric")
# The same part twice: as a control, its test alone.
PAGE_WITHOUT, PAGE_WITH = "A page, without its folder and its line", "A page"
_BLOCK = re.compile(
    r"`(?P<path>[^`\n]+\.(?:py|yaml|html))`[^`\n]*:\n\n```(?P<kind>\w+)\n(?P<body>.*?)```", re.DOTALL
)
_COMMAND = re.compile(r"^    ganvas (.+)$", re.MULTILINE)


def part_of(heading: str) -> str:
    return PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]


def blocks_of(heading: str) -> list[tuple[str, str, str]]:
    """Return path, kind and body of each of a part's code blocks."""
    found = [(match["path"], match["kind"], match["body"]) for match in _BLOCK.finditer(part_of(heading))]
    assert len(found) == part_of(heading).count("```") // 2, "a code block of the page names no file"
    return found


# Loads what is not ours once, as that takes longest, and forks for each example, which finds its own packages.
# Argument: a JSON list of {folder, tests, command}, the last may be empty. Prints the exit statuses.
TEST_AND_TRAIN = """
import json
import os
import sys
import traceback

import alembic.command
import celery
import fastapi.testclient
import pytest
import sklearn.datasets
import sqlalchemy.orm
import torch._dynamo
import torchvision


def run(folder, tests, command):
    os.chdir(folder)
    output = os.open("output.txt", os.O_CREAT | os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.path.insert(0, folder)
    import ganlib

    print(ganlib.__file__, flush=True)
    if tests and (status := pytest.main(["-q", "-p", "no:cacheprovider", *tests])):
        sys.exit(f"the example's tests ended with status {int(status)}")
    if command:
        from ganvas.cli import main

        sys.argv = ["ganvas", *command]
        main()


statuses = []
for example in json.loads(sys.argv[1]):
    pid = os.fork()
    if not pid:
        status = 1
        try:
            run(**example)
            status = 0
        except SystemExit as ended:
            print(ended.code, flush=True)
            status = 0 if ended.code in (0, None) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(json.dumps(statuses))
"""


def add_to(folder: Path, heading: str) -> None:
    """Do to the copy of the package what this part of the page says."""
    for path, kind, body in blocks_of(heading):
        file = folder / path
        if kind == "diff":
            file.write_text(apply_diff(file.read_text(encoding="utf-8"), body), encoding="utf-8")
        else:
            assert not file.exists(), f"{path} is there already"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(body, encoding="utf-8")


def apply_diff(text: str, diff: str) -> str:
    """Insert the lines that begin with + where the others stand; `@@` parts the places."""
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines()
        assert all(line[:1] in ("+", " ") for line in lines)
        before = "".join(f"{line[1:]}\n" for line in lines if line[0] == " ")
        assert text.count(before) == 1, f"not once in the file:\n{before}"
        text = text.replace(before, "".join(f"{line[1:]}\n" for line in lines))
    return text


def add_tests_alone(folder: Path, heading: str) -> None:
    """Write the tests of this part into the copy, and nothing of what they are for."""
    for path, _, body in blocks_of(heading):
        if path.startswith("tests/"):
            (folder / path).parent.mkdir(parents=True)
            (folder / path).write_text(body, encoding="utf-8")


def copy_packages(folder: Path) -> None:
    """Copy all that is installed to a folder."""
    for package in ("api", "dashboard", "ganlib", "ganvas", "recipes", "worker"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))


def run_examples(folder: Path, orders: list[dict[str, Any]]) -> list[int]:
    """Test and train all of them, with their own packages before the installed ones; returns the exit statuses."""
    plain = {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": ""}
    outcome = subprocess.run(
        [sys.executable, "-c", TEST_AND_TRAIN, json.dumps(orders)],
        cwd=folder,
        env=os.environ | plain,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    statuses: list[int] = json.loads(outcome.stdout.splitlines()[-1])
    return statuses


@dataclass(frozen=True)
class Example:
    """A part of the page, done in a copy of the packages, and how its tests and its command ended there."""

    folder: Path
    command: list[str]
    status: int
    output: str


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Example]:
    """Do what each part says in a copy of its own; keys are the headings."""
    orders: dict[str, dict[str, Any]] = {}
    for heading in (*EXAMPLES, PAGE_WITHOUT, PAGE_WITH):
        part = heading.partition(",")[0]
        folder = tmp_path_factory.mktemp("copy")
        copy_packages(folder)
        (add_tests_alone if heading == PAGE_WITHOUT else add_to)(folder, part)
        tests = [path for path, _, _ in blocks_of(part) if path.startswith("tests/")]
        (command,) = _COMMAND.findall(part_of(part)) if heading in EXAMPLES else [""]
        orders[heading] = {"folder": str(folder), "tests": tests, "command": command.split()}
    statuses = run_examples(tmp_path_factory.mktemp("empty"), list(orders.values()))
    return {
        heading: Example(
            folder := Path(order["folder"]),
            order["command"],
            status,
            (folder / "output.txt").read_text(encoding="utf-8"),
        )
        for (heading, order), status in zip(orders.items(), statuses, strict=True)
    }


@pytest.mark.parametrize("heading", EXAMPLES)
def test_an_example_of_the_page_is_whole_and_trains_by_its_name(
    examples: dict[str, Example], heading: str
) -> None:
    example = examples[heading]
    assert example.output.splitlines()[:1] == [str(example.folder / "ganlib/__init__.py")], example.output
    assert example.status == 0, example.output
    told = (example.folder / example.command[-1] / "events.jsonl").read_text(encoding="utf-8")
    events = [json.loads(line) for line in told.splitlines()]
    assert events[-1]["reason"] == "completed"
    logged = [event["values"] for event in events if event["kind"] == "metrics_logged"]
    losses = [values["loss/generator"] for values in logged if "loss/generator" in values]
    assert losses
    assert all(isfinite(loss) for loss in losses)
    evaluated = [name for values in logged for name in values if name.startswith("eval/")]
    assert evaluated == (["eval/pixel_spread"] * 2 if heading == "An evaluation metric" else [])


@pytest.mark.parametrize("heading", EXAMPLES)
def test_without_the_pages_lines_its_spec_is_refused(heading: str) -> None:
    """The control: none of the names is known before."""
    (spec,) = [yaml.safe_load(body) for path, kind, body in blocks_of(heading) if kind == "yaml"]
    with pytest.raises(SpecInvalid, match=r"is not known; allowed|no preset is named"):
        parse_spec(spec)


def test_the_page_of_the_example_opens_with_its_folder_and_its_line(examples: dict[str, Example]) -> None:
    without, opened = examples[PAGE_WITHOUT], examples[PAGE_WITH]
    assert without.status != 0
    assert "assert 404 == 200" in without.output, "the control: without them there is no such page"
    for example in (without, opened):
        assert example.output.splitlines()[:1] == [str(example.folder / "ganlib/__init__.py")], example.output
    assert opened.status == 0, opened.output
    changed = {path for path, kind, _ in blocks_of("A page") if kind == "diff"}
    assert changed == {"dashboard/pages.py"}, "a page is registered nowhere else"


@pytest.mark.parametrize(
    ("heading", "changed"),
    [
        ("An architecture", {"ganlib/spec/presets/__init__.py"}),
        ("A loss", {"ganlib/losses/adversarial.py", "ganlib/spec/sections/losses.py"}),
        ("A technique", set()),
    ],
)
def test_an_example_changes_no_other_file(heading: str, changed: set[str]) -> None:
    assert {path for path, kind, _ in blocks_of(heading) if kind == "diff"} == changed


def test_lines_that_fit_nowhere_are_found_out() -> None:
    with pytest.raises(AssertionError, match="not once in the file"):
        apply_diff("a = 1\n", " b = 1\n+c = 1\n")
    assert apply_diff("a\nb\n", " a\n+x\n@@\n+y\n b\n") == "a\nx\ny\nb\n"
