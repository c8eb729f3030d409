"""CIFAR-10: its own files in any of their forms, the zip of JPEGs in their stead, and what is said of neither."""

import gzip
import hashlib
import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganlib.datasets import cifar10, find_problem, load_train_and_test, load_training
from ganlib.datasets import folder as folder_module
from ganlib.datasets.cifar10 import read_batch
from ganlib.datasets.downloads import FileUnusable
from ganlib.spec.sections.datasets import Cifar10Spec
from tests.support.pictures import BLUE, GREEN, RED, picture_bytes, write_zip

CLASSES = ["airplane", "automobile", "bird"]
BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")


def make_batch(number: int) -> tuple[np.ndarray, list[int]]:
    """Return two images (2, 3072) and their labels; the red of the first one is the batch's number."""
    pixels = np.zeros((2, 3, 32, 32), dtype=np.uint8)
    pixels[0, 0], pixels[1, 2, 0, 1] = number, 9
    return pixels.reshape(2, -1), [number % 3, 0]


def python_files(protocol: int = 2, key: Callable[[str], Any] = str) -> dict[str, bytes]:
    """Return the files for Python; those of the site have protocol 2, and keys that Python 3 reads as bytes."""
    files = {}
    for number, name in enumerate(BATCHES, start=1):
        pixels, labels = make_batch(number)
        files[name] = pickle.dumps({key("data"): pixels, key("labels"): labels}, protocol)
    return files | {"batches.meta": pickle.dumps({key("label_names"): CLASSES}, protocol)}


