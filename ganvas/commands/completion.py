"""`ganvas completion`: lets bash, zsh or fish complete commands, options, runs, recipes and fields."""

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from ganlib.runtime.files import replace_text
from ganvas.commands.options import WHOLE_NAMES

PROGRAM, VARIABLE = "ganvas", "_GANVAS_COMPLETE"
_MARK = "# completion of ganvas"
# A name with a space, as the shell takes it for one word; inside an open quotation mark it is one already.
_BASH_PLAIN = "COMPREPLY+=($value)"
_BASH_QUOTED = """[[ ${COMP_WORDS[COMP_CWORD]} == [\\"\\']* ]] || printf -v value '%q' "$value"
            COMPREPLY+=("$value")
            [[ $value != *= ]] || compopt -o nospace 2> /dev/null"""
# The value of a field comes right after its equals sign; fish adds no space there by itself.
_ZSH_PLAIN = "compadd -U -V unsorted -a completions"
_ZSH_OPEN = """local -a open_ones=(${(M)completions:#*=}) whole_ones=(${completions:#*=})
        (( $#open_ones == 0 )) || compadd -U -V unsorted -S '' -a open_ones
        (( $#whole_ones == 0 )) || compadd -U -V unsorted -a whole_ones"""
# Without it zsh has no compdef, which click's script calls.
_ZSH_HEAD = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }\n"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.option("--install", is_flag=True, help="Write it where the shell finds it, instead of printing it.")
def completion_command(shell: str, install: bool) -> None:
    """Print the script that lets a SHELL complete commands, options, runs, recipes and fields.

    To have it from the next shell on: ganvas completion bash --install
    """
    script = build_script(shell)
    if not install:
        click.echo(script)
        return
    for path in install_script(shell, script):
        click.echo(f"wrote {path}")
    click.echo(f"Every new {shell} completes now.")


def build_script(shell: str) -> str:
    """Return the script of click for this shell."""
    from ganvas.cli import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"No completion for {shell}.")
    maker = kind(cli, {}, PROGRAM, VARIABLE)
    # Not `source`, which for bash starts one to ask for its version, and complains where there is none.
    text = maker.source_template % maker.source_vars()
    text = text.replace(f"{VARIABLE}=", f"{WHOLE_NAMES}=1 {VARIABLE}=")
    text = text.replace(_BASH_PLAIN, _BASH_QUOTED).replace(_ZSH_PLAIN, _ZSH_OPEN)
    text = text.replace('string split ","', 'string split -m 1 ","')
    return _ZSH_HEAD + text if shell == "zsh" else text


def install_script(shell: str, script: str) -> list[Path]:
    """Write the script, and the line that loads it at a shell's start; return the files that were changed."""
    if shell == "fish":
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        return [_write(base / "fish" / "completions" / f"{PROGRAM}.fish", script)]
    base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    path = _write(base / PROGRAM / f"completion.{shell}", script)
    zsh_home = Path(os.environ.get("ZDOTDIR") or Path.home())
    start = Path.home() / ".bashrc" if shell == "bash" else zsh_home / ".zshrc"
    text = start.read_text(encoding="utf-8") if start.exists() else ""
    if _MARK in text:
        return [path]
    end = "" if not text or text.endswith("\n") else "\n"
    with start.open("a", encoding="utf-8") as file:
        file.write(f'{end}[ -r "{path}" ] && . "{path}"  {_MARK}\n')
    return [path, start]


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, f"{text.rstrip()}\n")
    return path
