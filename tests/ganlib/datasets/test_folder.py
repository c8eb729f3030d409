"""Folders and zips of images: order, what is left out and told, what is never read, and what is kept decoded."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganlib.datasets import folder, load_train_and_test, load_training, sources
from ganlib.datasets.folder import to_grey
from ganlib.errors import DatasetUnavailable
from ganlib.spec.sections.datasets import FolderSpec
from tests.ganlib.conftest import MakeSpec, Run
from tests.support.pictures import BLUE, GREEN, RED, first_pixels, load_set, picture_bytes, write_files, write_zip

EMOJI = Path(os.environ.get("GANVAS_DATA", "")) / "emoji-192.zip"
SMALL = {
    "b/2.png": picture_bytes(BLUE),
    "a/10.png": picture_bytes(GREEN),
    "a/9.jpg": picture_bytes((200, 200, 200), kind="JPEG"),
    "a/notes.txt": b"not an image",
    "a/.hidden.png": b"",
    "__MACOSX/a/x.png": b"",
}


@pytest.mark.parametrize("place", ["set", "set.zip", "deeper/set.zip"])
def test_folders_are_classes_and_names_give_the_order(data: Path, place: str) -> None:
    (write_zip if place.endswith(".zip") else write_files)(data / place, SMALL)
    found = load_set(place)
    assert (found.images.shape, found.images.dtype) == ((3, 3, 4, 4), torch.uint8)
    assert first_pixels(found.images) == [[0, 255, 0], [200, 200, 200], [0, 0, 255]]
    assert (found.labels.tolist(), found.class_names, found.warnings) == ([0, 0, 1], ("a", "b"), ())


def test_a_folder_without_a_test_part_holds_out_every_sixth(data: Path) -> None:
    write_files(data / "set", {f"a/{index}.png": picture_bytes((index, 0, 0)) for index in range(8)})
    training, test = load_train_and_test(FolderSpec(path="set", size=4))
    assert training.images[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5, 7]
    assert test.images[:, 0, 0, 0].tolist() == [0, 6]
    assert len(load_set("set").images) == 8


def test_grey_is_the_luminosity(data: Path) -> None:
    files = {"1.png": RED, "2.png": GREEN, "3.png": BLUE, "4.png": (10, 20, 30), "5.png": (255, 255, 255)}
    write_files(data / "set", {name: picture_bytes(colour) for name, colour in files.items()})
    images = load_set("set", colour="grey").images
    # 255·0.2989 = 76.2, 255·0.5870 = 149.7, 255·0.1140 = 29.1; 2.989 + 11.74 + 3.42 = 18.1; 255·0.9999 = 255.0
    assert first_pixels(images) == [[76], [150], [29], [18], [255]]
    assert to_grey(torch.tensor([10, 20, 30], dtype=torch.uint8).reshape(1, 3, 1, 1)).item() == 18


def test_a_file_that_cannot_be_read_is_left_out_and_told(data: Path) -> None:
    whole = picture_bytes(RED, size=(64, 64), kind="JPEG")
    write_zip(data / "set.zip", {"a/1.jpg": whole, "a/2.jpg": whole[:-200], "b/3.png": b"text", "b/4.jpg": whole})
    found = load_set("set.zip")
    assert (len(found.images), found.labels.tolist()) == (2, [0, 1])
    assert found.warnings == (
        "1 of 4 image files in set.zip is left out, damaged or cut off: a/2.jpg",
        "1 of 4 image files in set.zip is left out, damaged, or no image: b/3.png",
    )


def test_names_are_shown_as_they_are_where_they_can_be_printed(data: Path) -> None:
    write_zip(data / "set.zip", {"1.png": picture_bytes(RED), "Bär.png": b"", "a\nb\u202e.png": b""})
    (warning,) = load_set("set.zip").warnings
    assert warning.endswith("image: Bär.png, a\\nb\\u202e.png")


def test_files_whose_names_end_otherwise_are_noted_and_without_an_ending_looked_into(data: Path) -> None:
    files = {
        "1": picture_bytes(RED),
        "README": b"text",
        "notes.txt": b"text",
        ".2.png": b"",
        "3.HEIC": b"",
        "4.PNG": b"",
    }
    write_files(data / "set", files | {"4.PNG": picture_bytes(BLUE)})
    found = load_set("set")
    assert first_pixels(found.images) == [[255, 0, 0], [0, 0, 255]]
    assert found.warnings == (
        "1 of 4 image files in set is left out, of a kind that cannot be read (convert it to PNG or JPEG): 3.HEIC",
    )
    assert found.notes == (
        "2 other files in set are left out, no image: README, notes.txt",
        "1 other file in set is left out, hidden: .2.png",
    )


def test_a_folder_that_cannot_be_opened_is_told(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(data / "set", {"a/1.png": picture_bytes(RED), "b/2.png": picture_bytes(BLUE)})
    scan = os.scandir

    def refuse(path: Path) -> Any:
        if path.name == "b":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = load_set("set")
    assert first_pixels(found.images) == [[255, 0, 0]]
    assert found.warnings == ("1 folder in set is left out, not readable: b",)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a/1.png": b"text", "a/2.png": b""}, "None of the 2 image files in set can be read"),
        ({"a/notes.txt": b"text"}, "set holds no images"),
    ],
)
def test_nothing_readable_is_an_error(data: Path, files: dict[str, bytes], words: str) -> None:
    write_files(data / "set", files)
    with pytest.raises(DatasetUnavailable, match=words):
        load_set("set")


def test_what_is_not_there_or_no_zip_says_where_it_was_looked_for(data: Path) -> None:
    with pytest.raises(DatasetUnavailable, match=r"no folder or zip none in .*data or .*cache.*GANVAS_DATA"):
        load_set("none")
    (data / "text").write_text("text")
    with pytest.raises(DatasetUnavailable, match="text is neither a folder nor a zip file"):
        load_set("text")


def test_the_cache_is_looked_in_after_the_data_folder(data: Path) -> None:
    write_files(sources.cache_dir() / "set", {"1.png": picture_bytes(RED)})
    assert first_pixels(load_set("set").images) == [[255, 0, 0]]
    write_files(data / "set", {"1.png": picture_bytes(BLUE)})
    assert first_pixels(load_set("set").images) == [[0, 0, 255]]


@pytest.fixture
def outside(data: Path) -> Path:
    """A data set beside the data folder."""
    return write_files(data.parent / "outside", {"a/1.png": picture_bytes(RED)})


def test_a_link_that_leaves_the_data_folder_is_refused(data: Path, outside: Path) -> None:
    (data / "set").symlink_to(outside)
    with pytest.raises(DatasetUnavailable, match="leads out of that folder"):
        load_set("set")


@pytest.mark.parametrize("path", ["../outside", "set/../../outside", "{absolute}"])
def test_a_path_that_no_spec_checked_does_not_lead_outside_either(data: Path, outside: Path, path: str) -> None:
    (data / "set").mkdir()
    spec = FolderSpec.model_construct(path=path.format(absolute=outside), size=4)
    with pytest.raises(DatasetUnavailable, match="leads out of that folder"):
        load_training(spec)


def test_linked_files_and_folders_in_a_data_set_are_not_followed_outside(data: Path, outside: Path) -> None:
    write_files(data / "set", {"b/2.png": picture_bytes(BLUE)})
    (data / "set" / "b" / "1.png").symlink_to(outside / "a" / "1.png")
    (data / "set" / "a").symlink_to(outside / "a")
    (data / "set" / "round").symlink_to(data / "set")
    found = load_set("set")
    assert first_pixels(found.images) == [[0, 0, 255]]
    assert found.warnings == (
        "1 of 2 image files in set is left out, linked to a place outside of the data folder: b/1.png",
        "2 folders in set are left out, linked, and not followed: a, round",
    )


def test_links_inside_the_data_folder_are_read(data: Path) -> None:
    write_files(data / "real", {"a/1.png": picture_bytes(RED)})
    (data / "set").symlink_to(data / "real")
    write_files(data / "other", {"b/2.png": picture_bytes(BLUE)})
    (data / "other" / "b" / "1.png").symlink_to(data / "real" / "a" / "1.png")
    assert first_pixels(load_set("set").images) == [[255, 0, 0]]
    assert first_pixels(load_set("other").images) == [[255, 0, 0], [0, 0, 255]]


def test_without_the_guard_a_link_would_lead_outside(
    data: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control of the guards on links."""
    monkeypatch.setattr(Path, "is_relative_to", lambda *_: True)
    write_files(data / "set", {"b/2.png": picture_bytes(BLUE)})
    (data / "set" / "b" / "1.png").symlink_to(outside / "a" / "1.png")
    (data / "linked").symlink_to(outside)
    assert first_pixels(load_set("set").images) == [[255, 0, 0], [0, 0, 255]]
    assert first_pixels(load_set("linked").images) == [[255, 0, 0]]
    assert len(load_training(FolderSpec.model_construct(path="../outside", size=4)).images) == 1


