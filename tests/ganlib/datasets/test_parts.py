"""Training and test images by folder: the layouts that people have, and what leaves open what is meant."""

from pathlib import Path
from typing import Any

import pytest

from ganlib.datasets import load_train_and_test, parts
from ganlib.datasets.parts import divide
from ganlib.errors import DatasetUnavailable
from ganlib.spec.sections.datasets import FolderSpec
from tests.support.pictures import RED, load_set, picture_bytes, write_files, write_zip

CLASSES = ("a", "b")


def names_in(*folders: str, count: int = 2) -> list[str]:
    return sorted(f"{folder}/{index}.png".lstrip("/") for folder in folders for index in range(count))


def in_classes(*folders: str) -> list[str]:
    return names_in(*(f"{folder}/{name}" for folder in folders for name in CLASSES))


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("training", "testing"),
        ("training_set", "test_set"),
        ("train-images", "test-images"),
        ("seg_train", "seg_test"),
        ("train2017", "test2017"),
        ("trainset", "testset"),
        ("TrainImages", "TestImages"),
        ("photos/2024/train", "photos/2024/test"),
        ("train", "val"),
        ("train", "valid"),
        ("training", "validation"),
        ("images/train", "images/val"),
    ],
)
@pytest.mark.parametrize("has_classes", [True, False], ids=["classes", "flat"])
def test_usual_layouts_are_taken_and_told(train: str, test: str, has_classes: bool) -> None:
    layout = divide((in_classes if has_classes else names_in)(train, test), "set")
    assert all(name.startswith(f"{train}/") for name in layout.parts["train"].names)
    assert all(name.startswith(f"{test}/") for name in layout.parts["test"].names)
    count = 4 if has_classes else 2
    assert {split: len(part.names) for split, part in layout.parts.items()} == {"train": count, "test": count}
    assert (
        layout.parts["train"].class_names
        == layout.parts["test"].class_names
        == (CLASSES if has_classes else (".",))
    )
    assert layout.parts["test"].labels == ([0, 0, 1, 1] if has_classes else [0, 0])
    first, second = train.rpartition("/")[2], test.rpartition("/")[2]
    (note,) = layout.notes
    assert f"{first} ({count} images) is trained on" in note
    assert f"{second} ({count} images) is held out for tests" in note


@pytest.mark.parametrize(
    "folders",
    [
        ("train", "val", "test"),
        ("training", "validation", "testing"),
        ("train", "valid", "test"),
        ("x/Train", "x/Val", "x/Test"),
    ],
)
def test_of_three_parts_the_validation_part_is_not_used_and_that_is_told(folders: tuple[str, ...]) -> None:
    layout = divide(in_classes(*folders), "set")
    train, val, test = folders
    assert layout.parts["train"].names == in_classes(train)
    assert layout.parts["test"].names == in_classes(test)
    assert f"{val.rpartition('/')[2]} (4 images) is not used" in layout.notes[0]


def test_a_part_that_an_archive_holds_twice_is_one() -> None:
    layout = divide(in_classes("seg_train/seg_train", "seg_test/seg_test"), "set")
    assert layout.parts["train"].class_names == CLASSES


def test_folders_that_all_parts_have_in_common_are_no_classes() -> None:
    layout = divide(in_classes("train/images", "valid/images"), "set")
    assert layout.parts["train"].class_names == CLASSES


def test_a_picture_beside_the_parts_belongs_to_none() -> None:
    layout = divide(sorted([*in_classes("train", "test"), "cover.png"]), "set")
    assert len(layout.parts["train"].names) == len(layout.parts["test"].names) == 4
    assert layout.strays == ("cover.png",)
    assert divide(sorted([*in_classes("train"), "cover.png"]), "set").parts["train"].class_names == CLASSES


def test_test_images_without_classes_are_not_tested_on() -> None:
    layout = divide(sorted(in_classes("train") + names_in("test")), "set")
    assert layout.parts.keys() == {"train"}
    assert layout.parts["train"].class_names == CLASSES
    assert "test (2 images) is not used, because it has no folders of classes" in layout.notes[0]


def test_a_class_that_only_the_test_part_has_is_counted() -> None:
    layout = divide(sorted(names_in("train/a", "train/b") + names_in("test/c")), "set")
    assert layout.parts["test"].class_names == ("a", "b", "c")
    assert layout.parts["test"].labels == [2, 2]


