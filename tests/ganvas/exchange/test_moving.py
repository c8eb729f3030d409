"""What docs/how-to/moving.md shows can be typed."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ganvas.cli import cli
from ganvas.exchange import sources
from ganvas.exchange.forms import FORMS, need_packages
from ganvas.exchange.outgoing.folders import ExportRefused
from ganvas.exchange.records import SourceUnreadable
from ganvas.exchange.sources import open_source
from tests.ganvas.exchange.reading import FILES

DOCS = (Path(__file__).parents[3] / "docs" / "how-to" / "moving.md").read_text(encoding="utf-8")
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


def test_a_plain_install_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = ("PIL", "google.protobuf", "google_crc32c", "numpy", "pyarrow", "tensorboard")
    script = f"import sys, ganvas.exchange.commands; print([n for n in {extra} if n in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"

    monkeypatch.setattr(sources, "_is_installed", lambda name: False)
    with pytest.raises(SourceUnreadable, match=r"google_crc32c.*pip install 'ganvas\[exchange\]'"):
        next(open_source(str(FILES / "tensorboard")))
    with pytest.raises(ExportRefused, match=r"pyarrow.*pip install 'ganvas\[exchange\]'"):
        need_packages("parquet")
    need_packages("csv")
