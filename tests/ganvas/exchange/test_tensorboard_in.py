"""Event files that PyTorch's writer, tensorboardX and a writer of tensors have made come in point by point."""

import io
import math
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas.exchange.incoming import event_files
from ganvas.exchange.incoming.event_files import classes, mask, read_records
from ganvas.exchange.incoming.tensorboard import find_runs
from ganvas.exchange.records import Losses, Pictures, Points, SourceRun, SourceUnreadable
from ganvas.exchange.writing import count_run
from tests.ganvas.exchange.reading import FILES, Written, draw, import_all, import_run

LOGS = FILES / "tensorboard"
STEPS = range(0, 1000, 100)


def single(value: float) -> float:
    """Return a number as float32 holds it."""
    return float(np.float32(value))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    return import_all(LOGS, tmp_path_factory.mktemp("runs"))


def copy_run(name: str, folder: Path) -> Path:
    return Path(shutil.copytree(LOGS / name, folder / name))


def event_file(folder: Path) -> Path:
    (file,) = folder.glob("events*")
    return file


def test_each_writer_is_one_run_with_what_it_spread_over_subfolders(runs: dict[str, Written]) -> None:
    assert set(runs) == {"tensorboard/torch", "tensorboard/tensorboardX", "tensorboard/tensors"}
    torch, other = runs["tensorboard/torch"], runs["tensorboard/tensorboardX"]
    for run in (torch, other):
        assert run.points["score/real"] == [(900, 0.75)]
        assert run.points["score/fake"] == [(900, 0.25)]
        assert run.points["best/fid"] == [(0, 12.5)]
        assert run.header["config"] == {"lr": 2e-4, "loss": "hinge", "augment": True, "seed": 7}
        assert run.header["origin"] == "tensorboard"
        assert "Hinge loss, *batch* 64." in run.header["note"]
        assert run.end is not None
        assert run.end["end"] == "succeeded"


def test_scalars_keep_every_step_and_every_bit(runs: dict[str, Written]) -> None:
    expected = [(step, single(1 / (step + 3))) for step in STEPS]
    assert runs["tensorboard/torch"].points["Loss/D(x)"] == expected
    assert runs["tensorboard/tensorboardX"].points["Loss/D_x_"] == expected
    assert runs["tensorboard/torch"].points["loss_G"] == [(step, single(math.exp(-step / 300))) for step in STEPS]
    tensors = runs["tensorboard/tensors"]
    assert tensors.points["loss"] == expected
    assert tensors.points["loss64"] == [(step, 1 / (step + 3)) for step in STEPS]
    nan, *infinite = runs["tensorboard/torch"].points["not finite"]
    assert math.isnan(nan[1])
    assert infinite == [(2, math.inf), (3, -math.inf)]


def test_pictures_become_timelines_and_series(runs: dict[str, Written]) -> None:
    for name in ("tensorboard/torch", "tensorboard/tensorboardX"):
        run = runs[name]
        assert list(run.grids) == list(STEPS)
        assert all(np.array_equal(run.cells(step), draw(step)) for step in STEPS)
        assert list(run.files) == ["images/real/00000900.png"]
    # Several images in one step are one grid, row by row.
    tensors = runs["tensorboard/tensors"]
    assert all(np.array_equal(tensors.cells(step), draw(step, 4)) for step in STEPS)
    assert (tensors.grids[0]["rows"], tensors.grids[0]["columns"]) == (2, 2)
    assert tensors.grids[0]["latents_sha256"] is None


def test_a_tag_that_is_asked_for_is_the_timeline(tmp_path: Path) -> None:
    (run,) = find_runs(LOGS / "torch")
    written, imported = import_run(run, tmp_path / "run", images="real")
    assert list(written.grids) == [900]
    assert len(written.files) == imported.pictures == 10
    assert np.array_equal(written.cells(900), draw(1))


def test_histograms_keep_their_sum_in_64_bins(runs: dict[str, Written]) -> None:
    for run in runs.values():
        histogram = run.histograms["weights", 500]
        assert len(histogram["counts"]) == 64
        assert sum(histogram["counts"]) == 2000
        assert -4 < histogram["low"] < -2.5
        assert 2.5 < histogram["high"] < 4.5


def test_events_have_the_times_of_the_records(runs: dict[str, Written]) -> None:
    assert "2023-11-14T22:15:00+00:00" in runs["tensorboard/tensors"].moments


