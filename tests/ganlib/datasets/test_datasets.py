"""Data sets: what lies in them, resizing, and what is said when one cannot be had."""

import struct
import typing
from pathlib import Path

import pytest
import torch
from torchvision.datasets import MNIST

from ganlib.datasets import (
    DATASETS,
    find_problem,
    gather_images,
    is_available,
    load_images,
    load_train_and_test,
    load_training,
)
from ganlib.errors import DatasetUnavailable
from ganlib.spec.sections.datasets import (
    Cifar10Spec,
    DatasetSpec,
    DigitsSpec,
    FolderSpec,
    GaussiansSpec,
    MnistSpec,
)

CPU = torch.device("cpu")


def write_small_mnist(root: Path, images: list[list[int]]) -> None:
    """Write images of 28×28 equal pixels in MNIST's own format."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        pixels = b"".join(bytes(values) * 784 for values in images)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, len(images), 28, 28) + pixels)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">2I", 0x801, len(images)) + bytes(len(images))
        )


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No GANVAS_DATA, an empty cache, and a mirror that nobody serves."""
    monkeypatch.delenv("GANVAS_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    return tmp_path


def test_digits_are_1797_images_from_black_to_white() -> None:
    images = load_images(DigitsSpec(), CPU)
    assert (images.shape, images.dtype) == ((1797, 1, 8, 8), torch.uint8)
    assert (images.min().item(), images.max().item()) == (0, 255)
    # The first image's first row counts 0 0 5 13 9 1 0 0 of 16 on disk.
    assert images[0, 0, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]


def test_resizing_keeps_the_mean_and_gives_the_size_that_the_spec_promises() -> None:
    spec = DigitsSpec(size=16)
    small, large = (load_images(DigitsSpec(size=size), CPU) for size in (8, 16))
    assert large.shape[1:] == spec.shape == (1, 16, 16)
    assert large.float().mean().item() == pytest.approx(small.float().mean().item(), rel=0.01)


def test_gathered_images_reach_from_minus_one_to_one() -> None:
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(3, 1, 1, 1)
    gathered = gather_images(images, torch.tensor([2, 0, 1, 2]))
    assert gathered.dtype == torch.float32
    assert gathered.flatten().tolist() == pytest.approx([1, -1, -0.6, 1])


def test_mnist_is_read_from_the_folder_that_ganvas_data_names(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_small_mnist(empty_home / "data", [[0], [7], [255]])
    monkeypatch.setenv("GANVAS_DATA", str(empty_home / "data"))
    images = load_images(MnistSpec(), CPU)
    assert (images.shape, images.dtype) == ((3, 1, 28, 28), torch.uint8)
    assert images[:, 0, 5, 5].tolist() == [0, 7, 255]


def test_mnist_is_read_from_the_cache_where_ganvas_data_has_none(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_small_mnist(empty_home / "cache" / "ganvas" / "data", [[3]])
    monkeypatch.setenv("GANVAS_DATA", str(empty_home / "nothing here"))
    assert is_available("mnist")
    assert load_images(MnistSpec(), CPU).float().mean().item() == 3


def test_mnist_that_cannot_be_had_says_what_to_do_and_leaves_no_half(empty_home: Path) -> None:
    with pytest.raises(DatasetUnavailable, match=r"GANVAS_DATA.*dataset: digits"):
        load_images(MnistSpec(), CPU)
    assert not is_available("mnist")
    assert "\n" not in (find_problem("mnist") or "\n")
    assert list((empty_home / "cache" / "ganvas" / "data").iterdir()) == []


def test_damaged_mnist_says_what_to_do(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_small_mnist(empty_home, [[1]])
    (empty_home / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(b"\x00\x00\x08\x03")
    monkeypatch.setenv("GANVAS_DATA", str(empty_home))
    assert "remove that folder" in (find_problem("mnist") or "")


def test_digits_are_always_available() -> None:
    assert find_problem("digits") is None


def test_every_data_set_of_the_spec_has_its_loader() -> None:
    union = typing.get_args(typing.get_args(DatasetSpec)[0])
    assert {spec.model_fields["name"].default for spec in union} == DATASETS.keys()


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        (MnistSpec(), (1, 28, 28)),
        (MnistSpec(size=32), (1, 32, 32)),
        (DigitsSpec(), (1, 8, 8)),
        (Cifar10Spec(), (3, 32, 32)),
        (Cifar10Spec(colour="grey", size=16), (1, 16, 16)),
        (FolderSpec(path="a", size=64), (3, 64, 64)),
        (FolderSpec(path="a", size=64, colour="grey"), (1, 64, 64)),
        (GaussiansSpec(), (1, 16, 16)),
    ],
)
def test_a_spec_knows_the_shape_of_its_images(spec: DatasetSpec, shape: tuple[int, ...]) -> None:
    assert spec.shape == shape


def test_digits_have_labels_and_every_sixth_is_held_out_for_tests() -> None:
    whole = load_training(DigitsSpec())
    training, test = load_train_and_test(DigitsSpec())
    assert whole.labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert (len(training.labels), len(test.labels)) == (1497, 300)
    assert test.labels[:3].tolist() == [0, 6, 2]
    assert training.labels[:6].tolist() == [1, 2, 3, 4, 5, 7]
    assert torch.equal(test.images[1], whole.images[6])


def test_mnist_has_its_own_test_images(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_small_mnist(empty_home, [[0], [7], [255]])
    labels = empty_home / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    labels.write_bytes(struct.pack(">2I", 0x801, 3) + bytes([4, 9, 1]))
    monkeypatch.setenv("GANVAS_DATA", str(empty_home))
    training, test = load_train_and_test(MnistSpec())
    assert (training.labels.tolist(), test.labels.tolist()) == ([0, 0, 0], [4, 9, 1])
    assert test.labels.dtype == torch.int64
    assert test.class_names == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
