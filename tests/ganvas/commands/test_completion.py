"""What a shell is offered, and where its script goes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from ganvas.cli import cli
from tests.conftest import LiveService
from tests.ganvas.conftest import RunCommand


def complete(*arguments: str) -> list[str]:
    """Offer what may come in the place of the last argument."""
    found = ShellComplete(cli, {}, "ganvas", "_GANVAS_COMPLETE").get_completions([*arguments[:-1]], arguments[-1])
    return [item.value for item in found]


def test_runs_are_completed_by_id_and_name(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_URL", live_service.url)
    job_id = ganvas("submit", tiny_spec, "--set", "name=my-gan").out.split()[0]
    ganvas("submit", tiny_spec, "--set", "name=two words")
    assert complete("show", "my") == ["my-gan"]
    assert complete("cancel", "my-gan", job_id[:6]) == [job_id]
    assert "two words" not in complete("watch", "")
    assert complete("diff", "my-gan", "my-") == ["my-gan"]
    # The script of this version quotes names.
    monkeypatch.setenv("_GANVAS_WHOLE_NAMES", "1")
    assert complete("watch", "two w") == ["two words"]


def test_nothing_is_offered_where_no_service_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("http://127.0.0.1:9", "http://["):
        monkeypatch.setenv("GANVAS_URL", url)
        assert complete("show", "my") == []


@pytest.mark.parametrize(
    ("arguments", "offered"),
    [
        (["wat"], ["watch"]),
        (["recipes", "winkler-mn"], ["winkler-mnist"]),
        (["submit", "winkler-mn"], ["winkler-mnist"]),
        (["submit", "--set", "optimisers.generator.lea"], ["optimisers.generator.learning_rate="]),
        (["list", "--sort", "losses.gen"], ["losses.generator"]),
        (["list", "--where", "eval/frechet"], ["eval/frechet_distance"]),
        (["list", "--state", "succ"], ["succeeded"]),
    ],
)
def test_commands_recipes_and_fields_are_completed(arguments: list[str], offered: list[str]) -> None:
    assert complete(*arguments) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_installed_once_and_printed_without_that(
    ganvas: RunCommand, shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    script = ganvas("completion", shell).out
    assert f"_GANVAS_COMPLETE={shell}_complete" in script
    assert list(tmp_path.iterdir()) == []
    start = tmp_path / f".{shell}rc"
    if shell != "fish":
        start.write_text("alias x=y")
    for _ in range(2):
        outcome = ganvas("completion", shell, "--install")
        assert (outcome.status, outcome.err) == (0, "")
    if shell == "fish":
        assert (tmp_path / ".config/fish/completions/ganvas.fish").read_text().strip() == script.strip()
        return
    path = tmp_path / f".local/share/ganvas/completion.{shell}"
    assert path.read_text().strip() == script.strip()
    assert start.read_text() == f'alias x=y\n[ -r "{path}" ] && . "{path}"  # completion of ganvas\n'


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_takes_the_script(ganvas: RunCommand, tmp_path: Path) -> None:
    path = tmp_path / "completion"
    path.write_text(ganvas("completion", "bash").out)
    shown = subprocess.run(
        ["bash", "--norc", "-c", f". {path} && complete -p ganvas"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip().endswith("ganvas")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "inserted"), [("two", r"two\ words"), ("two\\ w", r"two\ words"), ('"two', "two words")]
)
def test_bash_inserts_a_name_with_a_space_as_one_word(
    ganvas: RunCommand, tmp_path: Path, typed: str, inserted: str
) -> None:
    path, program = tmp_path / "completion", tmp_path / "ganvas"
    path.write_text(ganvas("completion", "bash").out)
    program.write_text("#!/bin/sh\n[ -n \"$_GANVAS_WHOLE_NAMES\" ] && echo 'plain,two words'\n")
    program.chmod(0o755)
    asked = f'COMP_WORDS=(ganvas show "$1") COMP_CWORD=2; _ganvas_completion {program}'
    asked += """; printf '%s|' "${COMPREPLY[@]}\""""
    shown = subprocess.run(
        ["bash", "--norc", "-c", f". {path} && {asked}", "bash", typed], capture_output=True, text=True, check=True
    )
    assert shown.stdout == f"{inserted}|"


OFFERS = """#!/bin/sh
case "$COMP_WORDS" in *two*) offered='two words' ;; *) offered=rate= ;; esac
case "$_GANVAS_COMPLETE$_GANVAS_WHOLE_NAMES" in
zsh_complete1) printf 'plain\\n%s\\n_\\n' "$offered" ;;
fish_complete1) printf 'plain,%s\\n' "$offered" ;;
*) printf '%s|' "$@" >> {ran} ;;
esac
"""


def write_offering(folder: Path, script: str) -> None:
    """Write the script, and a program that offers a field and a name with a space, and notes how it was called."""
    (folder / "completion").write_text(script)
    (folder / "ganvas").write_text(OFFERS.format(ran=folder / "ran"))
    (folder / "ganvas").chmod(0o755)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh_completes_a_name_with_a_space_and_a_field_whose_value_follows(
    ganvas: RunCommand, tmp_path: Path
) -> None:
    write_offering(tmp_path, ganvas("completion", "zsh").out)
    # A terminal of its own, in which the keys are pressed.
    typed = f"""
    zmodload zsh/zpty
    zpty shell zsh -f -i
    zpty -w shell 'path=({tmp_path} $path); source {tmp_path}/completion'
    zpty -w shell $'ganvas show two\\t'
    zpty -w shell $'ganvas submit --set rat\\t0.1'
    zpty -w shell exit
    while zpty -r shell line; do :; done
    """
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm"}
    subprocess.run(["zsh", "-f", "-c", typed], env=environment, check=True, timeout=30, capture_output=True)
    assert (tmp_path / "ran").read_text() == "show|two words|submit|--set|rate=0.1|"


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish_completes_names_with_a_space_and_fields(ganvas: RunCommand, tmp_path: Path) -> None:
    write_offering(tmp_path, ganvas("completion", "fish").out)
    asked = f"set -x PATH {tmp_path} $PATH; source {tmp_path}/completion"
    asked += "; complete -C 'ganvas show two'; complete -C 'ganvas submit --set rat'"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    shown = subprocess.run(
        ["fish", "--no-config", "-c", asked],
        env=environment,
        check=True,
        timeout=30,
        capture_output=True,
        text=True,
    )
    assert shown.stdout.split("\n") == ["two words", "rate=", ""]
