"""Checkpoints: what is refused, and what may change between stop and resume."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ganlib.datasets import folder as folder_module
from ganlib.errors import CheckpointInvalid, DataChanged
from ganlib.spec.job import JobSpec
from ganlib.training import checkpoint
from ganlib.training.state import build_state
from ganlib.training.step import train_step
from tests.support.pictures import picture_bytes, write_files

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]
CPU = torch.device("cpu")


@pytest.fixture
def saved(make_spec: MakeSpec, tmp_path: Path) -> Path:
    """A checkpoint of the small spec after two iterations."""
    state = build_state(make_spec(), CPU)
    for _ in range(2):
        train_step(state)
    path = tmp_path / "saved.safetensors"
    checkpoint.write_checkpoint(checkpoint.take_snapshot(state), path)
    return path


def load(path: Path, spec: JobSpec) -> int:
    state = build_state(spec, CPU)
    checkpoint.load_checkpoint(path, state)
    return state.iteration


def bmp_bytes(level: int) -> bytes:
    """Return an image file of one grey; all such files have the same size."""
    return picture_bytes((level,) * 3, kind="BMP")


@pytest.fixture
def faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_spec: MakeSpec) -> tuple[Path, JobSpec, Path]:
    """A folder of twelve images, the spec of a run on it, and a checkpoint of that run."""
    monkeypatch.setenv("GANVAS_DATA", str(tmp_path))
    folder = write_files(
        tmp_path / "faces",
        {f"{'ab'[index % 2]}/{index:02}.bmp": bmp_bytes(index) for index in range(12)},
    )
    spec = make_spec(dataset={"name": "folder", "path": "faces", "size": 8, "colour": "grey"}, batch_size=4)
    state = build_state(spec, CPU)
    train_step(state)
    path = tmp_path / "faces.safetensors"
    checkpoint.write_checkpoint(checkpoint.take_snapshot(state), path)
    return folder, spec, path


def keep_times(path: Path, content: bytes) -> None:
    """Write a file again, of the same size, with the times that it had."""
    before = path.stat()
    assert before.st_size == len(content)
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "one more": (
        lambda folder: write_files(folder, {"a/99.bmp": bmp_bytes(9)}),
        "were 12, and now there are 13",
    ),
    "one less": (lambda folder: (folder / "a" / "00.bmp").unlink(), "were 12, and now there are 11"),
    "another of the same size and time": (
        lambda folder: keep_times(folder / "b" / "01.bmp", bmp_bytes(2)),
        "some of the 12 are others",
    ),
    "a class renamed": (
        lambda folder: (folder / "a").rename(folder / "z"),
        "classes were a, b, and now they are b, z",
    ),
    "the target of a link": (
        lambda folder: (
            write_files(folder.parent, {"other.bmp": bmp_bytes(200)}),
            (folder / "a" / "00.bmp").unlink(),
            (folder / "a" / "00.bmp").symlink_to(folder.parent / "other.bmp"),
        ),
        "some of the 12 are others",
    ),
}


@pytest.mark.parametrize(("change", "words"), CHANGES.values(), ids=CHANGES.keys())
def test_a_run_is_not_resumed_on_other_images(
    faces: tuple[Path, JobSpec, Path], change: Callable[[Path], object], words: str
) -> None:
    folder, spec, path = faces
    assert load(path, spec) == 1
    change(folder)
    with pytest.raises(
        DataChanged, match=rf"not those of faces\.safetensors \(iteration 1\): .*{words}"
    ) as caught:
        load(path, spec)
    assert str(caught.value).endswith("give it the earlier images back; to train on these, start a new run.")


def test_without_the_comparison_it_would_be(
    faces: tuple[Path, JobSpec, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control."""
    folder, spec, path = faces
    CHANGES["one more"][0](folder)
    monkeypatch.setattr(checkpoint, "_compare_data", lambda *_: "")
    assert load(path, spec) == 1


