"""Runs in a folder: going on, and refusing what is not theirs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ganlib.errors import RunFolderTaken
from ganlib.events import CheckpointSaved, Event, event_adapter
from ganlib.spec.job import JobSpec
from ganlib.spec.parse import load_spec
from ganlib.trainer import StopReason
from ganlib.training.recording import run_folder
from ganlib.training.recording.run_folder import run_in_folder

MakeSpec = Callable[..., JobSpec]


class Killed(BaseException):
    """Stands for a process that dies in the middle of a run."""


def run(
    spec: JobSpec, folder: Path, stop_at: int | None = None, die_at: tuple[str, int] | None = None
) -> StopReason:
    asked = iter(range(1, 1_000_000))

    def on_event(event: Event) -> None:
        if die_at == (event.kind, getattr(event, "iteration", None)):
            raise Killed

    return run_in_folder(spec, folder, on_event, lambda: next(asked) == stop_at)


def read_events(folder: Path) -> list[Event]:
    return [event_adapter.validate_json(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def facts(folder: Path) -> list[tuple[str, int]]:
    """Return what happened when, but for the starts."""
    return [
        (event.kind, event.iteration)
        for event in read_events(folder)
        if event.kind not in {"training_started", "latents_fixed"}
    ]


def images(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("samples/*.png")}


def test_the_folder_holds_spec_events_and_files(make_spec: MakeSpec, tmp_path: Path) -> None:
    assert run(make_spec(), tmp_path / "new" / "run") is StopReason.COMPLETED
    folder = tmp_path / "new" / "run"
    assert load_spec(folder / "spec.yaml") == make_spec()
    assert [event.kind for event in read_events(folder)][:2] == ["training_started", "latents_fixed"]
    assert sorted(images(folder)) == ["00000000.png", "00000003.png", "00000006.png"]
    assert not list(folder.rglob(".writing-*"))


def test_a_stopped_run_goes_on_without_gap_or_double(make_spec: MakeSpec, tmp_path: Path) -> None:
    run(make_spec(), tmp_path / "whole")
    assert run(make_spec(), tmp_path / "halves", stop_at=5) is StopReason.STOPPED
    assert run(make_spec(), tmp_path / "halves") is StopReason.COMPLETED
    assert [fact for fact in facts(tmp_path / "halves") if fact != ("checkpoint_saved", 5)] == facts(
        tmp_path / "whole"
    )
    assert images(tmp_path / "halves") == images(tmp_path / "whole")


@pytest.mark.parametrize("die_at", [("metrics_logged", 6), ("sample_grid_saved", 3), ("training_ended", 6)])
def test_a_killed_run_goes_on_without_gap_or_double(
    make_spec: MakeSpec, tmp_path: Path, die_at: tuple[str, int]
) -> None:
    run(make_spec(), tmp_path / "whole")
    with pytest.raises(Killed):
        run(make_spec(), tmp_path / "killed", die_at=die_at)
    with (tmp_path / "killed" / "events.jsonl").open("a") as lines:
        lines.write('{"kind": "metrics_logged", "itera')  # a line that the death tore
    assert run(make_spec(), tmp_path / "killed") is StopReason.COMPLETED
    assert facts(tmp_path / "killed") == facts(tmp_path / "whole")
    assert images(tmp_path / "killed") == images(tmp_path / "whole")


def test_a_damaged_newest_checkpoint_is_passed_over(make_spec: MakeSpec, tmp_path: Path) -> None:
    run(make_spec(), tmp_path / "run", stop_at=5)
    (tmp_path / "run" / "checkpoints" / "00000005.safetensors").write_bytes(b"damaged")
    assert run(make_spec(), tmp_path / "run") is StopReason.COMPLETED
    starts = [event.iteration for event in read_events(tmp_path / "run") if event.kind == "training_started"]
    assert starts == [0, 4]


def test_a_completed_run_is_left_as_it_is(make_spec: MakeSpec, tmp_path: Path) -> None:
    run(make_spec(), tmp_path / "run")
    before = (tmp_path / "run" / "events.jsonl").read_bytes()
    assert run(make_spec(), tmp_path / "run", die_at=("training_started", 6)) is StopReason.COMPLETED
    assert (tmp_path / "run" / "events.jsonl").read_bytes() == before


def test_a_completed_run_goes_on_when_it_is_given_more_iterations(make_spec: MakeSpec, tmp_path: Path) -> None:
    run(make_spec(), tmp_path / "run")
    assert run(make_spec(iterations=9), tmp_path / "run") is StopReason.COMPLETED
    assert facts(tmp_path / "run")[-1] == ("training_ended", 9)
    saved = [event.iteration for event in read_events(tmp_path / "run") if isinstance(event, CheckpointSaved)]
    assert saved == [4, 6, 8, 9]


def test_a_folder_with_another_run_is_refused_and_left_alone(make_spec: MakeSpec, tmp_path: Path) -> None:
    run(make_spec(), tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(RunFolderTaken, match="holds a run of another spec"):
        run(make_spec(seed=1), tmp_path / "run")
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_a_folder_with_other_files_is_refused(make_spec: MakeSpec, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RunFolderTaken, match="holds files but no run"):
        run(make_spec(), tmp_path)


def test_a_folder_whose_spec_cannot_be_read_is_refused(make_spec: MakeSpec, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("name: only")
    with pytest.raises(RunFolderTaken, match="cannot be read"):
        run(make_spec(), tmp_path)


def test_a_folder_in_which_another_process_trains_is_refused(make_spec: MakeSpec, tmp_path: Path) -> None:
    with run_folder._locked(tmp_path), pytest.raises(RunFolderTaken, match="Another process is training"):
        run(make_spec(), tmp_path)
    assert run(make_spec(), tmp_path) is StopReason.COMPLETED
