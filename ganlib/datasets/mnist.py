"""MNIST in its own format, by whatever names its sites offer it, gzipped or not."""

import hashlib
import re
import struct
from pathlib import Path
from typing import Literal, NoReturn

import torch
from torch import Tensor

from ganlib.datasets.downloads import FileUnusable, advise, download, find_folders, list_folder, read_file
from ganlib.datasets.labelled import LabelledImages, Split
from ganlib.errors import DatasetUnavailable
from ganlib.spec.sections.datasets import MnistSpec

Kind = Literal["images", "labels"]
# Where each file of a folder lies; the first of several is the one that is not gzipped.
Files = dict[tuple[Split, Kind], list[Path]]

SIDE, CLASS_COUNT = 28, 10
# train-images-idx3-ubyte.gz, train-images.idx3-ubyte, t10k-labels-idx1-ubyte, test_labels.gz, …
_NAME = re.compile(r"(train|t10k|test)[-_. ]?(images|labels)([-_. ]?idx[13])?([-_. ]?ubyte)?(\.gz|\.bin)?")
_SPLITS: dict[str, Split] = {"train": "train", "t10k": "test", "test": "test"}
_KINDS: dict[str, Kind] = {"images": "images", "labels": "labels"}
_NAMES = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}
# sha256 of the unpacked files of LeCun et al. (1998).
_PUBLISHED = {
    ("train", "images"): "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ("train", "labels"): "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ("test", "images"): "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ("test", "labels"): "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_MAGIC: dict[Kind, int] = {"images": 0x803, "labels": 0x801}
_DIMENSIONS: dict[Kind, int] = {"images": 3, "labels": 1}


def load_mnist(spec: MnistSpec, split: Split) -> LabelledImages:
    """Return the images (60000 or 10000, 1, 28, 28) of LeCun et al. (1998); raises DatasetUnavailable.

    They are downloaded into the cache where no data folder has them.
    """
    files = _find_files(split) or _list_files(_download())
    images, labels = _read(files, split, "images"), _read(files, split, "labels")
    where = files[split, "images"][0].parent
    if len(images) != len(labels):
        _refuse(where, f"{_NAMES[split, 'labels']} has {len(labels):,} labels for {len(images):,} images")
    if images.shape[1:] != (SIDE, SIDE):
        _refuse(
            where, f"the images of {_NAMES[split, 'images']} are {images.shape[1]}×{images.shape[2]}, not 28×28"
        )
    if len(labels) and labels.max() >= CLASS_COUNT:
        _refuse(where, f"{_NAMES[split, 'labels']} has labels up to {int(labels.max())}, and digits end at 9")
    if not len(labels):
        _refuse(where, f"{_NAMES[split, 'images']} has no images")
    return LabelledImages(
        images.unsqueeze(1), labels.long(), tuple("0123456789"), _compare(split, images, labels, where)
    )


def _find_files(split: Split) -> Files:
    """Return the files of the first folder that has this part; empty where no folder has any. Raises otherwise."""
    partial, claimed = None, None
    for folder in find_folders(frozenset({"mnist"})):
        raw = [path for path in list_folder(folder) if path.name.lower() == "raw" and path.is_dir()]
        for place in (*raw, folder):
            files = _list_files(place)
            if (split, "images") in files and (split, "labels") in files:
                return files
            if files and partial is None:
                partial = (place, files)
        if raw and folder.name.lower() == "mnist":
            claimed = claimed or raw[0]
    if partial is not None:
        place, files = partial
        missing = [name for key, name in _NAMES.items() if key[0] == split and key not in files]
        _refuse(place, f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} missing")
    if claimed is not None:
        _refuse(claimed, f"none of its files, such as {_NAMES[split, 'images']}, is there")
    return {}


def _list_files(folder: Path) -> Files:
    """Return the files of MNIST in a folder, or in folders of their own names below it, as Kaggle packs them."""
    files: Files = {}
    for path in list_folder(folder):
        match = _NAME.fullmatch(path.name.lower())
        if match is None:
            continue
        key = _SPLITS[match[1]], _KINDS[match[2]]
        inside = (
            [each for each in list_folder(path) if _NAME.fullmatch(each.name.lower())] if path.is_dir() else []
        )
        files.setdefault(key, []).extend(inside if path.is_dir() else [path])
    return {key: sorted(paths, key=lambda path: path.suffix == ".gz") for key, paths in files.items() if paths}


def _read(files: Files, split: Split, kind: Kind) -> Tensor:
    """Return the first of the files that can be read, as uint8; raises DatasetUnavailable."""
    problems = []
    for path in files[split, kind]:
        try:
            return read_idx(read_file(path), kind)
        except FileUnusable as error:
            problems.append(f"{path.name} {error}")
    return _refuse(files[split, kind][0].parent, problems[0])


def read_idx(content: bytes, kind: Kind) -> Tensor:
    """Return the values of an idx file: images uint8 (N, H, W), or labels uint8 (N,). Raises FileUnusable."""
    magic = int.from_bytes(content[:4])
    if magic != _MAGIC[kind]:
        other = next((name for name, number in _MAGIC.items() if number == magic), None)
        raise FileUnusable(f"holds {other}, not {kind}" if other else f"is no file of MNIST's {kind}")
    start = 4 + 4 * _DIMENSIONS[kind]
    if len(content) < start:
        raise FileUnusable("is cut off")
    shape = struct.unpack(f">{_DIMENSIONS[kind]}I", content[4:start])
    expected = start
    for index, length in enumerate(shape):
        expected = length if index == 0 else expected * length
    if len(content) - start != expected:
        what = "is cut off" if len(content) - start < expected else "is longer than it says"
        raise FileUnusable(f"{what}: it has {len(content) - start:,} of {expected:,} bytes")
    values = torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start) if expected else torch.empty(0)
    return values.reshape(shape).to(torch.uint8)


def _compare(split: Split, images: Tensor, labels: Tensor, where: Path) -> tuple[str, ...]:
    """Return a sentence that says which files are not the published ones, if any."""
    found = {"images": images, "labels": labels}
    differing = []
    for kind, values in found.items():
        header = struct.pack(f">{1 + values.dim()}I", _MAGIC[_KINDS[kind]], *values.shape)
        digest = hashlib.sha256(header)
        digest.update(values.numpy().data)
        if digest.hexdigest() != _PUBLISHED[split, kind]:
            differing.append(_NAMES[split, kind])
    if not differing:
        return ()
    differ = "differs" if len(differing) == 1 else "differ"
    names = " and ".join(differing)
    return (f"This is not the published MNIST: {names} in {where} {differ} ({len(labels):,} images).",)


def _download() -> Path:
    from torchvision.datasets import MNIST

    advice = advise("MNIST/raw (train-images-idx3-ubyte and three more, gzipped or not), or use `dataset: digits`")
    return download("MNIST", "MNIST/raw", lambda root: MNIST(root, download=True), advice)


def _refuse(where: Path, problem: str) -> NoReturn:
    raise DatasetUnavailable(
        f"MNIST in {where} cannot be read: {problem}. Put the right files there, or remove that folder to "
        "download them again, or use `dataset: digits`."
    )