def binary_files() -> dict[str, bytes]:
    """Return the binary files: for each image a label and 3,072 bytes."""
    files = {}
    for number, name in enumerate(BATCHES, start=1):
        pixels, labels = make_batch(number)
        records = np.concatenate([np.array(labels, dtype=np.uint8)[:, None], pixels], axis=1)
        files[f"{name}.bin"] = records.tobytes()
    return files


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def write_archive(path: Path, folder: str, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in {"readme.html": b"<html>", **files}.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def check_all() -> None:
    training, test = load_train_and_test(Cifar10Spec())
    assert (training.images.shape, training.images.dtype) == ((10, 3, 32, 32), torch.uint8)
    assert training.images[::2, 0, 5, 5].tolist() == [1, 2, 3, 4, 5]
    assert training.images[1, :, 0, :2].tolist() == [[0, 0], [0, 0], [0, 9]]
    assert training.labels.tolist() == [1, 0, 2, 0, 0, 0, 1, 0, 2, 0]
    assert (test.images[0, 0, 5, 5].item(), test.labels.tolist()) == (6, [0, 0])


FORMS: dict[str, Callable[[Path], object]] = {
    "published": lambda data: write(data / "cifar-10-batches-py", python_files()),
    "keys of bytes": lambda data: write(data / "cifar-10-batches-py", python_files(key=str.encode)),
    "another protocol": lambda data: write(data / "cifar-10-batches-py", python_files(5)),
    "the oldest protocol": lambda data: write(data / "cifar-10-batches-py", python_files(0)),
    "binary": lambda data: write(data / "cifar-10-batches-bin", binary_files()),
    "below a folder": lambda data: write(data / "CIFAR10" / "cifar-10-batches-py", python_files()),
    "below the archive's name": lambda data: write(
        data / "cifar-10-binary" / "cifar-10-batches-bin", binary_files()
    ),
    "flat": lambda data: write(data, python_files()),
    "flat in a folder": lambda data: write(data / "cifar-10", binary_files()),
    "gzipped": lambda data: write(
        data, {f"{name}.gz": gzip.compress(each) for name, each in python_files().items()}
    ),
    "archive": lambda data: write_archive(data / "cifar-10-python.tar.gz", "cifar-10-batches-py", python_files()),
    "binary archive": lambda data: write_archive(
        data / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", binary_files()
    ),
    "archive unpacked by the browser": lambda data: write_archive(
        data / "cifar-10-python.tar.gz", "cifar-10-batches-py", python_files(), "w:"
    ),
    "archive in a folder": lambda data: write_archive(
        data / "cifar10" / "cifar-10-python.tar.gz", "cifar-10-batches-py", python_files()
    ),
}


@pytest.mark.parametrize("make", FORMS.values(), ids=FORMS.keys())
def test_cifar10_is_read_in_any_of_its_forms(data: Path, make: Callable[[Path], object]) -> None:
    make(data)
    write_jpegs(data)
    check_all()


def test_class_names_are_those_of_the_files_or_else_the_published_ones(data: Path) -> None:
    folder = write(data / "cifar-10-batches-py", python_files())
    assert load_training(Cifar10Spec()).class_names == ("airplane", "automobile", "bird")
    (folder / "batches.meta").unlink()
    assert load_training(Cifar10Spec()).class_names[::9] == ("airplane", "truck")


def test_files_that_are_not_the_published_ones_are_read_and_told(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(data / "cifar-10-batches-py", python_files())
    for name, content in list(python_files().items())[:4]:
        monkeypatch.setitem(cifar10._PUBLISHED, name, hashlib.md5(content).hexdigest())  # noqa: S324 (as published)
    assert load_training(Cifar10Spec()).warnings == (
        f"This is not the published CIFAR-10: data_batch_5 in {folder} differs (10 images).",
    )


def batch_of(**changes: Any) -> bytes:
    pixels, labels = make_batch(1)
    return pickle.dumps({"data": pixels, "labels": labels} | changes)


class Trap:
    """Runs a command where it is unpickled without care."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch trapped",)


PROBLEMS: dict[str, tuple[bytes | None, str]] = {
    "a web page": (b"<!DOCTYPE html>", "data_batch_1 is a web page, from a download that failed"),
    "empty": (b"", "data_batch_1 is empty"),
    "cut off": (batch_of()[:-30], "data_batch_1 is cut off or damaged"),
    "binary cut off": (
        binary_files()["data_batch_1.bin"][:-1],
        "is cut off, or no batch of CIFAR-10: it has 6,145 bytes",
    ),
    "fewer labels": (batch_of(labels=[1]), "has 1 labels for 2 images"),
    "another kind": (pickle.dumps([1, 2]), "data_batch_1 is no batch of CIFAR-10"),
    "fine labels alone": (pickle.dumps({"data": make_batch(1)[0]}), "data_batch_1 is no batch of CIFAR-10"),
    "other labels": (batch_of(labels=[1, 99]), "it has labels up to 99, and 3 classes"),
    "code": (pickle.dumps({"data": Trap()}), "asks for posix.system, which is no part of CIFAR-10"),
    "missing": (None, "data_batch_1 is missing"),
}


@pytest.mark.parametrize(("content", "words"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_what_is_wrong_and_what_to_do_is_one_sentence(
    data: Path, content: bytes | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data)
    folder = write(data / "cifar-10-batches-py", python_files())
    (folder / "data_batch_1").write_bytes(content or b"")
    if content is None:
        (folder / "data_batch_1").unlink()
    problem = find_problem("cifar10") or ""
    assert words in problem
    assert problem.startswith(f"CIFAR-10 in {folder} cannot be read: ")
    assert "Put the right files there, or remove that folder to download it again" in problem
    assert not (data / "trapped").exists()


def test_without_the_list_of_what_may_be_made_code_would_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cifar10._ArrayUnpickler, "find_class", pickle.Unpickler.find_class)
    with pytest.raises(FileUnusable):
        read_batch(pickle.dumps({"data": Trap()}))
    assert (tmp_path / "trapped").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>404</html>", "it is a web page, from a download that failed"),
        (b"", "it is empty"),
        (b"\x1f\x8b\x08\0", "it is cut off or damaged"),
        (None, "it is cut off or damaged"),
    ],
)
def test_an_archive_that_is_not_whole_says_what_to_do(data: Path, content: bytes | None, words: str) -> None:
    path = write_archive(
        data / "cifar-10-python.tar.gz", "cifar-10-batches-py", {**python_files(), "x": os.urandom(9999)}
    )
    path.write_bytes(path.read_bytes()[:-5000] if content is None else content)
    problem = find_problem("cifar10") or ""
    assert problem.startswith(f"CIFAR-10 in {path} cannot be read: {words}")
    assert "remove that file to download it again" in problem


def test_one_part_alone_says_what_is_missing(data: Path) -> None:
    folder = write(data / "cifar-10-batches-py", {"test_batch": python_files()["test_batch"]})
    assert f"CIFAR-10 in {folder} cannot be read: data_batch_1, data_batch_2" in (find_problem("cifar10") or "")


def write_jpegs(root: Path) -> Path:
    """Write a zip of three JPEGs, as train|test/<class>."""
    colours = {"train/bird/0.jpg": BLUE, "train/airplane/0.jpg": RED, "test/automobile/0.jpg": GREEN}
    files = {name: picture_bytes(colour, (32, 32), "JPEG") for name, colour in colours.items()}
    return write_zip(root / "cifar10-jpeg.zip", files)


def test_jpegs_are_read_where_the_files_are_not(data: Path) -> None:
    write_jpegs(data)
    training, test = load_train_and_test(Cifar10Spec())
    assert (training.labels.tolist(), test.labels.tolist()) == ([0, 2], [1])
    assert training.class_names == tuple(CLASSES)
    assert training.images[:, :, 9, 9].flatten().tolist() == pytest.approx([254, 0, 0, 0, 0, 254], abs=2)


def test_colour_is_taken_off_after_the_cache(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "CACHED_FROM", 1)
    write_jpegs(data)
    rgb = load_training(Cifar10Spec())
    grey = load_training(Cifar10Spec(colour="grey", size=16))
    assert (rgb.images.shape, grey.images.shape) == ((2, 3, 32, 32), (2, 1, 16, 16))
    # Red, and blue: 255·0.2989 = 76, 255·0.1140 = 29.
    assert grey.images[:, 0, 5, 5].tolist() == pytest.approx([76, 29], abs=1)
    assert len(list((data.parent / "cache" / "ganvas" / "data" / "decoded").iterdir())) == 1


def test_what_cannot_be_had_says_what_to_do_and_leaves_no_half(data: Path) -> None:
    problem = find_problem("cifar10") or ""
    assert "CIFAR-10 is not on this machine and cannot be downloaded" in problem
    assert "cifar10-jpeg.zip" in problem
    assert list((data.parent / "cache" / "ganvas" / "data").iterdir()) == []