def test_the_same_is_imported_once_and_what_is_new_is_added(tmp_path: Path) -> None:
    logs = copy_run("torch", tmp_path)
    whole = event_file(logs).read_bytes()
    event_file(logs).write_bytes(whole[: len(whole) // 4])
    (half,) = find_runs(logs)
    before, _ = import_run(half, tmp_path / "run")
    again = import_run(next(find_runs(logs)), tmp_path / "run")[1]
    assert again.new_events == 0

    event_file(logs).write_bytes(whole)
    after, grown = import_run(next(find_runs(logs)), tmp_path / "run")
    fresh, _ = import_run(next(find_runs(logs)), tmp_path / "fresh")
    assert grown.new_events > 0
    assert before.header["key"] == after.header["key"] == fresh.header["key"]
    assert len(before.grids) < len(after.grids) == 10
    assert after.points.keys() == fresh.points.keys()
    assert after.points["loss_G"] == fresh.points["loss_G"]
    assert after.end is not None
    assert after.end["events_count"] == after.folder.count_events()


def test_a_copy_of_the_logs_is_the_same_run(tmp_path: Path) -> None:
    keys = [import_run(next(find_runs(folder)), tmp_path / str(number))[0].header["key"] for number, folder in
            enumerate([LOGS / "torch", copy_run("torch", tmp_path)])]  # fmt: skip
    assert keys[0] == keys[1]
    assert keys[0] != import_run(next(find_runs(LOGS / "tensors")), tmp_path / "other")[0].header["key"]


def test_a_cut_file_gives_what_stands_before_the_cut(tmp_path: Path) -> None:
    logs = copy_run("tensors", tmp_path)
    file = event_file(logs)
    file.write_bytes(file.read_bytes()[:-10])
    written, imported = import_run(next(find_runs(logs)), tmp_path / "run")
    assert len(written.points["loss"]) == 10
    (sentence,) = imported.losses.sentences()
    assert sentence.startswith(f"records that are cut off at the end of a file: 1 ({file.name} at byte ")


def test_a_damaged_record_is_left_out_and_named_and_the_rest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = copy_run("torch", tmp_path)
    file = event_file(logs)
    content = bytearray(file.read_bytes())
    content[content.index(b"loss_G") + 10] ^= 0xFF
    file.write_bytes(content)
    written, imported = import_run(next(find_runs(logs)), tmp_path / "run")
    assert len(written.points["loss_G"]) == 9
    assert len(written.points["Loss/D(x)"]) == 10
    (sentence,) = imported.losses.sentences()
    assert sentence.startswith(f"damaged records: 1 ({file.name} at byte ")

    # Control: without the checksums the damaged value is taken for a point.
    monkeypatch.setattr(event_files, "mask", lambda content: Anything())
    unchecked, _ = import_run(next(find_runs(logs)), tmp_path / "unchecked")
    assert len(unchecked.points["loss_G"]) == 10


class Anything:
    """Equal to every checksum."""

    def __ne__(self, other: object) -> bool:
        return False


def test_a_damaged_length_ends_a_file_but_not_the_import(tmp_path: Path) -> None:
    logs = copy_run("torch", tmp_path)
    file = event_file(logs)
    content = bytearray(file.read_bytes())
    (length,) = struct.unpack("<Q", content[:8])
    content[16 + length] ^= 0xFF
    file.write_bytes(content)
    written, imported = import_run(next(find_runs(logs)), tmp_path / "run")
    assert written.points.keys() == {"score/real", "score/fake", "best/fid"}
    assert "damaged rests of files" in imported.losses.sentences()[0]


def test_records_are_those_that_tensorboards_own_reader_finds() -> None:
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

    for file in sorted(LOGS.rglob("events*")):
        losses = Losses()
        assert list(read_records(file, losses)) == list(RawEventFileLoader(str(file)).Load())
        assert not losses


def test_images_that_are_numbered_by_their_tags_are_one_grid(tmp_path: Path) -> None:
    first, second = event_png()
    write_events(
        tmp_path / "logs", [("fake/image/0", 5, first), ("fake/image/1", 5, second), ("fake/image/0", 6, second)]
    )
    written, _ = import_run(next(find_runs(tmp_path / "logs")), tmp_path / "run")
    assert list(written.grids) == [5, 6]
    assert (written.grids[5]["rows"], written.grids[5]["columns"]) == (1, 2)
    assert np.array_equal(written.cells(5), draw(3, 2))


def test_steps_that_no_run_has_are_counted(tmp_path: Path) -> None:
    write_events(tmp_path / "logs", [("fake", -1, event_png()[0]), ("fake", 2, event_png()[0])])
    written, imported = import_run(next(find_runs(tmp_path / "logs")), tmp_path / "run")
    assert list(written.grids) == [2]
    assert imported.losses.sentences() == ["records at steps below 0 or above 1,000,000,000: 1 (step -1)"]


def test_points_of_a_step_that_was_logged_before_are_counted(tmp_path: Path) -> None:
    steps = [(0, 1.0), (10, 2.0), (20, 3.0), (10, 4.0), (15, 5.0)]
    source = SourceRun(
        "tensorboard", b"x", "again", "", lambda _: (Points(step, {"loss": v}) for step, v in steps)
    )
    imported = count_run(source)
    assert (imported.points, imported.replaced) == (5, 1)
    said = "5 points (1 is of a step that was logged before: it counts instead of the earlier)"
    assert imported.describe() == said


def test_what_is_no_picture_is_kept_as_a_file(tmp_path: Path) -> None:
    write_events(tmp_path / "logs", [("fake", 1, b"no picture")])
    written, imported = import_run(next(find_runs(tmp_path / "logs")), tmp_path / "run")
    assert written.files == {"images.unread/fake/00000001-0": b"no picture"}
    assert "pictures kept as plain files" in imported.losses.sentences()[0]


def test_a_folder_without_event_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="no event files"):
        next(find_runs(tmp_path))


def event_png() -> list[bytes]:
    pngs = []
    for image in draw(3, 2):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="PNG")
        pngs.append(buffer.getvalue())
    return pngs


