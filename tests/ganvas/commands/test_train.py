"""`ganvas train`: no service at all."""

import json
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from tests.ganvas.conftest import RunCommand
from tests.support.processes import Command


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


def test_interrupted_training_goes_on_to_the_same_grids(
    ganvas: RunCommand, tiny_spec: Path, tmp_path: Path
) -> None:
    changes = ("--set", "iterations=3000", "--set", "sample_every=500")
    assert ganvas("train", tiny_spec, "--out", tmp_path / "whole", *changes).status == 0

    command = Command("train", tiny_spec, "--out", tmp_path / "halved", *changes)
    while not (tmp_path / "halved" / "samples" / "00000500.png").exists():
        assert command.process.poll() is None
        time.sleep(0.01)
    assert command.end() == 130
    assert "Run the same command again" in command.output

    assert ganvas("train", tiny_spec, "--out", tmp_path / "halved", *changes).status == 0
    assert digests(tmp_path / "halved") == digests(tmp_path / "whole")


@pytest.mark.parametrize("change", ["seed=1", "batch_size=4"])
def test_folder_of_another_run_is_refused(
    ganvas: RunCommand, tiny_spec: Path, tmp_path: Path, change: str
) -> None:
    ganvas("train", tiny_spec, "--out", tmp_path / "run")
    before = digests(tmp_path / "run")
    outcome = ganvas("train", tiny_spec, "--out", tmp_path / "run", "--set", change)
    assert outcome.status == 1
    assert "--out" in outcome.err or "another" in outcome.err
    assert digests(tmp_path / "run") == before


def test_bad_spec_makes_no_folder(ganvas: RunCommand, tiny_spec: Path, tmp_path: Path) -> None:
    outcome = ganvas("train", tiny_spec, "--out", tmp_path / "run", "--set", "iterations=0")
    assert (outcome.status, (tmp_path / "run").exists()) == (1, False)
