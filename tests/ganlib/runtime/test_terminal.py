"""Output in terminals that lack most letters, and into pipes that nobody reads."""

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ganlib.runtime.terminal import prepare_output, strip_controls


def open_terminal(monkeypatch: pytest.MonkeyPatch, encoding: str) -> io.BytesIO:
    """Return the bytes of a standard output in this encoding, from now on."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, write_through=True))
    return raw


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", b"-> 8x8 ... \\xe9 \\u03b2\n"),
        ("latin-1", b"-> 8\xd78 ... \xe9 \\u03b2\n"),
        ("cp1252", b"-> 8\xd78 \x85 \xe9 \\u03b2\n"),
        ("utf-8", "→ 8×8 … é β\n".encode()),
    ],
)
def test_any_terminal_shows_any_text(monkeypatch: pytest.MonkeyPatch, encoding: str, shown: bytes) -> None:
    written = open_terminal(monkeypatch, encoding)
    prepare_output()
    click.echo("→ 8×8 … é β")
    print("→ 8×8 … é β")
    assert written.getvalue() == shown * 2


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_control_without_the_preparation_a_text_ends_the_program(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    written = open_terminal(monkeypatch, encoding)
    # Half of a surrogate pair, as in the name of a file that is no UTF-8.
    with pytest.raises(UnicodeEncodeError):
        click.echo("→ \udcff")
    prepare_output()
    click.echo("→ \udcff")
    assert written.getvalue().endswith(b"\\udcff\n")


def test_a_line_from_elsewhere_steers_no_terminal() -> None:
    assert (
        strip_controls("a\tb\r\x1b]0;title\x07 größe \u202e\u200d")
        == "a\tb\\x0d\\x1b]0;title\\x07 größe \\u202e\u200d"
    )


CODE = """
from ganvas import cli
cli._run = lambda: print("a line that waits in a buffer")
{change}
cli.main()
"""


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ("", 141, ""),
        # Control: without the guard Python complains while it ends.
        ("cli.leave_closed_output = lambda: None", 120, "BrokenPipeError"),
    ],
)
def test_a_reader_that_leaves_ends_a_command_quietly(change: str, status: int, said: str) -> None:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", CODE.format(change=change)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        error = process.stderr.read().decode()
    assert process.returncode == status
    assert (said in error) if said else not error


CLOSED = """
import os
import sys

from ganvas import cli


def run():
    print("nobody")
    print("reads it", file=sys.stderr)
    # A file that is opened later does not take the place of a stream.
    assert os.open(__file__, os.O_RDONLY) > 2
    return 7


cli._run = run
cli.main()
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_output_that_the_caller_has_closed_is_written_nowhere(closed: str, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(CLOSED)
    command = f"{shlex.quote(sys.executable)} code.py {closed}"
    ended = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (7, False)
