"""What docs/moving.md shows can be typed."""

import re
from pathlib import Path

import click
import pytest

from ganvas.cli import cli
from ganvas.exchange.forms import FORMS

DOCS = (Path(__file__).parents[3] / "docs" / "moving.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"ganvas (?:import|export) [^`\n#]*", DOCS)))


@pytest.mark.parametrize("text", COMMANDS)
def test_each_command_of_the_docs_is_understood(text: str) -> None:
    words = text.replace("…", "").replace("FORM DIR", "csv out").split()[1:]
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None
    command.make_context(words[0], words[1:])


def test_the_docs_name_every_form() -> None:
    assert [form for form in FORMS if f"| `{form}` |" not in DOCS] == []
    assert len(COMMANDS) >= 6
