"""CIFAR-10: torchvision's files, the zip of JPEGs in their stead, and what is said when neither can be had."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10

from ganlib.datasets import find_problem, load_train_and_test, load_training
from ganlib.datasets import folder as folder_module
from ganlib.spec.sections.datasets import Cifar10Spec
from tests.support.pictures import BLUE, GREEN, RED, picture_bytes, write_zip

CLASSES = ["airplane", "automobile", "bird"]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that GANVAS_DATA names; the cache is empty, and the files are downloaded from nowhere."""
    monkeypatch.setenv("GANVAS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar.tar.gz")
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def write_small_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write two training images and a test image in CIFAR-10's own format, and have torchvision take them."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir()

    def write(name: str, content: object) -> list[str]:
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]  # noqa: S324 (what torchvision checks)

    pixels = np.zeros((2, 3, 32, 32), dtype=np.uint8)
    pixels[0, 0], pixels[1, 2, 0, 1] = 200, 9
    train = write("data_batch_1", {"data": pixels.reshape(2, -1), "labels": [2, 0]})
    test = write("test_batch", {"data": pixels.reshape(2, -1)[1:], "labels": [1]})
    meta = write("batches.meta", {"label_names": CLASSES})
    monkeypatch.setattr(CIFAR10, "train_list", [train])
    monkeypatch.setattr(CIFAR10, "test_list", [test])
    monkeypatch.setattr(CIFAR10, "meta", {"filename": meta[0], "key": "label_names", "md5": meta[1]})


def write_jpegs(root: Path) -> Path:
    """Write a zip of three JPEGs, as train|test/<class>."""
    colours = {"train/bird/0.jpg": BLUE, "train/airplane/0.jpg": RED, "test/automobile/0.jpg": GREEN}
    files = {name: picture_bytes(colour, (32, 32), "JPEG") for name, colour in colours.items()}
    return write_zip(root / "cifar10-jpeg.zip", files)


def test_torchvisions_files_are_read_before_the_jpegs(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_small_cifar10(data, monkeypatch)
    write_jpegs(data)
    training, test = load_train_and_test(Cifar10Spec())
    assert (training.images.shape, training.images.dtype) == ((2, 3, 32, 32), torch.uint8)
    assert training.images[0, :, 5, 5].tolist() == [200, 0, 0]
    assert training.images[1, :, 0, :2].tolist() == [[0, 0], [0, 0], [0, 9]]
    assert (training.labels.tolist(), test.labels.tolist()) == ([2, 0], [1])
    assert training.class_names == ("airplane", "automobile", "bird")


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


def test_damaged_files_say_what_to_do(data: Path) -> None:
    (data / "cifar-10-batches-py").mkdir()
    (data / "cifar-10-batches-py" / "batches.meta").write_bytes(b"")
    assert "remove that folder to download it again" in (find_problem("cifar10") or "")


def test_what_cannot_be_had_says_what_to_do_and_leaves_no_half(data: Path) -> None:
    problem = find_problem("cifar10") or ""
    assert "CIFAR-10 is not on this machine and cannot be downloaded" in problem
    assert "cifar10-jpeg.zip" in problem
    assert list((data.parent / "cache" / "ganvas" / "data").iterdir()) == []