def write_events(folder: Path, images: list[tuple[str, int, bytes]]) -> None:
    """Write an event file of pictures: (tag, step, encoded image)."""
    folder.mkdir(parents=True)
    content = b""
    for tag, step, image in images:
        event = classes().Event(wall_time=1.7e9, step=step)
        value = event.summary.value.add(tag=tag)
        value.image.encoded_image_string = image
        record = event.SerializeToString()
        head = struct.pack("<Q", len(record))
        content += head + struct.pack("<I", mask(head)) + record + struct.pack("<I", mask(record))
    (folder / "events.out.tfevents.1.host").write_bytes(content)


def write_keras_file(
    path: Path, *events: tuple[int, str, object], restart: int | None = None, cut: int = 0
) -> None:
    """Write tensors as Keras does: only a tag's first value names its plugin. restart: a step that begins anew."""
    from tensorboard.util.tensor_util import make_tensor_proto

    make = classes().Event
    written = [make(wall_time=100.0, file_version="brain.Event:2")]
    if restart is not None:
        written.append(make(wall_time=100.0, step=restart, session_log={"status": 1}))
    named: set[str] = set()
    for step, tag, content in events:
        event = make(wall_time=100.0 + step, step=step)
        value = event.summary.value.add(tag=tag, tensor=make_tensor_proto(content))
        if tag not in named:
            value.metadata.plugin_data.plugin_name = "images" if isinstance(content, list) else "scalars"
        named.add(tag)
        written.append(event)
    packed = b""
    for event in written:
        content, head = event.SerializeToString(), struct.pack("<Q", event.ByteSize())
        packed += head + struct.pack("<I", mask(head)) + content + struct.pack("<I", mask(content))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed[: len(packed) - cut])


def test_keras_files_are_read_and_what_a_restart_made_void_is_left_out(tmp_path: Path) -> None:
    train, validation = tmp_path / "train", tmp_path / "validation"
    losses = [(step, "epoch_loss", np.float32(step)) for step in range(6)]
    write_keras_file(
        train / "events.out.tfevents.100.host.1.0.v2", *losses, (5, "fakes", [b"2", b"2", *event_png()])
    )
    anew = [(step, "epoch_loss", np.float32(10 + step)) for step in (3, 7)]
    again = (7, "fakes", [b"2", b"2", *event_png()])
    write_keras_file(train / "events.out.tfevents.200.host.1.1.v2", *anew, again, restart=3)
    write_keras_file(validation / "events.out.tfevents.100.host.1.2.v2", *losses, cut=3)
    first, second = find_runs(tmp_path)
    assert [run.name.rpartition("/")[2] for run in (first, second)] == ["train", "validation"]
    lost = Losses()
    records = list(first.read(lost))
    points = [(each.step, each.values["epoch_loss"]) for each in records if isinstance(each, Points)]
    # Steps 4 and 5 were logged before the restart at 3, and never again.
    assert points == [(0, 0.0), (1, 1.0), (2, 2.0), (3, 13.0), (7, 17.0)]
    assert [each.step for each in records if isinstance(each, Pictures)] == [7]
    assert [each.step for each in second.read(lost)] == [0, 1, 2, 3, 4]
