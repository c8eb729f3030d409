"""A disk that fills up: the last checkpoint goes where room was kept for it from the beginning."""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganlib.evaluation.diagnosis.casebook import Casebook
from ganlib.evaluation.diagnosis.history import Point
from ganlib.evaluation.signals.probe import SAMPLE_COUNT
from ganlib.evaluation.signals.samples import SIDE
from ganlib.events import CheckpointSaved, Event
from ganlib.runtime.files import hash_file
from ganlib.spec.job import JobSpec
from ganlib.trainer import train
from ganlib.training import checkpoint
from ganlib.training.recording import disk_reserve, run_reporter
from ganlib.training.recording.disk_reserve import DiskReserve, LastCheckpointUnsaved
from ganlib.training.state import build_state
from ganlib.training.step import train_step
from ganlib.vocabulary import signals
from ganlib.vocabulary.metric import Metric

MakeSpec = Callable[..., JobSpec]
CPU = torch.device("cpu")


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that has no room for a checkpoint, and never had, but for what was kept."""
    store = run_reporter.store_file

    def store_others(folder: Path, name: str, write: Callable[[Path], None]) -> Any:
        if name.startswith("checkpoints/"):
            raise OSError(errno.ENOSPC, "no room")
        return store(folder, name, write)

    monkeypatch.setattr(run_reporter, "store_file", store_others)


def train_on(
    spec: JobSpec, folder: Path, stop_at: int | None = None
) -> tuple[list[CheckpointSaved], list[Exception]]:
    """Train and return the checkpoints that were saved, and what was said of those that were not."""
    events: list[Event] = []
    unsaved: list[Exception] = []
    asked = iter(range(1, spec.iterations + 1))
    train(spec, folder, events.append, lambda: next(asked) == stop_at, on_disk_full=unsaved.append)
    return [event for event in events if isinstance(event, CheckpointSaved)], unsaved


@pytest.mark.parametrize("stop_at", [None, 5], ids=["completed", "stopped"])
def test_the_last_checkpoint_is_saved_whole_on_a_full_disk(
    make_spec: MakeSpec, tmp_path: Path, request: pytest.FixtureRequest, stop_at: int | None
) -> None:
    spec = make_spec(checkpoint_every=2)
    *_, wanted = train_on(spec, tmp_path / "undisturbed", stop_at)[0]
    request.getfixturevalue("full_disk")
    saved, unsaved = train_on(spec, tmp_path / "full", stop_at)
    assert saved == [wanted]
    assert unsaved
    path = tmp_path / "full" / saved[0].file.path
    assert (path.stat().st_size, hash_file(path)) == (wanted.file.size, wanted.file.sha256)
    assert list(path.parent.iterdir()) == [path]
    state = build_state(spec, CPU)
    checkpoint.load_checkpoint(path, state)
    assert state.iteration == saved[0].iteration


@pytest.mark.usefixtures("full_disk")
def test_control_without_kept_room_the_last_checkpoint_is_lost_and_told(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DiskReserve, "reserve", lambda reserve, size: None)
    saved, unsaved = train_on(make_spec(checkpoint_every=2), tmp_path)
    assert saved == []
    assert [isinstance(error, LastCheckpointUnsaved) for error in unsaved] == [False] * (len(unsaved) - 1) + [True]


def test_a_run_with_room_leaves_none_of_what_was_kept(make_spec: MakeSpec, tmp_path: Path) -> None:
    saved, unsaved = train_on(make_spec(checkpoint_every=2), tmp_path)
    names = {Path(event.file.path).name for event in saved}
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == names
    assert unsaved == []


def test_a_disk_without_room_to_keep_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOSPC, "no room")

    reserve = DiskReserve(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("os.posix_fallocate", refuse)
        reserve.reserve(3)
    assert list(tmp_path.rglob(".*")) == []
    with pytest.raises(LastCheckpointUnsaved):
        reserve.write("checkpoints/1", b"abc")
    reserve.reserve(3)
    assert reserve.write("checkpoints/1", b"abc").size == 3
    assert (tmp_path / "checkpoints" / "1").read_bytes() == b"abc"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimisers": {"generator": {"kind": "sgd", "learning_rate": 0.1}, "discriminator": {"kind": "rmsprop"}}},
        {"techniques": [{"technique": "ema_generator"}]},
    ],
)
def test_room_is_kept_for_all_that_a_checkpoint_will_hold(
    make_spec: MakeSpec, tmp_path: Path, changes: dict[str, Any]
) -> None:
    state = build_state(make_spec(**changes), CPU)
    estimated = checkpoint.estimate_bytes(state)
    for _ in range(3):
        train_step(state)
    snapshot, path = checkpoint.take_snapshot(state), tmp_path / "saved"
    checkpoint.write_checkpoint(snapshot, path)
    assert path.read_bytes() == checkpoint.checkpoint_bytes(snapshot)
    assert path.stat().st_size <= estimated
    assert path.stat().st_size <= checkpoint.estimate_bytes(state)


def test_room_is_kept_for_what_the_rules_remember() -> None:
    casebook = Casebook(1_000_000, {})
    # Each signal, and each family with eight layers, at more measurements than are remembered.
    metrics = [metric for metric in vars(signals).values() if isinstance(metric, Metric)]
    names = {metric.member(layer).name for metric in metrics for layer in range(8)}
    for iteration in range(100):
        casebook.add(Point(iteration, dict.fromkeys(names, 0.12345678901234567)))
    samples = SAMPLE_COUNT * 3 * SIDE * SIDE * 4
    assert len(json.dumps(casebook.state())) + samples < disk_reserve._SPARE_BYTES
