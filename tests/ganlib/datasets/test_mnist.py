"""MNIST as people have it: any of its sites' names, gzipped or not; what is wrong with it is one sentence."""

import gzip
import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ganlib.datasets import downloads, find_problem, load_train_and_test, load_training, mnist
from ganlib.spec.sections.datasets import MnistSpec

NAMES = {"images": "train-images-idx3-ubyte", "labels": "train-labels-idx1-ubyte"}


def images_bytes(values: list[int], side: int = 28) -> bytes:
    """Return an idx file of images of equal pixels."""
    return struct.pack(">4I", 0x803, len(values), side, side) + b"".join(
        bytes([each]) * side**2 for each in values
    )


def labels_bytes(values: list[int]) -> bytes:
    return struct.pack(">2I", 0x801, len(values)) + bytes(values)


FILES = {
    "train-images-idx3-ubyte": images_bytes([1, 2, 3]),
    "train-labels-idx1-ubyte": labels_bytes([7, 8, 9]),
    "t10k-images-idx3-ubyte": images_bytes([4, 5]),
    "t10k-labels-idx1-ubyte": labels_bytes([0, 1]),
}


def write(folder: Path, change: Callable[[str], str] = str, pack: Callable[[bytes], bytes] = bytes) -> Path:
    """Write the four files, their names and contents changed."""
    for name, content in FILES.items():
        path = folder / change(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pack(content))
    return folder


PLACES = ["MNIST/raw", "MNIST", "mnist", "mnist/raw", "raw", "."]
SPELLINGS: dict[str, Callable[[str], str]] = {
    "published": str,
    "dotted": lambda name: name.replace("-idx", ".idx"),
    "in folders of their names": lambda name: f"{name}/{name.replace('-idx', '.idx')}",
    "short": lambda name: name[: name.index("-idx")],
    "test": lambda name: name.replace("t10k", "test"),
    "capital": str.upper,
}
PACKINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "plain": ("", bytes),
    "gzipped": (".gz", gzip.compress),
    "unpacked by the browser": (".gz", bytes),
    "gzipped without saying so": ("", gzip.compress),
    "gzipped twice": (".gz", lambda content: gzip.compress(gzip.compress(content))),
}


def check_all(data: Path) -> None:
    training, test = load_train_and_test(MnistSpec())
    assert (training.images.shape, training.images.dtype) == ((3, 1, 28, 28), torch.uint8)
    assert training.images[:, 0, 5, 5].tolist() == [1, 2, 3]
    assert (training.labels.tolist(), test.labels.tolist()) == ([7, 8, 9], [0, 1])
    assert test.images[:, 0, 27, 27].tolist() == [4, 5]


@pytest.mark.parametrize("place", PLACES)
def test_mnist_is_read_from_any_of_its_folders(data: Path, place: str) -> None:
    write(data / place)
    check_all(data)


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
@pytest.mark.parametrize("packing", PACKINGS.values(), ids=PACKINGS.keys())
def test_mnist_is_read_under_any_of_its_names(
    data: Path, spelling: Callable[[str], str], packing: tuple[str, Callable[[bytes], bytes]]
) -> None:
    ending, pack = packing
    write(data / "MNIST" / "raw", lambda name: spelling(name) + ending, pack)
    check_all(data)


def test_of_a_file_and_its_gzipped_twin_the_one_that_is_whole_is_read(data: Path) -> None:
    write(data / "MNIST/raw", lambda name: f"{name}.gz", gzip.compress)
    write(data / "MNIST/raw", pack=lambda content: content[:20])
    check_all(data)


