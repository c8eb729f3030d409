"""Processes that end in many ways, and what is written down of it; without a sender."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ganvas.tracking.folder import RunFolder

ROOT = Path(__file__).parents[3]
BEGIN = """
import multiprocessing, os, sys, threading
from ganvas.tracking.endings import ENDINGS, ExitNotes
from ganvas.tracking.folder import RunFolder
from ganvas.tracking.run import Run
from ganvas.tracking.writer import RunWriter

def begin():
    run = Run("my gan", "abcdefgh", RunWriter(RunFolder.create(sys.argv[1], {"name": "my gan"}), print))
    run.on_close = lambda: ENDINGS.forget(run)
    ENDINGS.watch(run)
    return run

def caught():
    try:
        sys.exit(3)
    except SystemExit:
        pass

def in_child(last):
    def work():
        run = begin()
        exec(last)
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join()

"""
SUCCEEDED = ("succeeded", None)
ENDS: dict[str, tuple[str, str | None]] = {
    "begin()": SUCCEEDED,
    "begin(); raise SystemExit": SUCCEEDED,
    # As of a main that returns nothing.
    "begin(); raise SystemExit(ENDINGS.forget(None))": SUCCEEDED,
    "begin(); caught()": SUCCEEDED,
    "begin(); t = threading.Thread(target=sys.exit, args=(3,)); t.start(); t.join()": SUCCEEDED,
    "begin(); sys.exit(3)": ("failed", "The script exited with status 3."),
    "begin(); quit(4)": ("failed", "The script exited with status 4."),
    "begin(); raise SystemExit(5)": ("failed", "The script exited with status 5."),
    "begin(); sys.exit('no images')": ("failed", "The script exited: no images"),
    "begin(); raise KeyboardInterrupt": ("cancelled", "Stopped by Ctrl-C."),
    # A forked child of multiprocessing runs nothing at its exit.
    "in_child('')": SUCCEEDED,
    "in_child('sys.exit(6)')": ("failed", "The script exited with status 6."),
    # The control: without the notes nobody sees the status.
    "ExitNotes.install = lambda self: None; begin(); sys.exit(3)": SUCCEEDED,
}


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Any]]:
    """Run all scripts at once."""
    home, started = tmp_path_factory.mktemp("ends"), {}
    for number, script in enumerate(ENDS):
        file, folder = home / f"{number}.py", home / str(number)
        file.write_text(BEGIN + script)
        command = [sys.executable, str(file), str(folder)]
        started[script] = (
            folder,
            subprocess.Popen(
                command, env={"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            ),
        )
    found = {}
    for script, (folder, process) in started.items():
        process.wait(60)
        end = RunFolder(folder).read_end() or {"end": None, "reason": None}
        found[script] = end["end"], end["reason"] and end["reason"]["message"]
    return found


@pytest.mark.parametrize("script", ENDS)
def test_a_run_ends_as_its_process_does(script: str, ends: dict[str, tuple[Any, Any]]) -> None:
    assert ends[script] == ENDS[script]


def test_what_was_replaced_to_see_exits_is_given_back() -> None:
    from ganvas.tracking.endings import ExitNotes

    notes, before = ExitNotes(), sys.exit
    notes.install()
    assert sys.exit is not before
    notes.remove()
    assert sys.exit is before