@pytest.mark.parametrize(
    ("folders", "class_names"),
    [
        (("cats", "dogs"), ("cats", "dogs")),
        # A means of transport, of which there is no test part.
        (("bus", "car", "train"), ("bus", "car", "train")),
        (("train_station", "test_tube"), ("test_tube", "train_station")),
        (("valid", "invalid"), ("invalid", "valid")),
        (("contest", "latest"), ("contest", "latest")),
        (("train/a", "train/b"), ("a", "b")),
    ],
)
def test_classes_are_no_parts(folders: tuple[str, ...], class_names: tuple[str, ...]) -> None:
    layout = divide(names_in(*folders), "set")
    assert (layout.parts["train"].class_names, layout.parts.keys(), layout.notes) == (class_names, {"train"}, ())


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (("cats", "dogs", "test"), "test beside cats and dogs, and no folder train"),
        (("test", "val"), "test beside val, and no folder train"),
        (("", "test"), "test beside images, and no folder train"),
        (("test",), "All images of set lie in a folder test"),
        (("test/a", "test/b"), "All images of set lie in a folder test"),
        (("validation/a", "validation/b"), "All images of set lie in a folder validation"),
        (("train", "test", "extra"), "holds extra beside test and train: are these images to train on"),
        (("train", "training", "test"), r"several folders for the same part \(test, train and training\)"),
        (("train", "Train", "test"), "several folders for the same part"),
        (("trainA", "trainB", "testA", "testB"), "several folders for the same part"),
        (("cats/train", "cats/test", "dogs/train", "dogs/test"), "cats/test and cats/train: parts are read where"),
    ],
)
def test_what_leaves_open_what_is_meant_is_refused(folders: tuple[str, ...], words: str) -> None:
    with pytest.raises(DatasetUnavailable, match=words):
        divide(names_in(*folders), "set")


def test_a_zip_named_like_its_only_folder_is_what_was_asked_for() -> None:
    assert len(divide(names_in("test"), "test.zip").parts["train"].names) == 2


COLOURS = {"train": 10, "val": 20, "test": 30}


@pytest.fixture
def three_parts(data: Path) -> Path:
    files = {
        f"{part}/{name}/{index}.png": picture_bytes((level, 0, 0))
        for part, level in COLOURS.items()
        for name in CLASSES
        for index in range(3)
    }
    return write_files(data / "set", files)


def test_test_images_are_never_trained_on(three_parts: Path) -> None:
    training, test = load_train_and_test(FolderSpec(path="set", size=4))
    assert training.images[:, 0].unique().tolist() == load_set("set").images[:, 0].unique().tolist() == [10]
    assert test.images[:, 0].unique().tolist() == [30]
    assert training.notes == (
        "set is divided by its folders: train (6 images) is trained on, val (6 images) is not used, "
        "test (6 images) is held out for tests.",
    )


def test_without_the_parts_they_would_be(three_parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control."""
    monkeypatch.setattr(parts, "_read_role", lambda folder: None)
    monkeypatch.setattr(parts, "_HELD_OUT", frozenset())
    assert load_set("set").images[:, 0].unique().tolist() == [10, 20, 30]


def test_a_picture_beside_the_parts_is_left_out_and_told(three_parts: Path) -> None:
    write_files(three_parts, {"cover.png": picture_bytes(RED)})
    found: Any = load_set("set")
    assert found.images[:, 0].unique().tolist() == [10]
    assert found.warnings == (
        "1 of 19 image files in set is left out, beside the folders of the parts: cover.png",
    )


@pytest.mark.parametrize(
    ("names", "class_names", "labels"),
    [
        (["wrapped/in/a/1.png", "wrapped/in/b/1.png"], ("a", "b"), [0, 1]),
        (["1.png", "2.png"], (".",), [0, 0]),
        (["only/1.png", "only/2.png"], ("only",), [0, 0]),
        (["0.png", "a/1.png", "a/deep/2.png"], (".", "a", "a/deep"), [0, 1, 2]),
    ],
)
def test_classes_are_named_from_where_the_folders_part_ways(
    data: Path, names: list[str], class_names: tuple[str, ...], labels: list[int]
) -> None:
    write_zip(data / "set.zip", dict.fromkeys(names, picture_bytes(RED)))
    found = load_set("set.zip")
    assert (found.class_names, found.labels.tolist()) == (class_names, labels)


def test_folders_named_train_and_test_are_the_parts(data: Path) -> None:
    names = ("train/b/1.png", "train/b/2.png", "train/a/1.png", "test/b/1.png")
    write_files(data / "set", {name: picture_bytes(RED) for name in names})
    training, test = load_train_and_test(FolderSpec(path="set", size=4))
    assert (training.labels.tolist(), test.labels.tolist()) == ([0, 1, 1], [1])
    assert training.class_names == test.class_names == ("a", "b")