def test_a_whole_folder_is_read_where_another_is_not_whole(data: Path) -> None:
    write(data / "MNIST")
    (data / "MNIST" / "raw").mkdir()
    (data / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(b"")
    check_all(data)


WEB_PAGE = b"\n<!DOCTYPE html><html><body>404</body></html>"
PROBLEMS: dict[str, tuple[str, bytes | None, str]] = {
    "a web page": ("images", WEB_PAGE, "train-images-idx3-ubyte is a web page, from a download that failed"),
    "cut off": ("images", images_bytes([1, 2, 3])[:-9], "is cut off: it has 2,343 of 2,352 bytes"),
    "cut off in its header": ("images", images_bytes([1])[:9], "is cut off"),
    "gzip cut off": ("images", gzip.compress(os.urandom(99) + images_bytes([1]))[:-50], "is cut off"),
    "damaged gzip": ("images", b"\x1f\x8b\x08\0\0\0\0\0\0\0xxxxxxxxxxx", "is damaged"),
    "too long": ("labels", labels_bytes([1, 2, 3]) + b"\0", "is longer than it says: it has 4 of 3 bytes"),
    "empty": ("images", b"", "train-images-idx3-ubyte is empty"),
    "text": ("labels", b"7 8 9", "is no file of MNIST's labels"),
    "another kind": ("images", labels_bytes([1, 2, 3]), "holds labels, not images"),
    "a pointer": ("images", b"version https://git-lfs.github.com/spec/v1", "is a pointer of Git LFS"),
    "another part's labels": ("labels", labels_bytes([0, 1]), "has 2 labels for 3 images"),
    "letters": ("labels", labels_bytes([0, 25, 1]), "has labels up to 25, and digits end at 9"),
    "larger images": ("images", images_bytes([1, 2, 3], side=32), "are 32×32, not 28×28"),
    "no images": ("images", images_bytes([]), "has 3 labels for 0 images"),
    "missing": ("labels", None, "train-labels-idx1-ubyte is missing"),
}


@pytest.mark.parametrize(("kind", "content", "words"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_what_is_wrong_and_what_to_do_is_one_sentence(
    data: Path, kind: str, content: bytes | None, words: str
) -> None:
    folder = write(data / "MNIST" / "raw")
    (folder / NAMES[kind]).write_bytes(content or b"")
    if content is None:
        (folder / NAMES[kind]).unlink()
    problem = find_problem("mnist") or ""
    assert words in problem
    assert problem.startswith(f"MNIST in {folder} cannot be read: ")
    assert problem.endswith(
        "Put the right files there, or remove that folder to download them again, or use `dataset: digits`."
    )


def test_a_gzipped_file_that_unfolds_to_any_amount_takes_no_memory(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(data / "MNIST" / "raw")
    (folder / NAMES["images"]).write_bytes(gzip.compress(bytes(10_000)))
    monkeypatch.setattr(downloads, "MAX_BYTES", 9_999)
    assert "train-images-idx3-ubyte unfolds to more than" in (find_problem("mnist") or "")


def test_a_pipe_is_not_waited_for(data: Path) -> None:
    folder = write(data / "MNIST" / "raw")
    (folder / NAMES["images"]).unlink()
    os.mkfifo(folder / NAMES["images"])
    assert "train-images-idx3-ubyte is a pipe or device" in (find_problem("mnist") or "")


def test_the_test_files_alone_are_not_trained_on(data: Path) -> None:
    for name in list(FILES)[2:]:
        (data / name).write_bytes(FILES[name])
    assert "train-images-idx3-ubyte and train-labels-idx1-ubyte are missing" in (find_problem("mnist") or "")


def test_an_empty_folder_is_not_taken_for_a_download(data: Path) -> None:
    (data / "MNIST" / "raw").mkdir(parents=True)
    assert "none of its files, such as train-images-idx3-ubyte, is there" in (find_problem("mnist") or "")


def test_files_that_are_not_the_published_ones_are_read_and_told(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(data / "MNIST" / "raw")
    assert load_training(MnistSpec()).warnings == (
        "This is not the published MNIST: train-images-idx3-ubyte and train-labels-idx1-ubyte in "
        f"{folder} differ (3 images).",
    )
    for kind, name in NAMES.items():
        monkeypatch.setitem(mnist._PUBLISHED, ("train", kind), hashlib.sha256(FILES[name]).hexdigest())
    assert load_training(MnistSpec()).warnings == ()


@pytest.mark.skipif(
    not (Path(os.environ.get("GANVAS_DATA", "")) / "MNIST/raw/train-images-idx3-ubyte").is_file(),
    reason="GANVAS_DATA has no MNIST/raw",
)
def test_the_published_files_are_known() -> None:
    training = load_training(MnistSpec())
    assert (training.images.shape, training.warnings) == ((60_000, 1, 28, 28), ())