def test_a_pipe_among_the_images_is_left_out_and_not_waited_for(data: Path) -> None:
    write_files(data / "set", {"b.png": picture_bytes(BLUE)})
    os.mkfifo(data / "set" / "a.png")
    assert len(load_set("set").images) == 1


def test_too_many_images_for_the_memory_are_refused_before_decoding(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(data / "set", SMALL)
    monkeypatch.setattr(folder, "MAX_DECODED_BYTES", 3 * 3 * 8 * 8 - 1)
    with pytest.raises(DatasetUnavailable, match="3 images of 8×8 in set take too many bytes"):
        load_set("set", size=8)


@pytest.fixture
def count_decoding(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Keep sets of any size in the cache, and return a function that says how many images were decoded."""
    decoded: list[int] = []
    decode = folder.decode_picture

    def counting(content: bytes, size: int, suffix: str) -> Any:
        decoded.append(size)
        return decode(content, size, suffix)

    monkeypatch.setattr(folder, "decode_picture", counting)
    monkeypatch.setattr(folder, "CACHED_FROM", 1)
    return lambda: len(decoded)


@pytest.mark.parametrize("write", [write_files, write_zip])
def test_a_large_set_is_decoded_once_until_it_or_the_size_changes(
    data: Path, count_decoding: Callable[[], int], write: Callable[..., Path]
) -> None:
    write(data / "set", SMALL | {"a/bad.png": b"text"})
    first, again = load_set("set"), load_set("set")
    assert count_decoding() == 4
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    assert (first.class_names, first.warnings) == (again.class_names, again.warnings)
    assert again.warnings
    load_set("set", size=8)
    assert count_decoding() == 8
    write(data / "set", SMALL | {"a/bad.png": picture_bytes(RED)})
    assert len(load_set("set").images) == 4
    assert count_decoding() == 12


def test_a_damaged_or_unwritable_cache_only_costs_time(data: Path, count_decoding: Callable[[], int]) -> None:
    write_files(data / "set", SMALL)
    load_set("set")
    (stored,) = (sources.cache_dir() / "decoded").iterdir()
    stored.write_bytes(stored.read_bytes()[:50])
    assert len(load_set("set").images) == 3
    stored.unlink()
    stored.parent.rmdir()
    stored.parent.write_text("a file where a folder should be")
    assert len(load_set("set").images) == 3
    assert count_decoding() == 9


def test_a_run_tells_what_it_left_out_once_and_goes_on_to_the_same_bytes(
    data: Path, make_spec: MakeSpec, run_training: Callable[..., Run]
) -> None:
    files = {f"a/{index}.png": picture_bytes((index, 99, 0)) for index in range(20)}
    write_zip(data / "set.zip", files | {"a/bad.png": b"text"})
    spec = make_spec(dataset={"name": "folder", "path": "set.zip", "size": 8, "colour": "grey"})
    whole = run_training(spec)
    line, _ = whole.of_kind("line_logged")
    assert (line.iteration, line.level) == (0, "warning")
    assert line.text == "1 of 21 image files in set.zip is left out, damaged, or no image: a/bad.png"
    assert whole.of_kind("training_started")[0].image_count == 20
    stopped = run_training(spec, stop_at=4)
    resumed = run_training(spec, resume_from=stopped.out_dir / "checkpoints" / "00000004.safetensors")
    assert resumed.of_kind("line_logged") == []
    last = "checkpoints/00000006.safetensors"
    assert resumed.files()[last] == whole.files()[last]


@pytest.mark.skipif(not EMOJI.is_file(), reason="GANVAS_DATA has no emoji-192.zip")
def test_the_emoji_are_192_images_in_two_classes(data: Path) -> None:
    (data / EMOJI.name).write_bytes(EMOJI.read_bytes())
    found = load_set("emoji-192.zip", size=64)
    assert found.images.shape == (192, 3, 64, 64)
    assert (found.class_names, found.labels.bincount().tolist()) == (("animals", "faces"), [74, 118])
    assert found.warnings == ()
