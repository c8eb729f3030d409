"""`ganvas train`: no service at all."""

import errno
import json
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ganlib.events import LineLogged
from ganlib.training.recording import run_folder
from ganlib.training.recording.run_folder import run_in_folder
from ganvas.commands.specs.training import TrainingBar, _collect_stop_signals
from ganvas.progress import PLAIN_LINES
from tests.ganvas.conftest import RunCommand


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of each grid in a run's folder."""
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in (folder / "samples").glob("*.png")}


def test_training_leaves_grids_checkpoints_and_events(ganvas: RunCommand, tiny_spec: Path, tmp_path: Path) -> None:
    outcome = ganvas("train", tiny_spec, "--out", tmp_path / "run")
    assert outcome.status == 0, outcome.err
    assert sorted(digests(tmp_path / "run")) == ["00000000.png", "00000010.png", "00000020.png"]
    events = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert [event["iteration"] for event in events if event["kind"] == "checkpoint_saved"] == [10, 20]


def test_lines_that_a_run_logs_stand_above_the_bar(
    ganvas: RunCommand, tiny_spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ganlib.evaluation.classifier.network import CLASSIFIERS

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(CLASSIFIERS, "digits", replace(CLASSIFIERS["digits"], epochs=1))
    change = ("--set", "evaluation={every: 10, samples: 16}")
    outcome = ganvas("train", tiny_spec, "--out", tmp_path / "run", *change)
    assert outcome.status == 0, outcome.err
    assert "Training the digits classifier on 1,497 images" in outcome.err
    assert "Evaluation metrics are of 16 samples each" in outcome.err


@pytest.fixture
def own_signals() -> Iterator[None]:
    """What a test does to these signals ends with it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    # The tests may run under nohup, and a program leaves alone what is ignored.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
def test_training_that_lost_its_terminal_and_was_interrupted_goes_on_to_the_same_grids(
    ganvas: RunCommand, tiny_spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = ("--set", "iterations=60")
    assert ganvas("train", tiny_spec, "--out", tmp_path / "whole", *changes).status == 0

    for number, count in ((signal.SIGHUP, 15), (signal.SIGINT, 20)):
        asked: list[int] = []

        def run_until(
            spec: Any, folder: Path, show: Any, should_stop: Callable[[], bool], number: int = number,
            count: int = count, asked: list[int] = asked,
        ) -> Any:  # fmt: skip
            """Train, and get the signal when the loop asks for the so-manieth time whether to stop."""

            def ask() -> bool:
                asked.append(1)
                if len(asked) == count:
                    signal.raise_signal(number)
                return should_stop()

            return run_in_folder(spec, folder, show, ask)

        with monkeypatch.context() as patch:
            patch.setattr(run_folder, "run_in_folder", run_until)
            outcome = ganvas("train", tiny_spec, "--out", tmp_path / "parted", *changes)
        assert (outcome.status, len(asked)) == (130, count)
        assert "Run the same command again" in outcome.err

    assert ganvas("train", tiny_spec, "--out", tmp_path / "parted", *changes).status == 0
    assert digests(tmp_path / "parted") == digests(tmp_path / "whole")


@pytest.mark.parametrize(
    ("change", "named"), [("seed=1", "seed (0 there, 1 here)"), ("batch_size=4", "batch_size (8 there, 4 here)")]
)
def test_folder_of_another_run_is_refused_with_the_field_that_differs(
    ganvas: RunCommand, tiny_spec: Path, tmp_path: Path, change: str, named: str
) -> None:
    ganvas("train", tiny_spec, "--out", tmp_path / "run")
    before = digests(tmp_path / "run")
    outcome = ganvas("train", tiny_spec, "--out", tmp_path / "run", "--set", change)
    assert outcome.status == 1
    assert "--out" in outcome.err or "another" in outcome.err
    assert f"which differs in {named}: choose another folder" in outcome.err
    assert digests(tmp_path / "run") == before


def test_bad_spec_makes_no_folder(ganvas: RunCommand, tiny_spec: Path, tmp_path: Path) -> None:
    outcome = ganvas("train", tiny_spec, "--out", tmp_path / "run", "--set", "iterations=0")
    assert (outcome.status, (tmp_path / "run").exists()) == (1, False)


def test_without_a_terminal_there_are_few_lines(ganvas: RunCommand, tiny_spec: Path, tmp_path: Path) -> None:
    changes = ("--set", "iterations=200", "--set", "log_every=1", "--set", "sample_every=200")
    outcome = ganvas("train", tiny_spec, "--out", tmp_path / "run", *changes)
    assert outcome.status == 0, outcome.err
    progress = [line for line in outcome.err.splitlines() if line.startswith("training, ")]
    assert len(progress) <= PLAIN_LINES + 2
    assert progress[-1].startswith("training, iteration 200 of 200  G ")
    assert "%|" not in outcome.err
    assert "\r" not in outcome.err


def test_a_terminal_that_is_gone_does_not_end_training(
    ganvas: RunCommand, tiny_spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone:
        """What is left of a terminal after a hang-up."""

        def isatty(self) -> bool:
            return False

        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

        flush = write

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Gone())
        bar = TrainingBar(20)
        bar.show(LineLogged(iteration=0, text="Training on cpu."))
        bar.close()
    assert ganvas("train", tiny_spec, "--out", tmp_path / "run").status == 0


@pytest.mark.usefixtures("own_signals")
def test_a_hang_up_that_nohup_has_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    received = _collect_stop_signals()
    signal.raise_signal(signal.SIGHUP)
    assert received == []
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    received = _collect_stop_signals()
    signal.raise_signal(signal.SIGHUP)
    assert received == [signal.SIGHUP]


def test_a_full_disk_is_an_error_in_one_sentence(
    ganvas: RunCommand, tiny_spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ganlib.training.recording.run_reporter.write_checkpoint", fail)
    outcome = ganvas("train", tiny_spec, "--out", tmp_path / "run")
    assert outcome.status == 1
    assert "Error: The disk is full. Free some space and start the run again" in outcome.err
    assert "Traceback" not in outcome.err