def test_changes_that_leave_the_images_as_they_were_are_told_and_resumed(
    faces: tuple[Path, JobSpec, Path],
) -> None:
    folder, spec, path = faces
    content = (folder / "a" / "00.bmp").read_bytes()
    # The same pixels in other bytes.
    (folder / "a" / "00.bmp").write_bytes(content + b"\0")
    state = build_state(spec, CPU)
    assert checkpoint.load_checkpoint(path, state) == (
        "Files of the data set changed since the checkpoint, its training images did not."
    )
    os.utime(folder / "a" / "00.bmp")
    (folder / "a" / "00.bmp").write_bytes(content)
    assert checkpoint.load_checkpoint(path, build_state(spec, CPU)) == ""


def test_the_same_files_that_another_version_decodes_are_resumed_and_told(
    faces: tuple[Path, JobSpec, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, spec, path = faces
    decode = folder_module.decode_picture
    monkeypatch.setattr(folder_module, "decode_picture", lambda *given: decode(*given) + 1)
    notice = checkpoint.load_checkpoint(path, build_state(spec, CPU))
    assert notice == "The same image files are decoded a little differently here, as by another version of Pillow."


def test_a_checkpoint_that_does_not_say_of_which_images_it_is_is_resumed(
    faces: tuple[Path, JobSpec, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of earlier versions."""
    folder, spec, path = faces
    facts, tensors = checkpoint._read(path)
    del facts["data"]
    monkeypatch.setattr(checkpoint, "_read", lambda path: (facts, tensors))
    CHANGES["one more"][0](folder)
    assert load(path, spec) == 1


def flip_last_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 0xFF
    path.write_bytes(data)


def test_fields_that_alter_no_bytes_may_change(saved: Path, make_spec: MakeSpec) -> None:
    recipe = {"paper": "A (2018)", "section": "1", "expected": "Digits.", "cost": "1 min"}
    free = {"name": "other", "description": "text", "tags": ["a"], "recipe": recipe, "iterations": 9}
    assert load(saved, make_spec(**free, log_every=7, sample_every=7, checkpoint_every=7)) == 2


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, "seed (0 there, 1 here)"),
        ({"batch_size": 17}, "batch_size (16 there, 17 here)"),
        ({"losses": {"generator": "minimax"}}, "losses.generator (non_saturating there, minimax here)"),
        ({"precision": "bfloat16"}, "precision (float32 there, bfloat16 here)"),
        (
            {"optimisers": {"generator": {"learning_rate": 1e-3}}},
            "optimisers.generator.learning_rate (0.0002 there, 0.001 here)",
        ),
        ({"techniques": [{"technique": "ema_generator"}]}, "techniques (0 items there, 1 item here)"),
        (
            {"samples": {"rows": 1, "columns": 1}},
            "samples.rows (2 there, 1 here), samples.columns (3 there, 1 here)",
        ),
        (
            {"discriminator": {"layers": [{"layer": "dense", "size": 1}]}},
            "discriminator.layers (3 items there, 1 item here)",
        ),
    ],
)
def test_another_spec_is_refused_with_the_fields_that_differ(
    saved: Path, make_spec: MakeSpec, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(CheckpointInvalid, match="belongs to another spec") as caught:
        load(saved, make_spec(**changes))
    assert f"it differs in {named}. " in str(caught.value)


def test_a_checkpoint_of_an_earlier_version_is_refused_without_the_field(
    saved: Path, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, tensors = checkpoint._read(saved)
    earlier = {name: fact for name, fact in facts.items() if name not in ("spec", "computed_on")}
    monkeypatch.setattr(checkpoint, "_read", lambda path: (earlier, tensors))
    with pytest.raises(CheckpointInvalid, match=r"belongs to another spec\. All that decides"):
        load(saved, make_spec(seed=1))
    assert checkpoint.load_checkpoint(saved, build_state(make_spec(), CPU)) == ""


def test_a_run_that_goes_on_with_another_number_of_threads_says_that_it_is_not_identical(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    threads = torch.get_num_threads()
    first = run_training(make_spec(), stop_at=3)
    newest = first.out_dir / "checkpoints/00000003.safetensors"
    same = run_training(make_spec(), resume_from=newest)
    torch.set_num_threads(threads + 1)
    try:
        other = run_training(make_spec(), resume_from=newest)
    finally:
        torch.set_num_threads(threads)
    assert same.of_kind("line_logged") == []
    (line,) = other.of_kind("line_logged")
    assert f"{threads + 1} threads); the checkpoint was computed on cpu" in line.text
    assert f"{threads} thread{'s' if threads > 1 else ''})" in line.text
    assert "not identical" in line.text


def test_a_checkpoint_beyond_the_specs_end_is_refused(saved: Path, make_spec: MakeSpec) -> None:
    with pytest.raises(CheckpointInvalid, match="from iteration 2, but the spec ends at iteration 1"):
        load(saved, make_spec(iterations=1))


def test_one_flipped_byte_is_found(saved: Path, make_spec: MakeSpec) -> None:
    flip_last_byte(saved)
    with pytest.raises(CheckpointInvalid, match="do not match their digest"):
        load(saved, make_spec())


def test_without_the_digest_the_flipped_byte_would_be_taken(
    saved: Path, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    with safe_open(saved, framework="pt") as file:
        digest = json.loads(file.metadata()["ganvas"])["digest"]
    flip_last_byte(saved)
    monkeypatch.setattr(checkpoint, "digest_tensors", lambda tensors: digest)
    assert load(saved, make_spec()) == 2


@pytest.mark.parametrize("damage", [lambda data: data[:-10], lambda data: b"", lambda data: b"\x80\x04" + data])
def test_a_torn_or_foreign_file_is_refused(
    saved: Path, make_spec: MakeSpec, damage: Callable[[bytes], bytes]
) -> None:
    saved.write_bytes(damage(saved.read_bytes()))
    with pytest.raises(CheckpointInvalid, match="no checkpoint, or a damaged one"):
        load(saved, make_spec())


def test_a_missing_file_is_refused(tmp_path: Path, make_spec: MakeSpec) -> None:
    with pytest.raises(CheckpointInvalid, match="no checkpoint"):
        load(tmp_path / "none.safetensors", make_spec())


def test_any_safetensors_file_is_no_checkpoint(tmp_path: Path, make_spec: MakeSpec) -> None:
    save_file({"weights": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointInvalid, match="no checkpoint"):
        load(tmp_path / "other.safetensors", make_spec())


def test_a_newer_format_is_refused(saved: Path, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 0)
    with pytest.raises(CheckpointInvalid, match="has format 1; this version reads 0"):
        load(saved, make_spec())


def test_a_checkpoint_without_a_tensor_is_refused(
    saved: Path, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, tensors = checkpoint._read(saved)
    del tensors["generator.0.weight"]
    monkeypatch.setattr(checkpoint, "_read", lambda path: (facts, tensors))
    with pytest.raises(CheckpointInvalid, match="does not fit"):
        load(saved, make_spec())


def test_weights_and_optimisers_keep_the_layout_of_their_memory(saved: Path, make_spec: MakeSpec) -> None:
    state = build_state(make_spec(), CPU)
    checkpoint.load_checkpoint(saved, state)
    weight = state.networks.generator[4].weight  # type: ignore[index]
    average = state.generator_optimiser.state[weight]["exp_avg"]
    assert weight.stride() == average.stride()
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_a_snapshot_does_not_change_when_training_goes_on(make_spec: MakeSpec) -> None:
    state = build_state(make_spec(), CPU)
    train_step(state)
    snapshot = checkpoint.take_snapshot(state)
    before = {name: tensor.clone() for name, tensor in snapshot.tensors.items()}
    train_step(state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in snapshot.tensors.items())
    changed = checkpoint.take_snapshot(state).tensors
    assert not torch.equal(changed["generator.0.weight"], before["generator.0.weight"])
