"""The documentation: its site builds, its links lead somewhere, its commands and code exist."""

import ast
import importlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
import yaml

from ganlib.spec.parse import parse_spec
from ganvas.cli import COMMANDS, cli

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"], key=lambda path: path.name)
_BLOCK = re.compile(r"^```(?P<kind>\w*)\n(?P<body>.*?)^```", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"^    ganvas .*$", re.MULTILINE)
_PLACEHOLDERS = ("FOLDER", "SPEC", "ID")


@pytest.fixture(scope="module")
def site() -> ModuleType:
    found = importlib.util.spec_from_file_location("build_site", ROOT / "docs" / "site" / "build.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def blocks(page: Path, *kinds: str) -> Iterator[str]:
    for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        if match["kind"] in kinds:
            yield match["body"]


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each `ganvas …` in shell lines, without comments, pipes and variables' values."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"\||&&|;|\$\(|\)", line):
            words = (
                shlex.split(part.strip(), comments=True) if part.count("'") % 2 == part.count('"') % 2 == 0 else []
            )
            if words[:1] == ["ganvas"]:
                yield words[1:]


def find_mistake(words: list[str]) -> str:
    """Return what is wrong with a command: a name or an option that there is not; nothing if it is right."""
    command: click.Command = cli
    context = click.Context(cli)
    position = 0
    while isinstance(command, click.Group) and position < len(words) and not words[position].startswith("-"):
        below = command.get_command(context, words[position])
        if below is None:
            return f"there is no command {' '.join(words[: position + 1])}"
        command, position = below, position + 1
    known = {name for option in command.get_params(context) for name in (*option.opts, *option.secondary_opts)}
    options = [word.partition("=")[0] for word in words[position:] if re.match(r"--?[A-Za-z]", word)]
    unknown = [option for option in options if option not in known]
    return f"{' '.join(words)}: no option {', '.join(unknown)}" if unknown else ""


def test_the_site_has_every_page_and_no_dead_link(site: ModuleType, tmp_path: Path) -> None:
    site.write_sources(tmp_path / "source")
    assert site.list_missing_pages(tmp_path / "source") == []
    assert site.list_dead_links(tmp_path / "source" / "pages") == []
    # The controls.
    page = tmp_path / "source" / "pages" / "index.md"
    page.write_text("[a](tutorial.md#nowhere) [b](none.md) [c](tutorial.md#3-read-the-verdict)", encoding="utf-8")
    assert len(site.list_dead_links(tmp_path / "source" / "pages")) == 2
    (tmp_path / "source" / "pages" / "lost.md").write_text("# Lost", encoding="utf-8")
    assert site.list_missing_pages(tmp_path / "source") == ["The navigation does not name lost.md."]


def test_the_reference_has_every_command_route_and_setting(site: ModuleType) -> None:
    assert all(f"## ganvas {name}\n" in site.write_commands() for name in COMMANDS)
    routes = site.write_routes()
    assert "## POST /jobs\n" in routes
    assert "## POST /runs\n" in routes
    assert "### RunOpen\n" in routes
    settings = site.write_settings()
    assert "| `GANVAS_PORT` | `DEFAULT_PORT` |" in settings
    assert "`GANVAS_WORKER_LABELS`" in settings
    assert "## ganvas.Client\n" in site.write_python()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_one(page: Path) -> None:
    text = "\n".join(
        [*blocks(page, "bash", "console", "sh"), *_INDENTED.findall(page.read_text(encoding="utf-8"))]
    )
    assert [mistake for words in commands(text) if (mistake := find_mistake(words))] == []


def test_a_command_that_is_none_is_found_out() -> None:
    given = [
        "ganvas submit x.yaml --set a=1",
        "ganvas sumbit x.yaml",
        "ganvas token create --scoop user",
        "X=$(ganvas lst)",
    ]
    mistakes = [find_mistake(words) for line in given for words in commands(line)]
    assert mistakes == [
        "",
        "there is no command sumbit",
        "token create --scoop user: no option --scoop",
        "there is no command lst",
    ]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "extending.md"], ids=lambda page: page.name
)
def test_the_python_of_a_page_compiles_and_imports_what_there_is(page: Path) -> None:
    for body in blocks(page, "python"):
        for node in ast.walk(ast.parse(body)):
            if (
                isinstance(node, ast.ImportFrom)
                and node.module
                and node.module.split(".")[0] in ("ganvas", "ganlib", "api")
            ):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ganvas":
                assert hasattr(importlib.import_module("ganvas"), node.attr), ast.unparse(node)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "extending.md"], ids=lambda page: page.name
)
def test_the_specs_of_a_page_are_valid(page: Path) -> None:
    for body in blocks(page, "yaml"):
        document = yaml.safe_load(body)
        if isinstance(document, dict) and {"name", "dataset", "generator"} <= set(document):
            parse_spec(document)
